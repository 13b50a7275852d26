using Xunit;

namespace Routing.Ha.Tests;

/// <summary>All small observations, not a sample: what a decision may never be.</summary>
public sealed class EveryObservationTests
{
    [Fact]
    public void No_server_becomes_a_primary_without_the_leader_key() => Never((o, decision) =>
        decision.Actions.Any(a => a is HaAction.Promote or HaAction.StartPrimary) && !o.Leads);

    [Fact]
    public void No_primary_is_restarted_without_the_leader_key_unless_the_cluster_is_paused() => Never((o, decision) =>
        decision.Actions.Any(a => a is HaAction.Restart { AsPrimary: true }) && !o.Leads && !o.Paused);

    [Fact]
    public void The_data_of_a_leader_are_never_replaced() => Never((o, decision) =>
        decision.Actions.OfType<HaAction.CopyMember>().Any(copy =>
            o.Leader == o.Self || (copy.OrderId != 0 && (o.Lease.IsUncertain || o.FailsafeHolds))));

    [Fact]
    public void No_member_of_a_standby_cluster_becomes_a_primary() => Never((o, decision) =>
        o is { IsStandbyCluster: true, Paused: false }
        && decision.Actions.Any(a => a is HaAction.Promote or HaAction.StartPrimary or HaAction.Bootstrap
            or HaAction.Restart { AsPrimary: true }));

    [Fact]
    public void A_primary_of_a_standby_cluster_stops() => Never((o, decision) =>
        o is { IsStandbyCluster: true, Paused: false, Job: null, ShutdownRequested: false, Order: null,
            Local: { AcceptsWrites: true, Control: not null } }
        && !decision.Actions.Any(
            a => a is HaAction.Demote or HaAction.AttachLeader or HaAction.AcquireLeader or HaAction.ProbePeers)
        && o.Local.Data == DataDirectory.Ready);

    [Fact]
    public void Only_a_leader_of_a_standby_cluster_follows_the_remote_primary() => Never((o, decision) =>
        o.Leader != o.Self && decision.Actions.Any(a => a is HaAction.Follow { Upstream.Address.Host: "far" }
            or HaAction.StartStandby { Upstream.Address.Host: "far" }));

    [Fact]
    public void A_restart_of_a_primary_ends_with_the_leader_key() => Never((o, decision) =>
        o is { Job.RestartsPrimary: true, Leads: false, FailsafeHolds: false, Paused: false }
        && !decision.Actions.Any(a => a is HaAction.CancelJob));

    [Fact]
    public void An_order_is_answered_or_waits_and_never_starts_a_second_job() => Never((o, decision) =>
        o is { Order: not null, Job: not null } && decision.Actions.Any(a => a is HaAction.Restart));

    [Fact]
    public void No_healthy_holder_is_demoted_without_a_request() => Never((o, decision) =>
        o is { Leads: true, Job: null, ShutdownRequested: false, Cluster.Failover: null,
            Local: { Server: ServerState.Running, IsPrimary: true }, IsStandbyCluster: false }
        && decision.Actions.Any(a => a is HaAction.Demote or HaAction.ReleaseLeader));

    [Fact]
    public void Nobody_takes_a_key_that_another_holds() => Never((o, decision) =>
        o.Leader is not null && decision.Actions.Any(a => a is HaAction.AcquireLeader));

    [Fact]
    public void Nobody_attaches_to_a_key_that_names_another() => Never((o, decision) =>
        o.Cluster?.Leader?.Holder != o.Self && decision.Actions.Any(a => a is HaAction.AttachLeader));

    [Fact]
    public void Nobody_gives_up_a_key_that_is_not_its_own() => Never((o, decision) =>
        o.Leader != o.Self && decision.Actions.Any(a => a is HaAction.ReleaseLeader));

    [Fact]
    public void Nobody_gives_the_key_up_while_its_server_may_accept_writes() => Never((o, decision) =>
        o.Local.AcceptsWrites && !o.Paused && decision.Actions.Any(a => a is HaAction.ReleaseLeader));

    [Fact]
    public void A_primary_without_a_lease_is_never_left_alone() => Never((o, decision) =>
        o.Local.AcceptsWrites && !o.Leads && !o.FailsafeHolds && !o.Paused
        && o.Job is not ({ StopsInTime: true } or { Kind: JobKind.Bootstrap or JobKind.AbandonBootstrap })
        && !decision.Actions.Any(a => a is HaAction.Demote or HaAction.AttachLeader or HaAction.AcquireLeader));

