using Routing.Cluster;
using Routing.Ha.Health;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>The leader's PostgreSQL is unwell though its process runs.</summary>
public sealed class HealthTests
{
    private const string Failover = """{"routing_health":{"policy":"failover","patience":30}}""";
    private static readonly DiskHealth s_full = new(HealthProblem.DiskFull, "no space");

    [Fact]
    public void By_default_a_full_disk_is_reported_and_nothing_else_is_done()
    {
        var decision = HaLoop.Decide(Leader("{}", since: 3000) with { Peers = Every.Answers(200, isPrimary: false) });

        Assert.Equal("unhealthy_disk_full", decision.Code);
        Assert.Contains("no space", decision.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain(decision.Actions, action => action is HaAction.Demote);
    }

    [Fact]
    public void With_the_policy_failover_the_leadership_is_given_up_once_a_standby_has_everything()
    {
        var decision = HaLoop.Decide(Leader(Failover, since: 31) with { Peers = Every.Answers(200, isPrimary: false) });

        Assert.Equal("unhealthy_disk_full", decision.Code);
        Assert.Equal(new HaAction.Demote(DemoteMode.Immediate), Assert.Single(decision.Actions));
        Assert.True(decision.Memory.BarredFromRaceUntil > Every.Now);
    }

    [Fact]
    public void It_is_kept_while_the_problem_is_younger_than_the_patience() => Keeps(
        Leader(Failover, since: 29) with { Peers = Every.Answers(200, isPrimary: false) });

    [Fact]
    public void It_is_kept_while_no_standby_has_everything() => Keeps(
        Leader(Failover, since: 31) with { Peers = Every.Answers(100, isPrimary: false) });

    [Fact]
    public void It_is_kept_while_no_standby_answers() => Keeps(
        Leader(Failover, since: 31) with { Peers = Every.Answers(200, isPrimary: false, reachable: false) });

    [Fact]
    public void It_is_kept_while_the_cluster_is_paused() => Keeps(Leader(
        """{"pause":true,"routing_health":{"policy":"failover","patience":30}}""", since: 31) with
    {
        Peers = Every.Answers(200, isPrimary: false),
    });

    [Fact]
    public void The_others_are_asked_once_in_a_while_and_not_all_the_time()
    {
        var asks = HaLoop.Decide(Leader(Failover, since: 31) with { Peers = null });
        var o = Leader(Failover, since: 31);

        Assert.IsType<HaAction.ProbePeers>(Assert.Single(asks.Actions));
        Keeps(o with { Peers = null, Memory = o.Memory with { HealthAskedAt = Every.Now - TimeSpan.FromSeconds(2) } });
    }

    /// <summary>Each look at it waits for the whole time-out.</summary>
    [Fact]
    public void A_server_that_hangs_does_not_make_the_answers_of_the_others_too_old()
    {
        var o = Leader(Failover, since: 31,
            local => local with { Disk = DiskHealth.Good, Server = ServerState.Unresponsive });
        o = o with
        {
            Memory =
                o.Memory with { Health =
                    Since(HealthProblem.Hangs, 31) with { SilentSince = Every.Now - TimeSpan.FromSeconds(46) } },
            Peers = Every.Answers(200, isPrimary: false),
            Now = Every.Now + TimeSpan.FromSeconds(2.6),
            Took = TimeSpan.FromSeconds(2.6),
        };

        Assert.Equal(new HaAction.Demote(DemoteMode.Immediate), Assert.Single(HaLoop.Decide(o).Actions));
        Keeps(o with { Took = TimeSpan.Zero });
    }

    [Fact]
    public void Exhausted_connections_are_reported_and_never_cost_the_leadership()
    {
        var o = Leader(Failover, since: 0, local => local with
        {
            Disk = DiskHealth.Good, Server = ServerState.Unresponsive, HasFreeConnections = false,
        });
        o = o with { Peers = Every.Answers(200, isPrimary: false),
            Memory = o.Memory with { Health = Since(HealthProblem.NoConnections, 5000) } };

        Assert.Equal("unhealthy_no_connections", HaLoop.Decide(o).Code);
        Keeps(o);
    }

    [Fact]
    public void A_server_that_is_slow_to_answer_is_not_one_that_hangs()
    {
        var memory = HealthMemory.None;
        var silent = Every.Server(ServerState.Unresponsive, isPrimary: true);
        for (var second = 0; second < 14; second++)
        {
            memory = HealthRules.Remember(memory, silent, TimeSpan.FromSeconds(second));
        }
        var slow = memory.Problem;
        memory = HealthRules.Remember(memory, silent, TimeSpan.FromSeconds(15));
        var hangs = memory.Problem;
        memory =
            HealthRules.Remember(memory, Every.Server(ServerState.Running, isPrimary: true), TimeSpan.FromSeconds(16));

        Assert.Equal((HealthProblem.None, HealthProblem.Hangs, HealthProblem.None), (slow, hangs, memory.Problem));
        Assert.Null(memory.SilentSince);
    }

    [Fact]
    public void The_time_of_a_problem_begins_anew_when_another_takes_its_place()
    {
        var full = Every.Server(ServerState.Running, isPrimary: true) with { Disk = s_full };
        var first = HealthRules.Remember(HealthMemory.None, full, TimeSpan.FromSeconds(5));
        var same = HealthRules.Remember(first, full, TimeSpan.FromSeconds(9));
        var other = HealthRules.Remember(
            same, full with { Disk = new DiskHealth(HealthProblem.DiskReadOnly, "read-only") },
            TimeSpan.FromSeconds(12));

        Assert.Equal((TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(12)), (same.Since, other.Since));
    }

    [Fact]
    public void Wrong_settings_are_named_and_the_safe_ones_hold()
    {
        var config = Every.Config("""{"routing_health":{"policy":"shoot","patience":1,"interval":"-1"}}""");

        Assert.Equal(HealthConfig.Default, config.Health);
        Assert.Equal(3, config.Problems.Length);
    }

    private static void Keeps(Observation o) =>
        Assert.DoesNotContain(HaLoop.Decide(o).Actions, action => action is HaAction.Demote or HaAction.ReleaseLeader);

    private static HealthMemory Since(HealthProblem problem, int seconds) =>
        new(problem, "", Every.Now - TimeSpan.FromSeconds(seconds), null);

    private static Observation Leader(string json, int since, Func<LocalPostgres, LocalPostgres>? change = null)
    {
        var local = Every.Server(ServerState.Running, isPrimary: true) with { Disk = s_full };
        return Every.Of(
            change?.Invoke(local) ?? local, "a",
            new LeaseView(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30)),
            config: Every.Config(json)) with
        {
            Memory = LoopMemory.Empty with { Health = Since(HealthProblem.DiskFull, since) },
        };
    }
}
