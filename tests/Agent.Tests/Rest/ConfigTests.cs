using System.Net;
using System.Text.Json;
using Routing.Cluster;
using Routing.Cluster.Keys;

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

    [Theory]
    [InlineData("""{"ttl":30}""", """{"standby_cluster":{"host":"far","port":5433}}""",
        """{"ttl":30,"standby_cluster":{"host":"far","port":5433}}""")]
    [InlineData("""{"ttl":30,"standby_cluster":{"host":"far"}}""", """{"standby_cluster":null}""", """{"ttl":30}""")]
    public async Task A_standby_cluster_is_made_and_unmade_by_a_patch(string before, string patch, string after)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", before);

        Assert.Equal((200, after), await host.SendAsync("PATCH", "/config", patch));
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

    [Fact]
    public async Task What_the_member_goes_by_is_told_also_when_the_store_has_lost_it()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary with
        {
            Config = DynamicConfigReader.Read(JsonElement.Parse("""{"ttl":31,"own":true}"""), 7),
        });

        Assert.Equal((200, """{"ttl":31,"own":true}"""), await host.SendAsync("GET", "/config?last"));
    }

    [Theory]
    [InlineData("PATCH", """{"synchronous_mode":"qourum"}""", "synchronous_mode is \"qourum\"")]
    [InlineData("PATCH", """{"pause":"tru"}""", "pause is \"tru\"")]
    [InlineData("PATCH", """{"ttl":"30 seconds","loop_wait":5}""", "ttl is")]
    [InlineData("PUT", """{"synchronous_mode":"onn"}""", "synchronous_mode is")]
    public async Task A_typing_error_is_refused_by_name_and_changes_nothing(
        string method, string body, string complaint)
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

    [Theory]
    [InlineData("""{"postgresql":{"parameters":{"max_connections":10}}}""",
        "postgresql.parameters.max_connections: '10': must be a whole number from 25")]
    [InlineData("""{"postgresql":{"parameters":{"max_connections":"many"}}}""", "max_connections")]
    [InlineData("""{"postgresql":{"parameters":{"wal_level":"minimal"}}}""", "must be replica, hot_standby or logical")]
    [InlineData("""{"postgresql":{"parameters":{"hot_standby":"off"}}}""", "hot_standby")]
    [InlineData("""{"postgresql":{"parameters":{"wal_keep_size":"1 potato"}}}""", "a size of at least 16MB")]
    [InlineData("""{"postgresql":{"parameters":["work_mem=4MB"]}}""", "a mapping of names to values")]
    [InlineData("""{"postgresql":{"parameters":{"work_mem":{"a":1}}}}""", "postgresql.parameters.work_mem")]
    [InlineData("""{"postgresql":{"parameters":{"work_mem ":"4MB"}}}""", "no name of a parameter")]
    [InlineData("""{"postgresql":{"parameters":{"a\nport":"1"}}}""", "no name of a parameter")]
    [InlineData("""{"postgresql":{"parameters":{"archive_command":"a\u0000"}}}""", "null character")]
    [InlineData("""{"postgresql":{"parameters_replica":{"work=mem":"4MB"}}}""", "no name of a parameter")]
    [InlineData("""{"postgresql":{"recovery_conf":{"restore command":"x"}}}""", "no name of a parameter")]
    [InlineData("""{"postgresql":{"pg_hba":"host all all all trust"}}""", "postgresql.pg_hba")]
    [InlineData("""{"postgresql":{"pg_hba":[["host"]]}}""", "postgresql.pg_hba[0]")]
    [InlineData("""{"postgresql":{"use_pg_rewind":"maybe"}}""", "use_pg_rewind")]
    [InlineData("""{"postgresql":{"pg_ctl_timeout":"soon"}}""", "pg_ctl_timeout")]
    [InlineData("""{"postgresql":{"basebackup":[{"pgdata":"/x"}]}}""", "the agent sets pgdata itself")]
    [InlineData("""{"postgresql":[]}""", "postgresql is")]
    [InlineData("""{"ttl":0}""", "ttl is 0, but must be at least 3")]
    [InlineData("""{"loop_wait":-1}""", "loop_wait")]
    [InlineData("""{"slots":{"a b":{"type":"logical"}}}""", "slots")]
    public async Task What_no_member_could_use_is_refused_by_name(string patch, string complaint)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        foreach (var method in new[] { "PATCH", "PUT" })
        {
            var (code, text) = await host.SendAsync(method, "/config", patch);

            Assert.Equal(400, code);
            Assert.Contains(complaint, WebUtility.HtmlDecode(text), StringComparison.Ordinal);
            Assert.Equal("""{"ttl":30}""", Value(host, "config"));
        }
    }

    /// <summary>Tools that were written for Patroni send these, and Patroni keeps them.</summary>
    [Theory]
    [InlineData("""{"my_tool":{"anything":[1,{"b":null}]}}""")]
    [InlineData(
        """{"postgresql":{"parameters":{"parameter_of_a_later_version":"on","my.extension":"x y"},"note":"x"}}""")]
    [InlineData(
        """{"postgresql":{"parameters":{"max_connections":"101","shared_buffers":"256MB","wal_keep_segments":8,"track_commit_timestamp":true}}}""")]
    [InlineData("""{"postgresql":{"parameters":{"archive_command":"a\n&& b\r\n"}}}""")]
    [InlineData("""{"postgresql":{"parameters_primary":{"max_connections":200}}}""")]
    [InlineData("""{"loop_wait":5,"ttl":20,"postgresql":{"parameters":{"max_connections":"101"}}}""")]
    [InlineData("""{"ttl":"60","retry_timeout":"10","maximum_lag_on_failover":"16MB","synchronous_mode":"on"}""")]
    [InlineData(
        """{"postgresql":{"create_replica_methods":["wal_g","basebackup"],"wal_g":{"command":"x","no_leader":1},"basebackup":{"max-rate":"100M"}}}""")]
    [InlineData(
        """{"postgresql":{"callbacks":{"on_start":"/x","on_restart":"/y"},"pg_hba":["local all all trust",""],"use_slots":"no"}}""")]
    public async Task What_Patroni_would_keep_is_accepted(string patch)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        Assert.Equal(200, (await host.SendAsync("PATCH", "/config", patch)).Code);
        Assert.Equal(200, (await host.SendAsync("PUT", "/config", patch)).Code);
    }

    [Fact]
    public async Task A_wrong_parameter_that_stands_there_already_hinders_no_other_change()
    {
        const string before =
            """{"postgresql":{"parameters":{"max_connections":"lots","a b":"1"},"pg_hba":"all"},"ttl":1}""";
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", before);

        Assert.Equal(200, (await host.SendAsync("PATCH", "/config", """{"loop_wait":9}""")).Code);
        Assert.Equal(
            200,
            (await host.SendAsync("PATCH", "/config",
                """{"postgresql":{"parameters":{"max_connections":100,"a b":null}}}""")).Code);
        Assert.Equal(
            400, (await host.SendAsync("PATCH", "/config", """{"postgresql":{"pg_hba":"none"},"ttl":2}""")).Code);
    }

    [Fact]
    public async Task What_the_server_program_refuses_is_refused_in_its_words()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");
        host.Refusals = next => next.Postgresql.ToString().Contains("potato", StringComparison.Ordinal)
            ? ["PostgreSQL refuses the potato."]
            : [];

        var (code, text) =
            await host.SendAsync("PATCH", "/config", """{"postgresql":{"parameters":{"work_mem":"4 potatoes"}}}""");

        Assert.Equal((400, true), (code, text.Contains("PostgreSQL refuses the potato.", StringComparison.Ordinal)));
        Assert.Equal("""{"ttl":30}""", Value(host, "config"));
    }

    private static readonly Dictionary<string, ParameterDefinition> s_catalogue = new ParameterDefinition[]
    {
        new("max_connections", "integer", null, 1, 262143, [], "postmaster"),
        new("shared_buffers", "integer", "8kB", 16, 1073741823, [], "postmaster"),
        new("work_mem", "integer", "kB", 64, 2147483647, [], "user"),
    }.ToDictionary(one => one.Name, StringComparer.OrdinalIgnoreCase);

    [Theory]
    [InlineData("""{"postgresql":{"parameters":{"max_conections":100}}}""",
        "max_conections is no parameter of this server; max_connections is.")]
    [InlineData("""{"postgresql":{"parameters":{"work_mem":"64M"}}}""", "has the unit M; possible are B, kB, MB")]
    [InlineData("""{"postgresql":{"parameters":{"work_mem":1}}}""", "must be from 64 to 2147483647 (in units of kB)")]
    [InlineData("""{"mamimum_lag_on_failover":1}""", "is no setting; maximum_lag_on_failover is.")]
    [InlineData("""{"ttl":20,"loop_wait":10,"retry_timeout":10}""", "loop_wait + 2 × retry_timeout must not exceed ttl")]
    public async Task What_the_servers_catalogue_or_a_rule_refuses_is_written_by_force_alone(
        string patch, string complaint)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Catalogue = s_catalogue;
        foreach (var method in new[] { "PATCH", "PUT" })
        {
            host.Dcs.Put("config", """{"ttl":30}""");

            var (code, text) = await host.SendAsync(method, "/config", patch);
            Assert.Equal(400, code);
            Assert.Contains(complaint, WebUtility.HtmlDecode(text), StringComparison.Ordinal);
            Assert.Contains("?force=true", text, StringComparison.Ordinal);
            Assert.Equal(400, (await host.SendAsync(method, "/config?force=no", patch)).Code);
            Assert.Equal("""{"ttl":30}""", Value(host, "config"));

            var (forced, written) = await host.SendAsync(method, "/config?force=true", patch);
            Assert.Equal((200, Value(host, "config")), (forced, written));
            Assert.NotEqual("""{"ttl":30}""", written);
        }
    }

    [Fact]
    public async Task An_accepted_change_tells_in_headers_what_it_brings_and_answers_as_Patroni_does()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Catalogue = s_catalogue;
        host.Dcs.Put("config", """{"ttl":30}""");
        host.Dcs.Put("members/pg-a", """{"conn_url":"postgres://10.1.0.11:5432/postgres"}""");
        host.Dcs.Put("members/pg-b", """{"conn_url":"postgres://10.1.0.12:5432/postgres"}""");

        using var content = new StringContent(
            """{"my_töol":1,"postgresql":{"parameters":{"shared_buffers":"1GB","work_mem":"8MB","my.setting":"x"}}}""");
        using var answer = await host.Http.PatchAsync("/config", content, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(Value(host, "config"), text);
        Assert.Equal(["shared_buffers"], answer.Headers.GetValues("Routing-Restart"));
        Assert.Equal(["pg-a, pg-b"], answer.Headers.GetValues("Routing-Restart-Members"));
        Assert.StartsWith("my_t?ol is no setting of the agent",
            Assert.Single(answer.Headers.GetValues("Routing-Remark")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Times_that_do_not_fit_together_are_taken_as_Patroni_takes_them_and_the_log_says_how()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"ttl":30}""");

        Assert.Equal(200, (await host.SendAsync("PATCH", "/config", """{"retry_timeout":20}""")).Code);
        Assert.Equal(200, (await host.SendAsync("PATCH", "/config", """{"pause":true}""")).Code);
        await host.Server.DisposeAsync();

        var line = Assert.Single(host.Log.Lines);
        Assert.Contains("taken as ttl 30, loop_wait 1, retry_timeout 14", line, StringComparison.Ordinal);
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
        var answer =
            await host.RawAsync($"PATCH /config HTTP/1.1\r\nHost: a\r\nContent-Length: {1024 * 1024 + 8}\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal);
    }

    private static string Value(RestHost host, string key) =>
        host.Dcs.Snapshot.Config is { } config && key == ClusterKeys.Config ? KeyWriter.Config(config.Raw) : "";
}
