using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// What the tools around Patroni read, field by field: names, types, words, and an order that stays the same.
/// </summary>
[Collection(SecondCluster.Name)]
public sealed partial class ConsumerTests(ClusterFixture fixture)
{
    // The names that pgwatch, Datadog, PMM, Pigsty and the dashboard 18870 of Grafana read; c: a counter.
    private static readonly string[] s_metrics =
    [
        "version", "postgres_running", "postmaster_start_time", "primary", "c:xlog_location", "standby_leader",
        "replica", "sync_standby", "quorum_standby", "c:xlog_received_location", "c:xlog_replayed_location",
        "xlog_replayed_timestamp", "xlog_paused", "postgres_streaming", "postgres_in_archive_recovery",
        "postgres_server_version", "cluster_unlocked", "failsafe_mode_is_active", "failsafe_mode_enabled",
        "failsafe_member", "postgres_timeline", "dcs_last_seen", "pending_restart", "is_paused", "postgres_state",
        "failover_priority",
    ];

    /// <summary>check_patroni, Zabbix' template, patroni_proxy, pg_doorman, DBD::Patroni.</summary>
    [Fact]
    public async Task The_document_of_the_cluster_has_the_fields_of_its_readers()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await StreamingAsync(cluster, leader);

        var documents = await Task.WhenAll(cluster.Nodes.Select(node => node.DocumentAsync("/cluster")));

