using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Samples.Tests.Monitoring;

/// <summary>
/// The dashboards and alert rules that we ship: judged by promtool, and by a Prometheus that scrapes a cluster, a proxy
/// and an application through a failover.
/// </summary>
[Collection(SampleCluster.Name)]
public sealed partial class MonitoringTests(SampleCluster fixture)
{
    // A change of leader on a busy machine may take longer than the shortened times to wait.
    private static readonly string[] s_ofFailover =
    [
        "RoutingNoLeader", "RoutingNoCandidate", "RoutingProxyHasNoTarget", "RoutingDriverHasNoLeader",
        "RoutingReplicaNotStreaming", "RoutingTimelinesDiffer", "RoutingPostgresDown", "RoutingNoFence",
        "RoutingProxyClientsGaveUp", "RoutingDriverOpensFail", "RoutingProxyTopologyStale",
        "RoutingDriverTopologyStale",
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Promtool_accepts_the_scrape_configuration_and_each_alert_fires_in_its_case_and_in_no_other()
    {
        Installed.Require("prometheus");
        using var directory = new TempDirectory("promtool");
        OrdinaryProcess.GiveAway(directory.Path);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(ShippedMonitoring.Folder, "prometheus")))
        {
            File.Copy(file, directory[Path.GetFileName(file)]);
        }
        var cases = Path.Combine(AppContext.BaseDirectory, "Monitoring", "alerts.test.yml");
        File.Copy(cases, directory["alerts.test.yml"]);

        await AcceptedAsync("check", "config", directory["prometheus.yml"]);
        await AcceptedAsync("test", "rules", directory["alerts.test.yml"]);

        var tested = await File.ReadAllTextAsync(cases, Cancellation);
        Assert.All(ShippedMonitoring.Alerts,
            alert => Assert.Contains($"alertname=\"{alert}\"", tested, StringComparison.Ordinal));

