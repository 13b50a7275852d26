using System.Text.Json.Nodes;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>The admin port of the real program.</summary>
[Trait("Category", "Integration")]
public sealed class AdminTests(PretendCluster cluster) : IClassFixture<PretendCluster>
{
    // By docs/proxy.md.
    private static readonly string[] s_metrics =
    [
        "routing_proxy_connections_total", "routing_proxy_refused_total", "routing_proxy_sessions",
        "routing_proxy_sessions_closed_total",
        "routing_proxy_bytes_total", "routing_proxy_open_session_bytes", "routing_proxy_login_seconds",
        "routing_proxy_hold_seconds",
        "routing_proxy_held_in_vain_total", "routing_proxy_connect_errors_total", "routing_proxy_cancels_total",
        "routing_proxy_pending",
        "routing_proxy_starting", "routing_proxy_waiting", "routing_proxy_members_usable", "routing_proxy_term",
        "routing_proxy_topology_age_seconds", "routing_proxy_topology_stale", "routing_proxy_route_seconds",
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Metrics_say_what_happened()
    {
        await using var proxy = await cluster.ProxyAsync();
        using var open = new RawClient(proxy.WritePort);
        Assert.Null(await open.LoginAsync());
        using (var over = new RawClient(proxy.ReadPort))
        {
            Assert.Null(await over.LoginAsync());
            await over.QueryAsync("select 1");
            Assert.Null(await over.UntilReadyAsync());
            await over.SendAsync(BackendMessage.Of('X'));
        }
        using (var cancel = new RawClient(proxy.WritePort))
        {
            await cancel.SendAsync(RawClient.Packet(80_877_102, open.Key));
            Assert.Equal(-1, await cancel.ReadByteAsync());
        }
        using (var scanner = new RawClient(proxy.WritePort))
        {
            await scanner.SendAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray());
            Assert.Equal(-1, await scanner.ReadByteAsync());
        }

        await proxy.UntilAsync(
            async () =>
                (await proxy.MetricsAsync()).Contains(
                    "routing_proxy_sessions_closed_total{listener=\"read\",member=\"b\",end=\"client_terminated\"} 1",
                    StringComparison.Ordinal),
            "the end of the read session is counted");
        var metrics = await proxy.MetricsAsync();

        Assert.All(s_metrics, name => Assert.Contains($"# TYPE {name} ", metrics, StringComparison.Ordinal));
        Assert.Contains("routing_proxy_sessions{listener=\"write\",member=\"a\"} 1", metrics, StringComparison.Ordinal);
        Assert.Contains("routing_proxy_cancels_total{listener=\"write\",outcome=\"delivered\"} 1", metrics,
            StringComparison.Ordinal);
        Assert.Contains("routing_proxy_refused_total{listener=\"write\",reason=\"not_postgres\"} 1", metrics,
            StringComparison.Ordinal);
        Assert.Contains("routing_proxy_login_seconds_count{listener=\"write\"} 1", metrics, StringComparison.Ordinal);
        Assert.Contains("routing_proxy_members_usable{listener=\"read\"} 1", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("alice", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Routes_say_who_would_be_chosen_and_why()
    {
        await using var proxy = await cluster.ProxyAsync();

        var routes = await proxy.RoutesAsync();

        Assert.Equal((PretendCluster.Scope, false, false),
            ((string?)routes["scope"], (bool)routes["stale"]!, (bool)routes["draining"]!));
        Assert.True((long)routes["term"]! > 0);
        Assert.Equal(["write", "read"], routes["listeners"]!.AsArray().Select(one => (string?)one!["name"]));
        Assert.Equal([("a", true, "serves"), ("b", false, "is not the leader")], MembersOf(routes["listeners"]![0]!));
        Assert.Equal([("a", false, "is the leader, and replicas are wanted"), ("b", true, "serves")],
            MembersOf(routes["listeners"]![1]!));

        static IEnumerable<(string?, bool, string?)> MembersOf(JsonNode listener) =>
            listener["members"]!.AsArray()
                .Select(one => ((string?)one!["name"], (bool)one["serves"]!, (string?)one["reason"]));
    }

    [Fact]
    [Trait("Category", "Integration")]
    public async Task The_page_leads_to_the_dashboards_of_the_agents()
    {
        Assert.SkipWhen(Chromium.Program is null, "There is no Chromium (Debian: chromium-headless-shell).");
        await using var proxy = await cluster.ProxyAsync();
        await using var page = await Chromium.StartAsync();

        await page.OpenAsync(proxy.Admin("/"));
        await page.UntilAsync("document.querySelectorAll('td a').length === 4", "two members of two listeners");

        Assert.Equal("http://127.0.0.1:1/ui", (string?)await page.EvaluateAsync("document.querySelector('td a').href"));
        Assert.Equal("a", (string?)await page.EvaluateAsync("document.querySelector('td a').textContent"));
        Assert.Empty(page.Complaints);
    }

    [Fact]
    public async Task Routes_show_the_ports_that_the_kernel_chose()
    {
        await using var proxy = await cluster.ProxyAsync(new ProxyOptions
        {
            Listeners = """
                  write: {listen: "127.0.0.1:0", role: primary}
                  read: {listen: "127.0.0.1:0", role: replica, policy: least_connections}
                """,
        });

        var listeners = (await proxy.RoutesAsync())["listeners"]!.AsArray();
        var ports = listeners.Select(
            one => Routing.Cluster.HostPort.TryParse((string)one!["listen"]!, 0, out var at) ? at.Port : 0).ToList();

        Assert.Equal("least_connections", (string?)listeners[1]!["policy"]);
        Assert.DoesNotContain(0, ports);
        Assert.Equal(2, ports.Distinct().Count());
        foreach (var port in ports)
        {
            using var client = new RawClient(port);
            Assert.Null(await client.LoginAsync());
        }
    }

    [Fact]
    public async Task It_is_ready_while_every_listener_has_somewhere_to_go_and_alive_in_any_case()
    {
        await using var proxy = await cluster.ProxyAsync();
        Assert.Equal((200, "ready\n"), await proxy.GetAsync("/readyz"));

        await cluster.LeadAsync(null);
        await proxy.UntilAsync(async () => await proxy.GetAsync("/readyz") == (503, "nobody serves write\n"),
            "it is not ready");
        var alive = await proxy.GetAsync("/healthz");
        await cluster.LeadAsync("a");
        await proxy.UntilReadyAsync();

        Assert.Equal((200, "alive\n"), alive);
    }

    [Fact]
    public async Task Without_etcd_it_waits_for_its_first_answer()
    {
        var etcd = $"http://127.0.0.1:{FreePorts.Take()}";
        await using var proxy =
            await ProxyProcess.StartAsync("nobody", new Uri(etcd), new ProxyOptions { UntilReady = false });

        await proxy.UntilAsync(
            async () =>
            {
                try
                {
                    return await proxy.GetAsync("/readyz")
                        == (503, $"etcd has not answered yet ({etcd}: connection refused)\n");
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            "it says that etcd has not answered");
    }

    [Fact]
    public async Task The_page_needs_nothing_from_elsewhere_and_other_requests_are_told_so()
    {
        await using var proxy = await cluster.ProxyAsync();
        using var http = new HttpClient();

        using var page = await http.GetAsync(proxy.Admin("/"), Cancellation);
        using var head =
            await http.SendAsync(new HttpRequestMessage(HttpMethod.Head, proxy.Admin("/routes")), Cancellation);
        using var post = await http.PostAsync(proxy.Admin("/routes"), new StringContent(""), Cancellation);

        var html = await page.Content.ReadAsStringAsync(Cancellation);
        Assert.StartsWith("<!doctype html>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("://", html, StringComparison.Ordinal);   // it names no address
        Assert.Contains("default-src 'none'", page.Headers.GetValues("Content-Security-Policy").Single(),
            StringComparison.Ordinal);
        Assert.Equal(200, (int)head.StatusCode);
        Assert.Equal("", await head.Content.ReadAsStringAsync(Cancellation));
        Assert.Equal(405, (int)post.StatusCode);
        using var options =
            await http.SendAsync(new HttpRequestMessage(HttpMethod.Options, proxy.Admin("/readyz")), Cancellation);
        Assert.Equal(200, (int)options.StatusCode);
        Assert.Equal(404, (await proxy.GetAsync("/nothing")).Code);
    }
}
