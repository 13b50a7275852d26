using Xunit;

namespace Routing.Ha.Tests;

/// <summary>All small observations, not a sample: what a decision may never be.</summary>
public sealed class EveryObservationTests
{
    private const int LeastCount = 200_000;

    // A rule that decides anew is asked about every seventh observation: half of the time went to it.
    private const int Stride = 7;
    private const string Equal = "Equal in equal out";

    /// <summary>Per rule, in words: what a decision on an observation may never be.</summary>
    private static readonly Dictionary<string, Func<Observation, Decision, bool>> s_never = new()
    {
        ["No server becomes a primary without the leader key"] = (o, decision) =>
            decision.Actions.Any(a => a is HaAction.Promote or HaAction.StartPrimary) && !o.Leads,
        ["No primary is restarted without the leader key unless the cluster is paused"] = (o, decision) =>
            decision.Actions.Any(a => a is HaAction.Restart { AsPrimary: true }) && !o.Leads && !o.Paused,
        ["The data of a leader are never replaced"] = (o, decision) =>
            decision.Actions.OfType<HaAction.CopyMember>().Any(copy =>
                o.Leader == o.Self || (copy.OrderId != 0 && (o.Lease.IsUncertain || o.FailsafeHolds))),
        ["No member of a standby cluster becomes a primary"] = (o, decision) =>
            o is { IsStandbyCluster: true, Paused: false }
            && decision.Actions.Any(a => a is HaAction.Promote or HaAction.StartPrimary or HaAction.Bootstrap
                or HaAction.Restart { AsPrimary: true }),
        ["A primary of a standby cluster stops"] = (o, decision) =>
            o is { IsStandbyCluster: true, Paused: false, Job: null, ShutdownRequested: false, Order: null,
                Local: { AcceptsWrites: true, Control: not null } }
            && !decision.Actions.Any(
                a => a is HaAction.Demote or HaAction.AttachLeader or HaAction.AcquireLeader or HaAction.ProbePeers)
            && o.Local.Data == DataDirectory.Ready,
        ["Only a leader of a standby cluster follows the remote primary"] = (o, decision) =>
            o.Leader != o.Self && decision.Actions.Any(a => a is HaAction.Follow { Upstream.Address.Host: "far" }
                or HaAction.StartStandby { Upstream.Address.Host: "far" }),
        ["A restart of a primary ends with the leader key"] = (o, decision) =>
            o is { Job.RestartsPrimary: true, Leads: false, FailsafeHolds: false, Paused: false }
            && !decision.Actions.Any(a => a is HaAction.CancelJob),
        ["An order is answered or waits and never starts a second job"] = (o, decision) =>
            o is { Order: not null, Job: not null } && decision.Actions.Any(a => a is HaAction.Restart),
        ["No healthy holder is demoted without a request"] = (o, decision) =>
            o is { Leads: true, Job: null, ShutdownRequested: false, Cluster.Failover: null,
                Local: { Server: ServerState.Running, IsPrimary: true }, IsStandbyCluster: false }
            && decision.Actions.Any(a => a is HaAction.Demote or HaAction.ReleaseLeader),
        ["Nobody takes a key that another holds"] = (o, decision) =>
            o.Leader is not null && decision.Actions.Any(a => a is HaAction.AcquireLeader),
        ["Nobody attaches to a key that names another"] = (o, decision) =>
            o.Cluster?.Leader?.Holder != o.Self && decision.Actions.Any(a => a is HaAction.AttachLeader),
        ["Nobody gives up a key that is not its own"] = (o, decision) =>
            o.Leader != o.Self && decision.Actions.Any(a => a is HaAction.ReleaseLeader),
        ["Nobody gives the key up while its server may accept writes"] = (o, decision) =>
            o.Local.AcceptsWrites && !o.Paused && decision.Actions.Any(a => a is HaAction.ReleaseLeader),
        ["A primary without a lease is never left alone"] = (o, decision) =>
            o.Local.AcceptsWrites && !o.Leads && !o.FailsafeHolds && !o.Paused
            && o.Job is not ({ StopsInTime: true } or { Kind: JobKind.Bootstrap or JobKind.AbandonBootstrap })
            && !decision.Actions.Any(a => a is HaAction.Demote or HaAction.AttachLeader or HaAction.AcquireLeader),
        ["A primary may only wait for the race while nobody leads"] = (o, decision) =>
            o.Local.AcceptsWrites && !o.Leads && !o.FailsafeHolds && !o.Paused
                && (o.Leader is not null || o.Lease.IsUncertain || !o.IsDcsLive)
            && decision.Actions.Any(a => a is HaAction.ProbePeers or HaAction.AcquireLeader),
        ["Nobody takes the key while a departed member answers as a primary"] = (o, decision) =>
            !o.Local.IsPrimary && decision.Actions.Any(a => a is HaAction.AcquireLeader)
            && o.Memory.Members.Departed.Keys.Any(
                name => o.Peers?.Reports.GetValueOrDefault(name) is not { IsPrimary: false }),
        ["No job starts while another runs unless that one is cancelled first"] = (o, decision) =>
            o.Job is not null && decision.Actions.Any(a => a.IsJob) && decision.Actions[0] is not HaAction.CancelJob,
        ["No decision starts two jobs"] = (_, decision) => decision.Actions.Count(a => a.IsJob) > 1,
        ["Damaged data never start without a leader and never lead"] = (o, decision) =>
            o.Local.Damage != DataDamage.None
            && decision.Actions.Any(
                a => a is HaAction.StartPrimary or HaAction.StartStandby or HaAction.Promote or HaAction.AcquireLeader
                or HaAction.Restart),
        ["Half rewound data and those to be replaced never start"] = (o, decision) =>
            o.Local.Damage is DataDamage.HalfRewound or DataDamage.ToBeReplaced
            && decision.Actions.Any(a => a is HaAction.StartPrimary or HaAction.StartStandby),
        ["Nothing starts or stops in a pause without a request"] = (o, decision) =>
            o is { Paused: true, Cluster.Failover: null, Order: null, Local.Damage: not DataDamage.ToBeReplaced }
            && decision.Actions.Any(
                a => a is HaAction.Promote or HaAction.StartPrimary or HaAction.StartStandby or HaAction.Bootstrap
                or HaAction.CopyMember or HaAction.Rewind or HaAction.Demote { Mode: not DemoteMode.Immediate }),
        ["A stop that nobody can write through any more is left to end"] = (o, decision) =>
            o is { Local.SessionsHaveEnded: true, Job.Kind: JobKind.Demote } && !decision.Actions.IsEmpty,
        ["Every decision has a code and a sentence"] = (_, decision) =>
            string.IsNullOrWhiteSpace(decision.Code) || string.IsNullOrWhiteSpace(decision.Reason)
                || decision.Reason.EndsWith('.'),
        [Equal] = (o, decision) =>
        {
            var again = HaLoop.Decide(o with { });
            return again.Code != decision.Code || again.Reason != decision.Reason || again.WakeIn != decision.WakeIn
                || again.Memory != decision.Memory || again.Actions.Length != decision.Actions.Length
                || !again.Actions.Select(a => a.GetType()).SequenceEqual(decision.Actions.Select(a => a.GetType()));
        },
    };