        async Task AcceptedAsync(params string[] command)
        {
            using var promtool = OrdinaryProcess.Start(
                directory["log"], directory.Path, ["promtool", .. command]);
            var code = await promtool.WaitForExitAsync(TimeSpan.FromSeconds(90));
            Assert.True(code == 0, await File.ReadAllTextAsync(directory["log"], Cancellation));
        }
    }

    [Fact]
    public void Every_alert_has_its_section_in_the_run_book_and_every_section_its_alert()
    {
        var sections = Section().Matches(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "monitoring.md")))
            .Select(match => match.Groups[1].Value);
        var links = Runbook().Matches(ShippedMonitoring.Rules).Select(match => match.Groups[1].Value);

        Assert.Equal(ShippedMonitoring.Alerts.Order(), sections.Order());
        Assert.Equal(ShippedMonitoring.Alerts.Select(alert => alert.ToLowerInvariant()), links);
    }

    [Fact]
    public async Task A_failover_leaves_no_panel_empty_and_raises_the_alert_of_the_lost_member_alone()
    {
        Installed.Require("prometheus");
        var (cluster, leader) = await fixture.TakeAsync();
        await leader.SqlAsync("CREATE TABLE IF NOT EXISTS web_orders (id bigserial PRIMARY KEY, article text)");
        var shopPort = FreePorts.Take();
        await using var shop = WebShop.WebShop.Build(
        [
            $"--urls=http://127.0.0.1:{shopPort}", $"--Orders:Cluster={cluster.Scope}",
            $"--Orders:Etcd:0={cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port}",
            $"--Orders:ConnectionString={SampleCluster.Login}", "--Logging:LogLevel:Default=None",
        ]);
        await shop.StartAsync(Cancellation);
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        var began = TimeProvider.System.GetUtcNow();
        await using var prometheus = await PrometheusServer.StartAsync(
            new Dictionary<string, IEnumerable<int>>
            {
                ["routing-agent"] = cluster.Nodes.Select(node => node.RestPort),
                ["routing-proxy"] = [proxy.AdminPort],
                ["routing-application"] = [shopPort],
            },
            ShippedMonitoring.RulesInSeconds(secondsOfMinute: 10));
        await UntilAsync("count(up == 1)", result => Value(result) == cluster.Nodes.Count + 2, "all are scraped");
        await UseAsync();
        // The agent looks in the background, and once a minute: what the next primary finds may come too late here.
        await UntilAsync("routing_archiver_failing", result => result.Count > 0, "the state of the archive is told");
        Assert.Empty(await prometheus.QueryAsync("ALERTS{alertstate=\"firing\"}"));

        await using (var session = await ProxyProcess.OpenAsync(proxy.WritePort))
        {
            await UntilAsync("sum(routing_proxy_sessions)", result => Value(result) >= 1, "the open session is seen");
            await leader.KillAsync();
            await cluster.LeaderAsync(not: leader);
            await UseAsync();
            await UntilAsync("ALERTS{alertstate=\"firing\",alertname=\"RoutingAgentDown\"}",
                result => result.Any(alert =>
                    (string?)alert["metric"]!["instance"] == $"127.0.0.1:{leader.RestPort}"),
                "the lost member is told");
        }
        leader.Start();
        await cluster.HealthyAsync();
        await UseAsync();
        // These two look back over five minutes.
        const string lasting = "RoutingProxyClientsGaveUp|RoutingDriverOpensFail";
        await UntilAsync($"ALERTS{{alertstate=\"firing\",alertname!~\"{lasting}\"}}", result => result.Count == 0,
            "no alert is left");

        var until = TimeProvider.System.GetUtcNow();
        var raised = (await prometheus.QueryAsync(
            "count by (alertname, instance) (ALERTS{alertstate=\"firing\"})", began, until))
            .Select(series => series["metric"]!).ToList();
        Assert.Contains(raised, alert => (string?)alert["alertname"] == "RoutingAgentDown"
            && (string?)alert["instance"] == $"127.0.0.1:{leader.RestPort}");
        Assert.Empty(raised.Select(alert => (string)alert["alertname"]!).Except(["RoutingAgentDown", .. s_ofFailover]));

        var names = await prometheus.NamesAsync();
        foreach (var query in ShippedMonitoring.Queries)
        {
            Assert.True(
                (await prometheus.QueryAsync(query.Expression, began, until)).Count > 0,
                $"{query} shows nothing. There are {string.Join(", ", names.Where(IsOurs))}.");
        }
        await EveryNameIsKnownAsync(names);

        async Task UseAsync()
        {
            using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{shopPort}") };
            for (var round = 0; round < 5; round++)
            {
                using var ordered = await client.PostAsync(
                    new Uri("/orders/umbrella", UriKind.Relative), null, Cancellation);
                var id = await ordered.Content.ReadAsStringAsync(Cancellation);
                await client.GetStringAsync(new Uri($"/orders/{id}", UriKind.Relative), Cancellation);
                await (await ProxyProcess.OpenAsync(proxy.WritePort)).DisposeAsync();
                await (await ProxyProcess.OpenAsync(proxy.ReadPort)).DisposeAsync();
            }
        }

        Task UntilAsync(string query, Func<IReadOnlyList<JsonObject>, bool> fits, string what) =>
            cluster.UntilAsync(async () => fits(await prometheus.QueryAsync(query)), what);
    }

    /// <summary>A name that nobody exports would show as a zero that never moves.</summary>
    private static async Task EveryNameIsKnownAsync(IReadOnlySet<string> exported)
    {
        string[] pages = ["operations.md", "proxy.md", "driver.md"];
        var documented = (await Task.WhenAll(pages.Select(page =>
                File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, page), Cancellation))))
            .SelectMany(text => ShippedMonitoring.MetricsOf(text.Replace('.', '_'))).ToHashSet();
        var used = ShippedMonitoring.Queries.Select(query => query.Expression).Append(ShippedMonitoring.Rules)
            .SelectMany(ShippedMonitoring.MetricsOf).Distinct();

        Assert.All(used, name => Assert.True(
            exported.Contains(name) || documented.Contains(HistogramPart().Replace(name, "")),
            $"{name} is neither exported nor documented."));
    }

    private static bool IsOurs(string name) => name.StartsWith("routing_", StringComparison.Ordinal);

    private static double Value(IReadOnlyList<JsonObject> result) =>
        result.Count == 0
            ? 0
            : double.Parse((string)result[0]["value"]![1]!, System.Globalization.CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^### (Routing\w+)$", RegexOptions.Multiline)]
    private static partial Regex Section();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex HistogramPart();

    [GeneratedRegex(@"runbook: docs/monitoring\.md#(\w+)")]
    private static partial Regex Runbook();
}
