using System.Text.Json.Nodes;
using Routing.Cli.Checks;
using Routing.Dcs.Etcd;

namespace Routing.Cli.Tests;

public sealed class CheckTests
{
    private static readonly long s_noon = Ctl.Noon.ToUnixTimeSeconds();

    [Fact]
    public async Task A_cluster_that_is_well_is_one_line_and_exit_code_0()
    {
        await using var rest = Member("primary");
        await using var standby = Member("replica");
        await using var etcd = Etcd();
        var ctl = Well(rest, standby, etcd);

        var ended = await ctl.RunAsync("check pay");

        Assert.Equal((0, "OK: pay has 2 members; pg-a leads on timeline 4\n"), (ended.ExitCode, ended.Output));
    }

    [Fact]
    public async Task What_is_not_as_it_should_be_is_one_line_each_and_exit_code_1()
    {
        await using var rest = Member("primary", $$""","watchdog_failed":true,"dcs_last_seen":{{s_noon + 60}}""");
        await using var standby = Member(
            "primary", $$""","dcs_last_seen":{{s_noon - 100}}""",
            """routing_postgres_unhealthy{scope="pay",name="pg-b",problem="disk_full"} 1""");
        await using var etcd = Etcd("3.5.1", health: "false");
        var ctl = Well(rest, standby, etcd);
        ctl.Dcs.Put("config", """{"pause":true,"ttl":"long","synchronous_mode":"on"}""");
        ctl.Dcs.Put("status", """{"optime":2190000000,"slots":{"old":1}}""");
        ctl.Dcs.Put("sync", "{}");
        ctl.PutMember("pg-b", $$$"""
            {"conn_url":"postgres://10.1.0.12:5432/postgres","api_url":"{{{standby.ApiUrl}}}","state":"running","role":"replica","timeline":3,
             "replay_lsn":2100000000,"replication_state":"in archive recovery","pending_restart":true,
             "pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"}},"routing":{"version":"0.1.0","fence":false}}
            """);

        var ended = await ctl.RunAsync("check pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.Equal(
            $"""
            ERROR: etcd {new Uri(etcd.Address).Authority} says that it is not healthy
            ERROR: etcd {new Uri(etcd.Address).Authority} is version 3.5.1, which may lose data when it is killed under load: mended in 3.5.3
            ERROR: pg-b does not stream: it is in archive recovery
            ERROR: pg-b is on timeline 3, the leader on 4
            ERROR: pg-a requires a watchdog, and it is not usable: it can't lead
            ERROR: pg-b runs a primary and is not the leader
            ERROR: pg-b last saw etcd 100 s ago, or its clock is behind this machine's
            ERROR: pg-b has a PostgreSQL that is unwell: disk_full
            WARNING: pay has a wrong setting: ttl is "long", but must be a whole number of seconds; 30 holds.
            WARNING: pay is paused: there is no automatic failover
            WARNING: pay runs agents of different versions: Patroni 4.1.4, 0.1.0
            WARNING: pay has no synchronous standby: what is committed now is on one server only
            WARNING: pay keeps 2 GB of WAL for the slot old
            WARNING: pg-a has not seen that the cluster is paused
            WARNING: pg-b lacks 85 MB of WAL
            WARNING: pg-b waits for a restart: max_connections
            WARNING: pg-b has no fence: see event 1503 in its log
            WARNING: pg-b has not seen that the cluster is paused
            WARNING: pg-a has a clock that is 60 s ahead of this machine's

            """,
            ended.Output);
    }

