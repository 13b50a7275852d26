using System.Net;
using Routing.Cluster;

namespace Routing.Agent.Tests.Rest;

/// <summary>Changing the dynamic configuration.</summary>
public sealed class ConfigTests
{
    [Fact]
    public async Task A_patch_merges_and_null_deletes_and_the_loop_wakes()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30,"slots":{"old":{"type":"physical"},"new":{"type":"physical"}}}""");

        var (code, text) = await host.SendAsync("PATCH", "/config", """{"pause":true,"slots":{"old":null}}""");

        Assert.Equal(200, code);
        Assert.Equal("""{"ttl":30,"slots":{"new":{"type":"physical"}},"pause":true}""", text);
        Assert.Equal(text, Value(host, "config"));
        Assert.Equal(1, host.Wakes);
        Assert.Equal((200, text), await host.SendAsync("GET", "/config"));
    }

    /// <summary>A cluster that has it would get no new leader.</summary>
    [Theory]
    [InlineData("PATCH")]
    [InlineData("PUT")]
    public async Task A_standby_cluster_is_refused_until_it_is_supported(string method)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        var (code, text) = await host.SendAsync(method, "/config", """{"ttl":20,"standby_cluster":{"host":"far"}}""");

        Assert.Equal(501, code);
        Assert.Contains("standby cluster", text, StringComparison.Ordinal);
        Assert.Equal("""{"ttl":30}""", Value(host, "config"));
    }

    [Theory]
    [InlineData("""{"ttl":20}""", """{"ttl":20,"standby_cluster":{"host":"far"}}""")]
    [InlineData("""{"standby_cluster":null}""", """{"ttl":30}""")]
    public async Task One_that_another_tool_has_configured_can_be_removed_and_hinders_no_other_change(string patch, string result)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30,"standby_cluster":{"host":"far"}}""");

        Assert.Equal((200, result), await host.SendAsync("PATCH", "/config", patch));
    }

    [Fact]
    public async Task A_patch_that_changes_nothing_writes_nothing()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        var revision = host.Dcs.Put("config", """{"ttl":30}""");

        var (code, _) = await host.SendAsync("PATCH", "/config", """{"ttl":"30","absent":null}""");

        Assert.Equal(200, code);
        Assert.Equal(revision, host.Dcs.Snapshot.Revision);
    }

    [Fact]
    public async Task Without_a_valid_configuration_there_is_nothing_to_patch_or_show()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        Assert.Equal(503, (await host.SendAsync("PATCH", "/config", """{"ttl":30}""")).Code);
        Assert.Equal(502, (await host.SendAsync("GET", "/config")).Code);
    }

    [Theory]
    [InlineData("PATCH", """{"synchronous_mode":"qourum"}""", "synchronous_mode is \"qourum\"")]
    [InlineData("PATCH", """{"pause":"tru"}""", "pause is \"tru\"")]
    [InlineData("PATCH", """{"ttl":"30 seconds","loop_wait":5}""", "ttl is")]
    [InlineData("PUT", """{"synchronous_mode":"onn"}""", "synchronous_mode is")]
    public async Task A_typing_error_is_refused_by_name_and_changes_nothing(string method, string body, string complaint)
    {
        const string before = """{"synchronous_mode":"quorum","pause":true,"maximum_lag_on_failover":"much"}""";
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", before);

        var (code, text) = await host.SendAsync(method, "/config", body);

        Assert.Equal(400, code);
        Assert.Contains(complaint, System.Net.WebUtility.HtmlDecode(text), StringComparison.Ordinal);
        Assert.Equal(before, Value(host, "config"));
    }

    [Fact]
    public async Task What_was_wrong_before_does_not_hinder_a_change_of_something_else()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"maximum_lag_on_failover":"much"}""");

        Assert.Equal(200, (await host.SendAsync("PATCH", "/config", """{"ttl":40}""")).Code);
    }

    [Fact]
    public async Task A_put_replaces_the_whole()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30,"pause":true}""");

        var answer = await host.SendAsync("PUT", "/config", """{"ttl":20}""");

        Assert.Equal((200, """{"ttl":20}"""), answer);
        Assert.Equal("""{"ttl":20}""", Value(host, "config"));
    }

    [Theory]
    [InlineData("{}", 400)]
    [InlineData("[1]", 400)]
    [InlineData("nonsense", 400)]
    [InlineData("", 400)]
    public async Task A_body_that_is_no_filled_object_is_refused(string body, int expected)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        Assert.Equal(expected, (await host.SendAsync("PATCH", "/config", body)).Code);
        Assert.Equal(expected, (await host.SendAsync("PUT", "/config", body)).Code);
        Assert.Equal(expected, (await host.SendAsync("POST", "/switchover", body)).Code);
    }

    [Fact]
    public async Task A_body_without_a_length_is_refused()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer = await host.RawAsync("PATCH /config HTTP/1.1\r\nHost: x\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 411 ", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"ttl\":40}", 200)]
    [InlineData("[1]", 400)]
    [InlineData("", 400)]
    public async Task A_body_in_chunks_is_read_like_any_other(string body, int expected)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        using var content = new StreamContent(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(body)));
        using var request = new HttpRequestMessage(HttpMethod.Patch, "/config") { Content = content };
        request.Headers.TransferEncodingChunked = true;
        using var answer = await host.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(expected, (int)answer.StatusCode);
        Assert.Equal(expected == 200 ? """{"ttl":40}""" : """{"ttl":30}""", Value(host, "config"));
    }

    [Fact]
    public async Task A_body_that_is_not_UTF_8_is_refused_and_the_connection_ends_in_good_order()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        using var content = new ByteArrayContent([.. "{\"x\":\""u8, 0xff, 0xfe, .. "\"}"u8]);
        using var answer = await host.Http.PatchAsync("/config", content, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("""{"ttl":30}""", Value(host, "config"));
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("{\"a\":")]
    [InlineData("[1]")]
    public async Task A_refused_body_leaves_no_error_in_the_log(string body)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        await host.SendAsync("PATCH", "/config", body);
        await host.Server.DisposeAsync();

        Assert.Empty(host.Log.Lines);
    }

    [Fact]
    public async Task A_body_that_etcd_would_not_take_is_refused_at_once()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        // Its length alone says it. A client that writes on may be reset before it reads the answer.
        var answer = await host.RawAsync($"PATCH /config HTTP/1.1\r\nHost: a\r\nContent-Length: {1024 * 1024 + 8}\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal);
    }

    private static string Value(RestHost host, string key) =>
        host.Dcs.Snapshot.Config is { } config && key == ClusterKeys.Config ? KeyWriter.Config(config.Raw) : "";
}