    [Fact]
    public void A_primary_may_only_wait_for_the_race_while_nobody_leads() => Never((o, decision) =>
        o.Local.AcceptsWrites && !o.Leads && !o.FailsafeHolds && !o.Paused
            && (o.Leader is not null || o.Lease.IsUncertain || !o.IsDcsLive)
        && decision.Actions.Any(a => a is HaAction.ProbePeers or HaAction.AcquireLeader));

    [Fact]
    public void Nobody_takes_the_key_while_a_departed_member_answers_as_a_primary() => Never((o, decision) =>
        !o.Local.IsPrimary && decision.Actions.Any(a => a is HaAction.AcquireLeader)
        && o.Memory.Members.Departed.Keys.Any(
            name => o.Peers?.Reports.GetValueOrDefault(name) is not { IsPrimary: false }));

    [Fact]
    public void No_job_starts_while_another_runs_unless_that_one_is_cancelled_first() => Never((o, decision) =>
        o.Job is not null && decision.Actions.Any(a => a.IsJob) && decision.Actions[0] is not HaAction.CancelJob);

    [Fact]
    public void No_decision_starts_two_jobs() => Never((_, decision) => decision.Actions.Count(a => a.IsJob) > 1);

    [Fact]
    public void Damaged_data_never_start_without_a_leader_and_never_lead() => Never((o, decision) =>
        o.Local.Damage != DataDamage.None
        && decision.Actions.Any(
            a => a is HaAction.StartPrimary or HaAction.StartStandby or HaAction.Promote or HaAction.AcquireLeader
            or HaAction.Restart));

    [Fact]
    public void Half_rewound_data_and_those_to_be_replaced_never_start() => Never((o, decision) =>
        o.Local.Damage is DataDamage.HalfRewound or DataDamage.ToBeReplaced
        && decision.Actions.Any(a => a is HaAction.StartPrimary or HaAction.StartStandby));

    [Fact]
    public void Nothing_starts_or_stops_in_a_pause_without_a_request() => Never((o, decision) =>
        o is { Paused: true, Cluster.Failover: null, Order: null, Local.Damage: not DataDamage.ToBeReplaced }
        && decision.Actions.Any(
            a => a is HaAction.Promote or HaAction.StartPrimary or HaAction.StartStandby or HaAction.Bootstrap
            or HaAction.CopyMember or HaAction.Rewind or HaAction.Demote { Mode: not DemoteMode.Immediate }));

    [Fact]
    public void A_stop_that_nobody_can_write_through_any_more_is_left_to_end() => Never((o, decision) =>
        o is { Local.SessionsHaveEnded: true, Job.Kind: JobKind.Demote } && !decision.Actions.IsEmpty);

    [Fact]
    public void Every_decision_has_a_code_and_a_sentence() => Never((_, decision) =>
        string.IsNullOrWhiteSpace(decision.Code) || string.IsNullOrWhiteSpace(decision.Reason)
            || decision.Reason.EndsWith('.'));

    [Fact]
    public void Equal_in_equal_out() => Never((o, decision) =>
    {
        var again = HaLoop.Decide(o with { });
        return again.Code != decision.Code || again.Reason != decision.Reason || again.WakeIn != decision.WakeIn
            || again.Memory != decision.Memory || again.Actions.Length != decision.Actions.Length
            || !again.Actions.Select(a => a.GetType()).SequenceEqual(decision.Actions.Select(a => a.GetType()));
    });

    /// <summary>
    /// Decides on every observation (which must never throw) and shows the first that breaks the rule.
    /// </summary>
    private static void Never(Func<Observation, Decision, bool> isBroken)
    {
        var count = 0;
        foreach (var observation in Every.Observation())
        {
            count++;
            var decision = HaLoop.Decide(observation);
            if (isBroken(observation, decision))
            {
                Assert.Fail(
                    $"[{decision.Code}] {decision.Reason} → "
                        + $"{string.Join(' ', decision.Actions)}\n{Describe(observation)}");
            }
        }
        Assert.True(count > 200_000, $"only {count} observations");
    }

    private static string Describe(Observation o) =>
        $"leader {o.Leader}, key {o.Cluster?.Leader?.Holder}, {o.Lease}, live {o.IsDcsLive}, paused {o.Paused}, "
            + $"{o.Config.SynchronousMode}, "
        + $"failsafe {o.FailsafeHolds}, request {o.Cluster?.Failover}, job {o.Job}, {o.Local.Data} {o.Local.Server} "
        + $"primary {o.Local.IsPrimary} "
        + $"signal {o.Local.HasRecoverySignal} damage {o.Local.Damage} streaming {o.Local.IsStreaming}, peers "
        + $"{o.Peers?.Reports["b"]}, {o.Memory.Divergence}";
}
