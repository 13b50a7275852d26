using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>A primary whose lease runs out is stopped in time, whatever else this member is doing.</summary>
public sealed class SafetyTests
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(DemoteMode.Graceful)]
    [InlineData(DemoteMode.Shutdown)]
    public void A_demotion_that_may_take_long_is_overtaken_when_the_lease_runs_out(DemoteMode running)
    {
        var decision = HaLoop.Decide(Primary(leaseLeft: 4) with { Job = Demoting(running), IsDcsLive = false });

        Assert.Equal([new HaAction.CancelJob(), new HaAction.Demote(DemoteMode.Offline)], decision.Actions);
    }

    [Theory]
    [InlineData(DemoteMode.Offline)]
    [InlineData(DemoteMode.Immediate)]
    [InlineData(DemoteMode.ImmediateNoLock)]
    public void A_demotion_that_is_bounded_goes_on(DemoteMode running) =>
        Assert.Empty(HaLoop.Decide(Primary(leaseLeft: 4) with { Job = Demoting(running), IsDcsLive = false }).Actions);

    [Fact]
    public void A_demotion_by_request_goes_on_while_the_lease_lasts() =>
        Assert.Empty(HaLoop.Decide(Primary(leaseLeft: 20) with { Job = Demoting(DemoteMode.Graceful) }).Actions);

    [Fact]
    public void A_server_that_waits_for_its_standbys_after_the_key_was_given_up_is_left_to_end()
    {
        var o = Primary(leaseLeft: 0) with { Job = Demoting(DemoteMode.Graceful), Lease = default };
        o = o with
        {
            Cluster = o.Cluster! with { Leader = null },
            Local = o.Local with { Server = ServerState.Unresponsive, SessionsHaveEnded = true },
        };

        Assert.Empty(HaLoop.Decide(o).Actions);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("b")]
    public void An_agent_that_is_told_to_end_stops_a_primary_without_the_key_at_once(string? leader)
    {
        var o = Every.Of(Every.Server(ServerState.Running, isPrimary: true), leader,
            default) with { ShutdownRequested = true };

        Assert.Equal([new HaAction.Demote(DemoteMode.ImmediateNoLock)], HaLoop.Decide(o).Actions);
    }

    [Theory]
    [InlineData(10.5, false)]
    [InlineData(9.5, true)]
    public void The_margin_is_larger_while_a_hardware_watchdog_is_active(double leaseLeft, bool stops)
    {
        var o = Primary(leaseLeft) with { IsDcsLive = false };

        var decision = HaLoop.Decide(o with { Lease = o.Lease with { Reserve = TimeSpan.FromSeconds(5) } });

        Assert.Equal(stops, decision.Actions.Any(action => action is HaAction.Demote));
    }

    [Fact]
    public void Members_are_asked_for_their_consent_before_the_larger_margin_is_reached()
    {
        // The watchdog fires at half of the lease: the loop stops PostgreSQL 18 s before the lease ends.
        var o = Every.Of(
            Every.Server(ServerState.Running, isPrimary: true), "a",
            new LeaseView(true, new Term(50), TimeSpan.FromSeconds(20), false,
                s_ttl) { Reserve = TimeSpan.FromSeconds(15) },
            config: Every.Config("""{"failsafe_mode":true}"""));

        Assert.Equal([new HaAction.AskFailsafe()], HaLoop.Decide(o with { Failsafe = default }).Actions);
    }

    [Theory]
    [InlineData(24, false)]
    [InlineData(26, true)]
    public void A_primary_that_the_DCS_has_not_confirmed_within_one_lease_is_stopped(double seconds, bool stops)
    {
        var decision = HaLoop.Decide(Unknown() with { Now = TimeSpan.FromSeconds(seconds) });

        Assert.Equal(stops, decision.Actions.Any(action => action is HaAction.Demote { Mode: DemoteMode.Offline }));
    }

    [Fact]
    public void Nothing_is_stopped_in_a_pause_though_the_DCS_has_never_answered() => Assert.Empty(HaLoop.Decide(
        Unknown() with { Now = TimeSpan.FromHours(1), Config = Every.Config("""{"pause":true}""") }).Actions);

    [Fact]
    public void An_agent_that_is_told_to_end_before_the_first_answer_ends() => Assert.Equal(
        [new HaAction.Exit(0)], HaLoop.Decide(Unknown() with { ShutdownRequested = true }).Actions);

    private static Observation Unknown() =>
        Every.Of(Every.Server(ServerState.Running, isPrimary: true), null,
            new LeaseView(false, default, default, false, s_ttl), isLive: false) with
        {
            Cluster = null,
        };

    private static Observation Primary(double leaseLeft) => Every.Of(
        Every.Server(ServerState.Running, isPrimary: true), "a",
        new LeaseView(true, new Term(50), TimeSpan.FromSeconds(leaseLeft), false, s_ttl));

    private static JobView Demoting(DemoteMode mode) =>
        new(JobKind.Demote, Every.Now - TimeSpan.FromSeconds(1), "started") { Demotion = mode };
}