    [Fact]
    public async Task Scripts_can_read_it()
    {
        await using var rest = Member("primary");
        await using var etcd = Etcd("3.4.23");
        var ctl = Well(rest, rest, etcd);
        ctl.Dcs.Delete("leader");
        ctl.Dcs.Delete("members/pg-b");

        var json = await ctl.RunAsync("check pay -f json");
        var tsv = await ctl.RunAsync("check pay -f tsv");

        Assert.Equal(
            """[{"Severity": "ERROR", "Subject": "pay", "Problem": "has no leader"}, """
            + """{"Severity": "ERROR", "Subject": "pg-a", "Problem": "does not stream"}, """
            + """{"Severity": "ERROR", "Subject": "pg-a", "Problem": "runs a primary and is not the leader"}]""" + "\n",
            json.Output);
        Assert.Equal(1, json.ExitCode);
        Assert.StartsWith("Severity\tSubject\tProblem\nERROR\tpay\thas no leader\n", tsv.Output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_does_not_answer_is_named()
    {
        await using var rest = Member("primary");
        var ctl = new Ctl().WithPay(rest.ApiUrl, "http://127.0.0.1:1/patroni");
        ctl.Variables["DCS_URL"] = "127.0.0.1:1";

        var ended = await ctl.RunAsync("check pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("ERROR: etcd 127.0.0.1:1 gives no answer: ", ended.Output, StringComparison.Ordinal);
        Assert.Contains("ERROR: pg-b has a REST API that gives no answer: ", ended.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("3.3.25", "Warning")]
    [InlineData("3.4.21", "Warning")]
    [InlineData("3.4.22", null)]
    [InlineData("3.4.23", null)]
    [InlineData("3.5.0", "Error")]
    [InlineData("3.5.2", "Error")]
    [InlineData("3.5.5", "Warning")]
    [InlineData("3.5.6", null)]
    [InlineData("3.5.16-debian", null)]
    [InlineData("3.6.1", null)]
    [InlineData("three", "Warning")]
    [InlineData(null, "Warning")]
    public void Versions_of_etcd_with_known_faults_are_named(string? version, string? severity)
    {
        var findings = EtcdChecks.Of(new EtcdReport(new Uri("http://h:2379"), version, IsHealthy: true, Problem: null));

        Assert.Equal(severity, findings.SingleOrDefault()?.Severity.ToString());
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("\"problem\": \"the repository has no stanza pay: create it\"",
        "ERROR: pg-a can't use the repository of backups: the repository has no stanza pay: create it")]
    [InlineData("\"backups\": []", "ERROR: pg-a has a repository without a backup")]
    [InlineData("\"time\": \"2026-08-02T12:00:00Z\"",
        "WARNING: pg-a has no backup of the last 26 h: the last one, 20260801-030000F, ended 32.8 h ago")]
    [InlineData("\"missing_wal\": \"000000010000000000000005\"",
        "ERROR: pg-a has a repository without the WAL 000000010000000000000005: nothing can be restored to a later "
            + "moment than that, until there is a new backup")]
    [InlineData("\"wal_problem\": \"refused\"", "WARNING: pg-a can't look through the WAL in the repository: refused")]
    [InlineData("\"archiver\": {\"fails\": true, \"failed_wal\": \"000000010000000000000007\", \"failures\": 9}",
        "ERROR: pg-a can't archive 000000010000000000000007: 9 failures, the last after the last success")]
    public async Task Backups_that_are_not_as_they_should_be_are_named(string differs, string? finding)
    {
        var repository = JsonNode.Parse("""
            {"member": "pg-a", "time": "2026-08-01T12:00:00Z", "stanza": "pay", "problem": null, "maximum_age": 93600,
             "backups": [{"label": "20260801-030000F", "type": "full", "stop": "2026-08-01T03:10:00Z"}],
             "first_wal": "000000010000000000000002", "last_wal": "000000010000000000000006", "missing_wal": null,
             "wal_problem": null, "archiver": {"fails": false}}
            """)!.AsObject();
        foreach (var (name, value) in JsonNode.Parse($"{{{differs}}}")!.AsObject())
        {
            repository[name] = value?.DeepClone();
        }
        await using var rest = Member("primary", backups: repository.ToJsonString());
        await using var standby = Member("replica");
        await using var etcd = Etcd();
        var ctl = Well(rest, standby, etcd);
        ctl.PutMember("pg-a", ctl.Dcs.Keys["members/pg-a"].Value[..^1] + ""","routing":{"version":"0.1.0","fence":true}}""");

        var ended = await ctl.RunAsync("check pay");

        var found = ended.Output.Split('\n').Where(line => line.Contains("pg-a", StringComparison.Ordinal)
            && !line.StartsWith("OK", StringComparison.Ordinal));
        Assert.Equal(finding, string.Join('\n', found) is { Length: > 0 } text ? text : null);
    }

    private static Ctl Well(RestStub leader, RestStub standby, RestStub etcd)
    {
        var ctl = new Ctl().WithPay(leader.ApiUrl, standby.ApiUrl);
        ctl.Variables["DCS_URL"] = new Uri(etcd.Address).Authority;
        ctl.Dcs.Put("members/pg-a",
            ctl.Dcs.Keys["members/pg-a"].Value.Replace("10.1.0.11:5432", "127.0.0.1:1", StringComparison.Ordinal));
        return ctl;
    }

    private static RestStub Member(
        string role, string? more = null, string metrics = "routing_postgres_unhealthy{problem=\"hangs\"} 0",
        string? backups = null) =>
        RestStub.Start(call => (200, call.Line == "GET /metrics"
            ? metrics + "\n"
            : call.Line == "GET /backup" && backups is not null
            ? backups
            : $$"""{"state":"running","role":"{{role}}"{{more ?? $",\"dcs_last_seen\":{s_noon - 1}"}}}"""));

    private static RestStub Etcd(string version = "3.5.16", string health = "true") =>
        RestStub.Start(call => call.Line == "GET /version"
        ? (200, $$"""{"etcdserver":"{{version}}","etcdcluster":"3.5.0"}""")
        : (200, $$"""{"health":"{{health}}"}"""));
}
