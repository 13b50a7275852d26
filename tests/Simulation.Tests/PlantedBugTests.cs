using Routing.Cluster;
using Routing.Ha;
using Xunit;
using static Routing.Simulation.Tests.Planted;

namespace Routing.Simulation.Tests;

/// <summary>A checker that never complains proves nothing: each finds the bug that is planted for it.</summary>
public sealed class PlantedBugTests
{
    [Fact]
    public void A_dead_fence_and_a_frozen_agent_make_two_primaries() => Finds("accepts writes although", new SimOptions
    {
        FenceIsDead = true,
        Ttl = 30,   // where no fence runs, leases are not shorter
        LoopWait = 10,
        RetryTimeout = 10,
        Storm = TimeSpan.FromSeconds(120),
        Faults = [Fault.FreezeAgent],
    });

    [Fact]
    public void A_lease_counted_from_the_answer_makes_two_primaries() => Finds("accepts writes although", new SimOptions
    {
        CountsFromTheAnswer = true,
        Faults = [Fault.SlowDcs, Fault.FreezeAgent],
        MeanPause = TimeSpan.FromSeconds(1),   // a slow answer, and a freeze ahead of the next renewal
        RetryTimeout = 2,
    });

    [Fact]
    public void A_guard_that_does_not_follow_a_shorter_lease_makes_two_primaries() =>
        Finds("accepts writes although", new SimOptions
    {
        KeepsLongerDeadlines = true,
        Ttl = 30,
        Faults = [Fault.ChangeTimes, Fault.FreezeAgent],
        MeanPause = TimeSpan.FromSeconds(2),
    });

    [Fact]
    public void A_consent_that_ends_with_the_agent_s_life_makes_two_primaries() =>
        Finds("accepts writes although", new SimOptions
    {
        ForgetsConsents = true,
        Failsafe = true,
        Ttl = 30,
        LoopWait = 10,
        RetryTimeout = 10,
        Faults = [Fault.CutFromDcs, Fault.FreezeAgent, Fault.KillAgent],
        MeanPause = TimeSpan.FromSeconds(4),
        Storm = TimeSpan.FromSeconds(90),
    });

    [Fact]
    public void A_promotion_without_the_leader_key_is_found() => Finds("without the leader key", new SimOptions
    {
        PromotesItself = true,
        Faults = [Fault.KillNode],
    });

    [Fact]
    public void An_asynchronous_standby_that_races_loses_commits() =>
        Finds("acknowledged in synchronous mode", new SimOptions
    {
        Mode = SynchronousMode.Priority,
        Spoil = (_, decision) =>
            decision.Code == "not_synchronous" ? With(decision, new HaAction.AcquireLeader()) : decision,
        Faults = [Fault.KillNode, Fault.SlowStandby],
    });

    [Fact]
    public void Votes_that_are_not_counted_lose_commits() => Finds("acknowledged in synchronous mode", new SimOptions
    {
        Mode = SynchronousMode.Quorum,
        Nodes = 4,
        Spoil = (o, decision) =>
            decision.Code is "no_quorum" or "behind" ? With(decision, new HaAction.AcquireLeader()) : decision,
        Faults = [Fault.KillNode, Fault.SlowStandby],
    });

    [Fact]
    public void A_switchover_that_does_not_wait_for_the_candidate_loses_commits() =>
        Finds("and nothing had failed", new SimOptions
    {
        Spoil = (_, decision) =>
            decision.Code == "steps_down" ? With(decision, new HaAction.Demote(DemoteMode.Immediate)) : decision,
        Faults = [Fault.Switchover],
    });

    [Fact]
    public void A_timeline_that_is_opened_twice_corrupts_a_standby() => Finds("but its WAL up to", new SimOptions
    {
        Spoil = (_, decision) => decision.Code == "promotes" ? With(decision, new HaAction.Promote(0)) : decision,
        Faults = [Fault.KillNode, Fault.KillNode, Fault.CutFromPeers],
        MeanPause = TimeSpan.FromSeconds(2),
        MayRemoveDivergedData = true,
    });

