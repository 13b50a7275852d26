namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>An operator wants the local data replaced by a copy. Never those of the leader.</summary>
    private static Decision? DecideReinitialize(Observation o, ReinitializeOrder order)
    {
        if (o.Lease.IsUncertain)
        {
            return null;   // whether it leads is known with the next answer of the DCS
        }
        if (o.Leader is not { } leader)
        {
            return Refuse(o, order, OrderRefusal.NoLeader, "nobody leads");
        }
        if (leader == o.Self || o.FailsafeHolds)
        {
            return Refuse(o, order, OrderRefusal.IsLeader, "it leads");
        }
        if (WhyBusy(o) is { } busy)
        {
            return DecideForced(o, order, busy);
        }
        if (o.Local.Data == DataDirectory.Inaccessible)
        {
            return Refuse(o, order, OrderRefusal.Failed, $"the data directory cannot be used: {o.Local.DataProblem}");
        }
        if (SourceOfReplacement(o, leader, order.FromLeader) is not { } source)
        {
            return Refuse(o, order, OrderRefusal.Failed, $"{leader} cannot be copied now");
        }
        if (StillLeaves(o, "is to be reinitialized") is { } leaving)
        {
            return leaving;
        }
        return new Decision("reinitializes", $"replaces its data by a copy of {source}, as an operator asked",
            [new HaAction.CopyMember(source) { Replaces = true, FromLeader = order.FromLeader, OrderId = order.Id }],
            o.Memory with { CopiesLeader = order.FromLeader, FailedClones = 0, RetryAt = null }, null);
    }

    /// <summary>Another job runs: a forced order ends it, unless it stops the server or makes a cluster.</summary>
    private static Decision? DecideForced(Observation o, ReinitializeOrder order, string busy) => o.Job?.Kind switch
    {
        _ when !order.Force => Refuse(o, order, OrderRefusal.Busy, busy),
        null or JobKind.Bootstrap or JobKind.AbandonBootstrap => Refuse(o, order, OrderRefusal.Busy, busy),
        JobKind.Demote => null,
        var kind => Act(o, "job_cancelled", $"cancels {Name(kind.Value)}: an operator wants its data replaced", s_soon,
            new HaAction.CancelJob()),
    };

    /// <summary>
    /// The data are marked: an operator asked to replace them, and what did so has not ended well. Null: they are not.
    /// </summary>
    private static Decision? DecideReplacement(Observation o, string leader)
    {
        if (o.Local.Damage != DataDamage.ToBeReplaced)
        {
            return null;
        }
        if (MustWait(o, out var left))
        {
            return Wait(o, "clone_retry",
                $"tries to copy another member again in {left.TotalSeconds:F0} s: its data are to be replaced", left);
        }
        return SourceOfReplacement(o, leader, o.Memory.CopiesLeader) is { } source
            ? Act(o, "reinitializes", $"goes on to replace its data by a copy of {source}, as an operator asked", null,
                new HaAction.CopyMember(source) { Replaces = true, FromLeader = o.Memory.CopiesLeader })
            : Wait(o, "clone_waits", $"waits until {leader} can be copied: its data are to be replaced", s_second);
    }

    private static string? SourceOfReplacement(Observation o, string leader, bool fromLeader) =>
        !fromLeader ? CloneSource(o, leader)
        : o.Cluster!.Members.GetValueOrDefault(leader) is { Address: not null } ? leader
        : null;
}
