using System.Net.Http.Headers;
using System.Text;
using Routing.Agent.Config;

namespace Routing.Agent.Tests.Rest;

/// <summary>Who may change something.</summary>
public sealed class AccessTests
{
    private static readonly BasicCredentials s_admin = new("admin", "qu!te:secret");

    [Fact]
    public async Task Who_changes_something_has_to_know_the_password_and_who_asks_has_not()
    {
        await using var host =
            await RestHost.StartAsync(Nodes.Primary, RestHost.Loopback() with { Authentication = s_admin });

        using var nothing = await PostAsync(host, null);
        using var wrong = await PostAsync(host, Basic("admin:wrong"));
        using var noBase64 = await PostAsync(host, new AuthenticationHeaderValue("Basic", "%%%"));
        using var bearer = await PostAsync(host, new AuthenticationHeaderValue("Bearer", "x"));
        using var right = await PostAsync(host, Basic("admin:qu!te:secret"));

        Assert.Equal("401 no auth header received", await TextAsync(nothing));
        Assert.Equal("Basic realm=\"Patroni\"", nothing.Headers.WwwAuthenticate.ToString());
        Assert.Equal("401 not authenticated", await TextAsync(wrong));
        Assert.Equal("401 not authenticated", await TextAsync(noBase64));
        Assert.Equal("401 not authenticated", await TextAsync(bearer));
        Assert.Equal("202 reload scheduled", await TextAsync(right));
        Assert.Equal(200, await host.CodeAsync("GET", "/primary"));
        Assert.Equal(200, await host.CodeAsync("OPTIONS", "/primary"));
    }

    [Theory]
    [InlineData("127.0.0.1", 202)]
    [InlineData("127.0.0.0/8", 202)]
    [InlineData("127.9.9.9/8", 202)]
    [InlineData("127.9.9.9/16", 403)]
    [InlineData("localhost", 202)]
    [InlineData("10.0.0.0/8", 403)]
    [InlineData("no-such-host.invalid", 403)]
    public async Task The_allowlist_decides_by_address_before_the_password_is_asked_for(string entry, int expected)
    {
        await using var open =
            await RestHost.StartAsync(Nodes.Primary, RestHost.Loopback() with { AllowList = [entry] });
        await using var guarded = await RestHost.StartAsync(
            Nodes.Primary, RestHost.Loopback() with { AllowList = [entry], Authentication = s_admin });

        using var first = await PostAsync(open, null);
        using var second = await PostAsync(guarded, null);

        Assert.Equal(expected == 202 ? "202 reload scheduled" : "403 Access is denied", await TextAsync(first));
        Assert.Equal(expected == 202 ? 401 : 403, (int)second.StatusCode);
        Assert.Equal(200, await open.CodeAsync("GET", "/primary"));
    }

    [Fact]
    public async Task Members_may_when_the_allowlist_includes_them_and_failsafe_does_not_ask_whether_they_are()
    {
        var settings = RestHost.Loopback() with { AllowListIncludesMembers = true };
        await using var host = await RestHost.StartAsync(Nodes.Primary, settings);

        using var stranger = await PostAsync(host, null);
        var (failsafe, _) = await host.SendAsync(
            "POST", "/failsafe", """{"name":"b","conn_url":"postgres://b","api_url":"http://b"}""");
        host.Dcs.Put("members/pg-b",
            """{"conn_url":"postgres://127.0.0.1:5432/postgres","api_url":"http://127.0.0.1:8008/patroni"}""");
        host.Status = host.Status with { Cluster = host.Dcs.Snapshot };
        using var member = await PostAsync(host, null);

        Assert.Equal("403 Access is denied", await TextAsync(stranger));
        Assert.Equal(200, failsafe);
        Assert.Equal("202 reload scheduled", await TextAsync(member));
    }

    [Fact]
    public async Task A_reload_changes_credentials_and_headers_in_place_and_a_new_address_opens_anew()
    {
        await using var host =
            await RestHost.StartAsync(Nodes.Primary, RestHost.Loopback() with { Authentication = s_admin });
        var cancellationToken = TestContext.Current.CancellationToken;

        await host.Server.ReloadAsync(
            host.Settings with { Authentication = null, ServerTokens = ServerTokens.Minimal,
                ExtraHeaders = host.Settings.ExtraHeaders.Add("X-Frame-Options", "DENY") },
            cancellationToken);
        using var open = await PostAsync(host, null);
        var moved = RestHost.Loopback();
        await host.Server.ReloadAsync(moved, cancellationToken);
        using var elsewhere = new HttpClient();
        using var answer = await elsewhere.GetAsync(new Uri($"http://{moved.Listen}/primary"), cancellationToken);

        Assert.Equal("202 reload scheduled", await TextAsync(open));
        Assert.Equal("DENY", open.Headers.GetValues("X-Frame-Options").Single());
        Assert.Equal("Patroni/4.1.4", open.Headers.Server.ToString());
        Assert.Equal(200, (int)answer.StatusCode);
        await Assert.ThrowsAsync<HttpRequestException>(() => host.CodeAsync("GET", "/primary"));
    }

    [Fact]
    public async Task A_new_address_that_is_taken_leaves_the_old_one_in_use()
    {
        await using var other = await RestHost.StartAsync(Nodes.Primary);
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var problem = await Assert.ThrowsAsync<IOException>(
            () => host.Server.ReloadAsync(
                host.Settings with { Listen = other.Settings.Listen }, TestContext.Current.CancellationToken));

        Assert.Contains(host.Settings.Listen.ToString(), problem.Message, StringComparison.Ordinal);
        Assert.Equal(200, await host.CodeAsync("GET", "/primary"));
    }

    private static AuthenticationHeaderValue Basic(string pair) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(pair)));

    private static async Task<HttpResponseMessage> PostAsync(RestHost host, AuthenticationHeaderValue? credentials)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/reload");
        request.Headers.Authorization = credentials;
        return await host.Http.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private static async Task<string> TextAsync(HttpResponseMessage response) =>
        $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}";
}