    [Fact]
    public void A_standby_that_takes_over_in_a_pause_makes_two_primaries() =>
        Finds("two nodes accept writes", new SimOptions
    {
        Spoil = (_, decision) => decision.Code switch
        {
            "paused" => With(decision, new HaAction.AcquireLeader()),
            "releasing" => With(decision, new HaAction.Promote(9)),
            _ => decision,
        },
        Faults = [Fault.PauseAndCut],
    });

    [Fact]
    public void A_lease_that_nobody_renews_any_more_is_found() => Finds("not every node came back", new SimOptions
    {
        KeeperHangs = true,
        Faults = [Fault.BreakKeeper],
    });

    [Fact]
    public void A_claim_of_anybody_to_lead_by_failsafe_mode_ends_every_failover() => Finds("no leader", new SimOptions
    {
        ConsentsToAnybody = true,
        Failsafe = true,
        Faults = [Fault.ForgedFailsafe, Fault.KillNode],
        MeanPause = TimeSpan.FromSeconds(3),
    });

    [Fact]
    public void A_race_that_asks_the_present_members_alone_makes_two_primaries() =>
        Finds("accepts writes although", new SimOptions
    {
        Spoil = (o, _) => HaLoop.Decide(o with { Memory = o.Memory with { Members = KnownMembers.None } }),
        Faults = [Fault.PauseAndCut],
    });

    [Fact]
    public void A_lease_that_ends_early_and_a_race_that_asks_nobody_make_two_primaries() =>
        Finds("accepts writes although", new SimOptions
    {
        Spoil = (_, decision) =>
            decision.Code is "asks_peers" or "primary_alive" ? With(decision, new HaAction.AcquireLeader()) : decision,
        Faults = [Fault.EndLeaseEarly, Fault.CutFromDcs],
        MeanPause = TimeSpan.FromSeconds(2),
    });

    [Fact]
    public void A_consent_that_ends_with_the_mode_makes_two_primaries() =>
        Finds("accepts writes although", new SimOptions
    {
        Failsafe = true,
        Spoil = (o, _) => HaLoop.Decide(o.Config.FailsafeMode
            ? o
            : o with { Failsafe = default, Memory = o.Memory with { Members = KnownMembers.None } }),
        Faults = [Fault.ChangeFailsafe, Fault.CutFromDcs],
        MeanPause = TimeSpan.FromSeconds(2),
    });

    [Fact]
    public void A_timeline_that_is_believed_whatever_it_is_is_found() => Finds("was the highest", new SimOptions
    {
        Spoil = (o, decision) =>
            decision.Code == "promotes" ? With(decision, new HaAction.Promote(o.Cluster!.UsedTimeline)) : decision,
        Faults = [Fault.ForgedTimeline, Fault.KillNode],
    });

    [Fact]
    public void Reads_from_a_standby_are_no_serial_history() => Finds("the history is not serialisable", new SimOptions
    {
        ReadsStandbys = true,
        Faults = [Fault.Switchover],
    });

    [Fact]
    public void A_view_that_goes_back_is_found() => Finds("went back", new SimOptions
    {
        ShowsOldSnapshots = true,
        Faults = [Fault.Switchover],
    });

    [Fact]
    public void A_healthy_leader_that_demotes_itself_is_found() => Finds("though nothing happened", new SimOptions
    {
        Spoil = (o, decision) => decision.Code == "leads" && o.Now > TimeSpan.FromSeconds(15)
            ? With(decision, new HaAction.Demote(DemoteMode.Immediate))
            : decision,
    });

    [Fact]
    public void A_cluster_that_never_elects_is_found() => Finds("no leader", new SimOptions
    {
        Spoil = (_, decision) => decision.Code == "races" ? decision with { Actions = [] } : decision,
        Faults = [Fault.KillNode, Fault.CutOff],
    });

    [Fact]
    public void A_node_that_never_comes_back_is_found() => Finds("not every node came back", new SimOptions
    {
        Spoil = (_, decision) => decision.Code is "rewinds" or "starts_standby" && decision.Memory.HasRun
            ? decision with { Actions = [] }
            : decision,
        Faults = [Fault.KillPostmaster],
        PrimaryStartTimeout = 0,
    });

    [Fact]
    public void A_decision_without_a_reason_is_found() => Finds("without a reason", new SimOptions
    {
        Spoil = (_, decision) => decision.Code == "busy" ? decision with { Reason = "" } : decision,
    });
}
