using Routing.Cluster;

namespace Routing.Ha;

// Which member a copy comes from.
public static partial class HaLoop
{
    /// <summary>A replica that is further behind is no source: the leader may have dropped the WAL it lacks.</summary>
    private const ulong MostLagOfSource = 256UL << 20;

    /// <summary>Positions are published at different moments: what differs by less is no difference.</summary>
    private const ulong LagStep = 16UL << 20;

    /// <summary>
    /// A running member tagged clonefrom, else the leader; those in our own site first, with the leader among them.
    /// Of several that with the least lag, then that with the least load.
    /// </summary>
    private static string? CloneSource(Observation o, string leader)
    {
        // After a failed copy the next source is tried: a member that cannot serve must not block us for ever.
        var members = o.Cluster!.Members;
        var head = members.GetValueOrDefault(leader);
        var willing = members.Values
            .Where(m => m.Name != o.Self && m.Name != leader && m.Tags.CloneFrom && m.State == PostgresState.Running
                && m.Address is not null && !IsOnOlderTimeline(m, head))
            .Select(m => (m.Name, Lag: LagBehind(m, head)))
            .Where(one => one.Lag <= MostLagOfSource)
            .OrderBy(one => one.Lag / LagStep)
            .ThenBy(one => members.Values.Count(m => m.Name != o.Self && m.Routing?.CopiesFrom == one.Name))
            .ThenBy(one => members.Values.Count(m => m.Name != o.Self && m.Routing?.Upstream == one.Name))
            .Select(one => one.Name)
            .ToList();
        if (head is { Address: not null }
            && (head is { State: PostgresState.Running, Role: Role.Primary or Role.StandbyLeader }
                || willing.Count > 0))
        {
            willing.Add(leader);
        }
        if (o.Options.Site is { } own)
        {
            willing = [.. willing.OrderBy(name => members[name].Site == own ? 0 : 1)];   // keeps their order
        }
        return willing.Count == 0 ? null : willing[o.Memory.FailedClones % willing.Count];
    }

    /// <summary>It has not followed the leader yet: it may hold WAL that the leader does not have.</summary>
    private static bool IsOnOlderTimeline(Member member, Member? leader) =>
        member.Timeline is { } own && leader?.Timeline is { } current && own < current;

    /// <summary>By what both have published; 0 when one does not tell.</summary>
    private static ulong LagBehind(Member member, Member? leader) =>
        member.XlogLocation is { } own && leader?.XlogLocation is { } end && end > own ? end.Value - own.Value : 0;
}
