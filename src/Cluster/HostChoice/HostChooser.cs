using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Routing.Cluster.HostChoice;

/// <summary>
/// Which members serve a request, by a snapshot of the cluster. Pure; one implementation for the proxy and the driver.
/// </summary>
public static class HostChooser
{
    /// <summary>
    /// Looks at every member. To be called once for each snapshot and request; the result is picked from often.
    /// </summary>
    /// <param name="cluster">The newest snapshot.</param>
    /// <param name="highestTerm">The highest term that was ever seen: a leader of a lower one is none.</param>
    /// <param name="request">What is wanted.</param>
    public static HostSet Select(ClusterSnapshot cluster, Term highestTerm, HostRequest request)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        ArgumentNullException.ThrowIfNull(request);
        var leader = LeaderOf(cluster, highestTerm, out var noLeader);
        var verdicts = ImmutableArray.CreateBuilder<HostVerdict>(cluster.Members.Count);
        var preferred = new List<Member>();
        var others = new List<Member>();
        var wantsReplica = request.Role is not WantedRole.Primary;
        var wantsLeader = request.Role is WantedRole.Primary or WantedRole.PreferPrimary or WantedRole.Any
            || (request.Role is WantedRole.Replica or WantedRole.Synchronous
                && request.Fallback == LeaderFallback.Always);
        var leaderIsBackUp = request.Role == WantedRole.PreferReplica
            || (request.Role is WantedRole.Replica or WantedRole.Synchronous
                && request.Fallback == LeaderFallback.WhenEmpty);
        foreach (var member in cluster.Members.Values)
        {
            var isLeader = ReferenceEquals(member, leader);
            var problem = isLeader
                ? (wantsLeader || leaderIsBackUp
                    ? WrongTags(member, request)
                    : "is the leader, and replicas are wanted")
                : IsHolder(cluster, member) && !(wantsReplica && member.Role == Role.StandbyLeader) ? noLeader
                : wantsReplica ? NoReplica(cluster, leader, member, request)
                : "is not the leader";
            if (problem is null && (!isLeader || wantsLeader))
            {
                (IsNear(member, request) ? preferred : others).Add(member);
            }
            verdicts.Add(new HostVerdict(
                member, problem is null,
                problem ?? (isLeader && !wantsLeader ? "is the leader: serves when no replica does" : "serves")));
        }
        var members = ImmutableArray.CreateBuilder<Member>();
        var ends = ImmutableArray.CreateBuilder<int>();
        if (request.Role == WantedRole.PreferPrimary && leader is not null
            && preferred.Remove(leader) | others.Remove(leader))
        {
            AddTier([leader]);
        }
        AddTier(preferred);
        AddTier(others);
        if (leaderIsBackUp && leader is not null && WrongTags(leader, request) is null)
        {
            AddTier([leader]);
        }
        return new HostSet
        {
            Members = members.ToImmutable(),
            TierEnds = ends.ToImmutable(),
            Verdicts = verdicts.ToImmutable(),
            Leader = leader,
            Term = cluster.Leader?.Term ?? default,
        };

        void AddTier(List<Member> tier)
        {
            if (tier.Count > 0)
            {
                members.AddRange(tier);
                ends.Add(members.Count);
            }
        }
    }

    /// <summary>The member that may be written to; null, with the reason, when there is none.</summary>
    /// <remarks>It holds the leader key of the highest term, and says by itself that it runs as the primary.</remarks>
    public static Member? LeaderOf(ClusterSnapshot cluster, Term highestTerm, out string reason)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        reason = "";
        if (cluster.Leader is not { } key)
        {
            reason = "nobody holds the leader key";
        }
        else if (key.Term < highestTerm)
        {
            reason = $"holds the leader key of term {key.Term}, and term {highestTerm} was seen already";
        }
        else if (cluster.LeaderMember is not { } member)
        {
            reason = $"{key.Holder} holds the leader key and has no member key";
        }
        else if (member.Role == Role.StandbyLeader)
        {
            reason = "leads a standby cluster, which accepts no writes";
        }
        else if (member.Role is not (Role.Primary or Role.Promoted))
        {
            reason = "holds the leader key and is not the primary yet";
        }
        else if (member.State != PostgresState.Running)
        {
            reason = $"holds the leader key, and its PostgreSQL is {member.State.ToString().ToLowerInvariant()}";
        }
        else if (member.Address is null)
        {
            reason = "holds the leader key and publishes no usable address";
        }
        else if (member.Role == Role.Promoted)
        {
            reason = "holds the leader key and is being promoted";
        }
        else
        {
            return member;
        }
        return null;
    }

    /// <summary>
    /// How far a member's replay is behind the leader's last known position; null when one of the two is unknown.
    /// </summary>
    public static long? LagOf(ClusterSnapshot cluster, Member member)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        ArgumentNullException.ThrowIfNull(member);
        var leader =
            Lsn.Max(cluster.Status.Optime, cluster.LeaderMember?.XlogLocation ?? cluster.LegacyOptime ?? default);
        return leader == Lsn.Zero || (member.ReplayLsn ?? member.XlogLocation) is not { } replayed
            ? null
            : (long)leader.BytesAheadOf(replayed);
    }

    private static bool IsHolder(ClusterSnapshot cluster, Member member) => cluster.Leader?.Holder == member.Name;

    private static string? NoReplica(ClusterSnapshot cluster, Member? leader, Member member, HostRequest request)
    {
        if (member.State != PostgresState.Running)
        {
            return $"its PostgreSQL is {member.State.ToString().ToLowerInvariant()}";
        }
        if (member.Role is not (Role.Replica or Role.StandbyLeader))
        {
            return $"its role is {member.Role.ToString().ToLowerInvariant()}";
        }
        if (member.Address is null)
        {
            return "publishes no usable address";
        }
        if (member.Tags.NoLoadBalance)
        {
            return "has the tag noloadbalance";
        }
        if (WrongTags(member, request) is { } tags)
        {
            return tags;
        }
        if (request.Role == WantedRole.Synchronous
            && !(cluster.Sync.IsActive && cluster.Sync.Standbys.Contains(member.Name)))
        {
            return "is not synchronous";
        }
        if (request.MaximumLagBytes is { } limit && LagOf(cluster, member) is { } lag && lag > limit)
        {
            return string.Create(CultureInfo.InvariantCulture, $"lacks {lag} bytes of WAL, more than {limit}");
        }
        if (request.MinimumReplayed is { } wanted
            && !((member.ReplayLsn ?? member.XlogLocation) is { } replayed && replayed >= wanted
            && (leader is null || member.Timeline is null || leader.Timeline is null
                || member.Timeline == leader.Timeline)))
        {
            return $"has not replayed {wanted}";
        }
        return null;
    }

    private static string? WrongTags(Member member, HostRequest request)
    {
        foreach (var (name, value) in request.RequiredTags)
        {
            if (TagOf(member, name) != value)
            {
                return $"has not the tag {name}: {value}";
            }
        }
        return null;
    }

    private static bool IsNear(Member member, HostRequest request) =>
        request.Zone is null || (TagOf(member, request.ZoneTag) ?? member.Site) == request.Zone;

    private static string? TagOf(Member member, string name) =>
        !member.Tags.Values.TryGetValue(name, out var value) ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString()
        : value.GetRawText();
}