        Assert.All(documents, document =>
        {
            Assert.Equal(cluster.Scope, (string?)document["scope"]);
            Assert.Null(document["pause"]);
            Assert.Null(document["scheduled_switchover"]);
            var members = document["members"]!.AsArray().Select(member => member!.AsObject()).ToList();
            Assert.Equal(cluster.Nodes.Select(node => node.Name), members.Select(member => (string?)member["name"]));
            Assert.Single(members, member => (string?)member["role"] == "leader");
            Assert.Single(members.Select(member => (int)member["timeline"]!).Distinct());
            Assert.All(members, member =>
            {
                var node = cluster[(string)member["name"]!];
                Assert.Equal(node == leader ? ("leader", "running") : ("replica", "streaming"),
                    ((string?)member["role"], (string?)member["state"]));
                Assert.Equal(("127.0.0.1", node.Port), ((string?)member["host"], (int)member["port"]!));
                Assert.Equal($"http://127.0.0.1:{node.RestPort}/patroni", (string?)member["api_url"]);
                Assert.Equal(node != leader, member.ContainsKey("lag"));
                Assert.True(node == leader || member["lag"]!.GetValueKind() == JsonValueKind.Number
                    || (string?)member["lag"] == "unknown", member.ToJsonString());
                Assert.StartsWith("name,role,state,api_url,host,port,timeline", string.Join(',', Names(member)),
                    StringComparison.Ordinal);
            });
        });
        Assert.Single(documents.Select(document => string.Join(',', Names(document.AsObject()))).Distinct());
    }

    /// <summary>check_patroni, the two exporters, patroni-routing-bench.</summary>
    [Fact]
    public async Task The_document_of_a_member_has_the_fields_of_its_readers()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        foreach (var node in cluster.Nodes)
        {
            var status = await node.DocumentAsync("/patroni");

            Assert.Equal(("running", node == leader ? "primary" : "replica"),
                ((string?)status["state"], (string?)status["role"]));
            Assert.Equal((cluster.Scope, node.Name),
                ((string?)status["patroni"]!["scope"], (string?)status["patroni"]!["name"]));
            Assert.Matches(@"^\d+\.\d+\.\d+$", (string?)status["patroni"]!["version"]);
            Assert.True((int)status["timeline"]! > 0);
            Assert.True((int)status["server_version"]! >= 90_000);
            Assert.Equal(node == leader ? ["location"] : ["received_location", "replayed_location",
                "replayed_timestamp", "paused"], Names(status["xlog"]!.AsObject()));
            Assert.Null(status["pending_restart"]);
        }
    }

    /// <summary>HAProxy, autobase, Kubernetes, check_patroni: the code alone.</summary>
    [Fact]
    public async Task Every_path_of_a_health_check_has_its_code_for_every_method_that_is_used()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await StreamingAsync(cluster, leader);
        var standby = cluster.ReplicasOf(leader)[0];
        (string Path, int Leader, int Standby)[] codes =
        [
            ("/", 200, 503), ("/primary", 200, 503), ("/leader", 200, 503), ("/read-write", 200, 503),
            ("/master", 200, 503), ("/replica", 503, 200), ("/replica?lag=10MB", 503, 200), ("/read-only", 200, 200),
            ("/standby-leader", 503, 503), ("/sync", 503, 503), ("/async", 503, 200), ("/asynchronous", 503, 200),
            ("/health", 200, 200), ("/liveness", 200, 200), ("/readiness", 200, 200), ("/config", 200, 200),
            ("/cluster", 200, 200), ("/history", 200, 200), ("/metrics", 200, 200),
        ];

        foreach (var (path, ofLeader, ofStandby) in codes)
        {
            // HEAD and OPTIONS are for load balancers: of paths that they do not know they say 503, as Patroni does.
            string[] methods = path is "/liveness" or "/readiness" or "/config" or "/cluster" or "/history"
                or "/metrics"
                ? ["GET"]
                : ["GET", "HEAD", "OPTIONS"];
            foreach (var method in methods)
            {
                Assert.Equal($"{method} {path}: {ofLeader}, {ofStandby}",
                    $"{method} {path}: {await leader.StatusAsync(path, method)}, "
                        + $"{await standby.StatusAsync(path, method)}");
            }
        }
    }

    /// <summary>check_patroni takes a hash of it: the order of the keys has to stay the same.</summary>
    [Fact]
    public async Task The_configuration_is_the_same_text_on_every_member_at_every_time()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var first = await TextAsync(leader, "/config");

        await leader.SendAsync("POST", "/reload");
        var texts = await Task.WhenAll(cluster.Nodes.Select(node => TextAsync(node, "/config")));

        Assert.Equal(JsonValueKind.Object, JsonNode.Parse(first)!.GetValueKind());
        Assert.All(texts, text => Assert.Equal(first, text));
    }

    /// <summary>Zabbix' template and check_patroni.</summary>
    [Fact]
    public async Task A_pause_and_a_planned_switchover_stand_in_the_document_of_the_cluster()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var at = TimeProvider.System.GetUtcNow().AddHours(1);

        await cluster.ConfigureAsync(new JsonObject { ["pause"] = true });
        await DocumentAsync(document => document["pause"]?.GetValueKind() == JsonValueKind.True, "the pause is told");
        await cluster.ConfigureAsync(new JsonObject { ["pause"] = null });
        await DocumentAsync(document => document["pause"] is null, "the end of the pause is told");
        var (code, text) = await leader.SendAsync("POST", "/switchover", new JsonObject
        {
            ["leader"] = leader.Name,
            ["candidate"] = cluster.ReplicasOf(leader)[0].Name,
            ["scheduled_at"] = at.ToString("yyyy-MM-ddTHH:mm:sszzz", CultureInfo.InvariantCulture),
        });
        await DocumentAsync(
            document => document["scheduled_switchover"] is JsonObject plan
                && (string?)plan["from"] == leader.Name
                && (string?)plan["to"] == cluster.ReplicasOf(leader)[0].Name
                && DateTimeOffset.Parse((string)plan["at"]!, CultureInfo.InvariantCulture) > at.AddSeconds(-2),
            "the switchover is told");
        await leader.SendAsync("DELETE", "/switchover");
        await DocumentAsync(document => document["scheduled_switchover"] is null, "no switchover is told");

        Assert.True(code == 202, text);
        Assert.Equal(leader, await cluster.HealthyAsync());

        Task DocumentAsync(Func<JsonNode, bool> fits, string what) => cluster.UntilAsync(
            async () => await leader.GetAsync("/cluster") is { } document && fits(document), what);
    }

    /// <summary>pgwatch, Datadog, PMM, Pigsty, Grafana 18870, awesome-prometheus-alerts.</summary>
    [Fact]
    public async Task Every_series_has_its_name_its_type_and_the_labels_of_cluster_and_member()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var leading = 0;

        foreach (var node in cluster.Nodes)
        {
            var text = await TextAsync(node, "/metrics");
            var values = Series().Matches(text)
                .Where(match => match.Groups["labels"].Value == $"scope=\"{cluster.Scope}\",name=\"{node.Name}\"")
                .ToDictionary(
                    match => match.Groups["name"].Value,
                    match => double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture));

            Assert.Equal(values.Count, Series().Count(text));
            Assert.Equal(s_metrics.Select(name => name.Split(':')[^1]).Order(StringComparer.Ordinal),
                values.Keys.Order(StringComparer.Ordinal));
            Assert.All(s_metrics, name =>
            {
                var type = name.StartsWith("c:", StringComparison.Ordinal) ? "counter" : "gauge";
                Assert.Contains($"# TYPE patroni_{name.Split(':')[^1]} {type}\n", text, StringComparison.Ordinal);
            });
            // PMM: major × 10000 + minor × 100 + patch.
            var version = ((string)(await node.DocumentAsync("/patroni"))["patroni"]!["version"]!).Split('.')
                .Select(part => int.Parse(part, CultureInfo.InvariantCulture)).ToArray();
            Assert.Equal(version[0] * 10_000 + version[1] * 100 + version[2], values["version"]);
            // PMM: seconds, which it multiplies by 1000.
            Assert.InRange(values["dcs_last_seen"], 1.5e9, 1e10);
            leading += (int)(values["primary"] + values["standby_leader"]);
            Assert.Equal(node == leader ? 0 : 1, values["replica"]);
            Assert.Equal((1, 0, 0),
                (values["postgres_running"], values["cluster_unlocked"], values["is_paused"]));
        }
        Assert.Equal(1, leading);
    }

    /// <summary>confd's templates, vip-manager, pgwatch's discovery.</summary>
    [Fact]
    public async Task The_keys_have_explicit_ports_and_bare_names()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        var keys = await cluster.Keys.AllAsync();

        Assert.Equal(leader.Name, keys["leader"].Value);
        foreach (var node in cluster.Nodes)
        {
            var member = keys[$"members/{node.Name}"].Json;
            // What stands after an @ is taken; host and port are cut out of the URL.
            Assert.Equal($"postgres://127.0.0.1:{node.Port}/postgres", (string?)member["conn_url"]);
            Assert.Equal($"http://127.0.0.1:{node.RestPort}/patroni", (string?)member["api_url"]);
            Assert.Equal(node == leader ? "primary" : "replica", (string?)member["role"]);
            Assert.Equal("running", (string?)member["state"]);
            Assert.Matches(@"^\d+\.\d+\.\d+$", (string?)member["version"]);
        }
        Assert.Matches(@"^\d+$", keys["initialize"].Value);
    }

    private static Task StreamingAsync(TestCluster cluster, TestNode leader) => cluster.UntilAsync(
        async () => await cluster.ReplicasOf(leader).ToAsyncEnumerable()
            .AllAsync(async (node, _) => await node.StatusAsync("/replica?lag=10MB") == 200),
        "the standbys answer as replicas");

    private static IEnumerable<string> Names(JsonObject map) => map.Select(pair => pair.Key);

    private static async Task<string> TextAsync(TestNode node, string path)
    {
        var (code, text) = await node.SendAsync("GET", path);
        Assert.Equal(200, code);
        return text;
    }

    [GeneratedRegex(@"^patroni_(?<name>\w+)\{(?<labels>[^}]*)\} (?<value>\S+)$", RegexOptions.Multiline)]
    private static partial Regex Series();
}