    // There are millions of observations: all rules are tried in one pass.
    private static readonly Lazy<Dictionary<string, string>> s_broken = new(TryAll);

    public static TheoryData<string> Rules => [.. s_never.Keys];

    [Theory]
    [MemberData(nameof(Rules))]
    public void Holds_on_every_observation(string rule) =>
        Assert.False(s_broken.Value.TryGetValue(rule, out var example), example);

    /// <summary>
    /// Decides on every observation (which must never throw), and returns the first that breaks a rule, per rule.
    /// </summary>
    private static Dictionary<string, string> TryAll()
    {
        var broken = new Dictionary<string, string>();
        var count = 0;
        foreach (var observation in Every.Observation())
        {
            count++;
            var decision = HaLoop.Decide(observation);
            foreach (var (rule, isBroken) in s_never)
            {
                if ((count % Stride == 0 || rule != Equal) && isBroken(observation, decision))
                {
                    broken.TryAdd(
                        rule,
                        $"[{decision.Code}] {decision.Reason} → {string.Join(' ', decision.Actions)}\n"
                            + Describe(observation));
                }
            }
        }
        Assert.True(count > LeastCount, $"only {count} observations");
        return broken;
    }

    private static string Describe(Observation o) =>
        $"leader {o.Leader}, key {o.Cluster?.Leader?.Holder}, {o.Lease}, live {o.IsDcsLive}, paused {o.Paused}, "
            + $"{o.Config.SynchronousMode}, "
        + $"failsafe {o.FailsafeHolds}, request {o.Cluster?.Failover}, job {o.Job}, {o.Local.Data} {o.Local.Server} "
        + $"primary {o.Local.IsPrimary} "
        + $"signal {o.Local.HasRecoverySignal} damage {o.Local.Damage} streaming {o.Local.IsStreaming}, peers "
        + $"{o.Peers?.Reports["b"]}, {o.Memory.Divergence}";
}
