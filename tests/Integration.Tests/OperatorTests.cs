using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>What an operator does with routingctl, on a real cluster.</summary>
[Collection(SharedCluster.Name)]
public sealed class OperatorTests(ClusterFixture fixture)
{
    [Fact]
    public async Task A_query_goes_to_a_member_of_the_role_and_an_error_is_a_row()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        const string sql =
            "SELECT pg_is_in_recovery() AS standby, 1.50::numeric AS n, 7 AS i, NULL::text AS t, 'a b' AS s";

        var (_, onStandby) =
            await cluster.CtlAsync("query", cluster.Scope, "-r", "replica", "-c", sql, "--format", "json");
        var (_, onPrimary) =
            await cluster.CtlAsync("query", cluster.Scope, "-r", "primary", "-c", sql, "--delimiter", "|");
        var (_, byName) = await cluster.CtlAsync(
            "query", cluster.Scope, "-m", leader.Name, "-d", "postgres", "-U", "postgres", "-c", "SHOW port");
        var (code, wrong) = await cluster.CtlAsync("query", cluster.Scope, "-c", "SELEC 1");

        Assert.Equal("""[{"standby": true, "n": 1.50, "i": 7, "t": null, "s": "a b"}]""" + "\n", onStandby);
        Assert.Equal("standby|n|i|t|s\nFalse|1.50|7|None|a b\n", onPrimary);
        Assert.Equal($"port\n{leader.Port}\n", byName);
        Assert.Equal(0, code);
        Assert.Matches(@"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\tERROR, SQLSTATE: 42601 syntax error at or near ""SELEC""\n$",
            wrong);
    }

    [Fact]
    public async Task A_pause_and_its_end_are_seen_by_every_member()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        var (paused, pauseText) = await cluster.CtlAsync("pause", cluster.Scope, "--wait");
        var (_, list) = await cluster.CtlAsync("list", cluster.Scope);
        var (resumed, resumeText) = await cluster.CtlAsync("resume", cluster.Scope, "--wait");

        Assert.True((paused, resumed) == (0, 0), pauseText + resumeText);
        Assert.EndsWith("Success: cluster management is paused\n", pauseText, StringComparison.Ordinal);
        Assert.EndsWith("Success: cluster management is resumed\n", resumeText, StringComparison.Ordinal);
        Assert.Contains(" Maintenance mode: on\n", list, StringComparison.Ordinal);
        Assert.Equal(leader, await cluster.HealthyAsync());
    }

    [Fact]
    public async Task Parameters_are_checked_by_the_servers_own_catalogue_before_they_are_written()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var before = (await cluster.Keys.GetAsync("config"))!.Value;

        var (refused, why) =
            await cluster.CtlAsync("edit-config", cluster.Scope, "-q", "-p", "work_mem=64M", "-p", "max_conections=5");
        var kept = (await cluster.Keys.GetAsync("config"))!.Value;
        var (changed, how) = await cluster.CtlAsync(
            "edit-config", cluster.Scope, "-q", "--force", "-p", "work_mem=65MB", "-p",
            "vacuum_buffer_usage_limit=null");
        await cluster.UntilAsync(async () => await leader.SqlAsync("SHOW work_mem") == "65MB",
            "the server takes the change");
        var (restored, _) =
            await cluster.CtlAsync("edit-config", cluster.Scope, "-q", "--force", "-p", "work_mem=null");

        Assert.Equal((1, 0, 0), (refused, changed, restored));
        Assert.Contains(
            "Error: postgresql.parameters.work_mem is \"64M\", but has the unit M; possible are B, kB, MB, GB, TB.\n",
            why, StringComparison.Ordinal);
        Assert.Contains(
            "Error: postgresql.parameters.max_conections is no parameter of this server; max_connections is.\n", why,
            StringComparison.Ordinal);
        Assert.Equal(before, kept);
        Assert.Equal("Configuration changed\n", how);
    }

    [Fact]
    public async Task REST_asks_the_same_catalogue_and_tells_which_members_need_a_restart()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var before = (await cluster.Keys.GetAsync("config"))!.Value;

        var (unknown, _, why) =
            await leader.AnswerAsync("PATCH", "/config", """{"postgresql":{"parameters":{"max_conections":5}}}""");
        var (wrong, _, how) =
            await leader.AnswerAsync("PATCH", "/config", """{"postgresql":{"parameters":{"work_mem":"64M"}}}""");
        var kept = (await cluster.Keys.GetAsync("config"))!.Value;
        var restart = await leader.HeadersAsync(
            "PATCH", "/config", """{"postgresql":{"parameters":{"max_logical_replication_workers":5,"a.b":"1"}}}""");
        await leader.AnswerAsync(
            "PATCH", "/config", """{"postgresql":{"parameters":{"max_logical_replication_workers":null,"a.b":null}}}""");

        Assert.Equal((400, 400, before), (unknown, wrong, kept));
        Assert.Contains("is no parameter of this server; max_connections is.", why, StringComparison.Ordinal);
        Assert.Contains("has the unit M; possible are B, kB, MB, GB, TB.", how, StringComparison.Ordinal);
        Assert.Equal("max_logical_replication_workers", Assert.Single(restart.GetValues("Routing-Restart")));
        Assert.Equal(string.Join(", ", cluster.Nodes.Select(node => node.Name).Order(StringComparer.Ordinal)),
            Assert.Single(restart.GetValues("Routing-Restart-Members")));
        Assert.False(restart.Contains("Routing-Remark"));
    }

    [Fact]
    public async Task A_reload_is_taken_on_by_every_member()
    {
        var (cluster, _) = await fixture.TakeAsync();

        var (code, output) = await cluster.CtlAsync("reload", cluster.Scope, "--force");

        Assert.Equal(0, code);
        Assert.All(cluster.Nodes, node => Assert.Contains(
            $"Reload request received for member {node.Name} and will be processed within ", output,
            StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_list_takes_less_than_a_tenth_of_a_second()
    {
        Assert.SkipUnless(Programs.AreNative, "It is the native program that starts fast.");
        var (cluster, _) = await fixture.TakeAsync();
        await cluster.CtlAsync("list", cluster.Scope);   // the program is in memory from now on
        var times = new List<TimeSpan>();

        for (var round = 0; round < 20; round++)
        {
            var start = TimeProvider.System.GetTimestamp();
            var (code, output) = await cluster.CtlAsync("list", cluster.Scope);
            times.Add(TimeProvider.System.GetElapsedTime(start));
            Assert.True(code == 0, output);
        }

        // The best of them: the tests beside this one may take the processor for a while.
        BusyMachine.AssertWithin(TimeSpan.FromMilliseconds(100), times.Min());
    }

    [Fact]
    public async Task A_cluster_that_is_well_is_checked_without_an_error()
    {
        var (cluster, _) = await fixture.TakeAsync();

        var (_, output) = await cluster.CtlAsync("check", cluster.Scope);

        Assert.DoesNotContain("ERROR", output, StringComparison.Ordinal);
        Assert.DoesNotContain("not checked", output, StringComparison.Ordinal);
    }
}
