using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha;

/// <summary>A member whose key has vanished, and which may still run.</summary>
/// <param name="Member">Its last record: name, <c>api_url</c>, role.</param>
/// <param name="Since">
/// When its key was first missed; of a member that was lost in a pause: when the pause ended.
/// </param>
/// <param name="Led">The member held the leader key last, or called itself a primary.</param>
/// <param name="InPause">Its key vanished while the cluster was paused, when no guard stops a primary.</param>
public sealed record DepartedMember(Member Member, TimeSpan Since, bool Led, bool InPause)
{
    /// <summary>
    /// The member may be accepting writes: a race has to ask it, whatever the synchronous state says.
    /// </summary>
    public bool MayBePrimary => Led || InPause;
}

/// <summary>
/// The members that this one has seen: leader key and member key of a leader vanish together, just when a race has to
/// ask it.
/// </summary>
/// <remarks>
/// <para>A departed member is kept until its key is back or another member leads as a primary, since the winner of that
/// race has asked it (a former leader, until a member that runs this agent leads). One that was lost in a pause is kept
/// for an hour after the pause.</para>
/// <para>The agent keeps this in the data directory, so that its next life asks the same members.</para>
/// </remarks>
public sealed record KnownMembers
{
    /// <summary>How long a member that was lost in a pause is asked after the pause.</summary>
    public static readonly TimeSpan KeptAfterPause = TimeSpan.FromHours(1);

    private static readonly ImmutableSortedDictionary<string, DepartedMember> s_nobody =
        ImmutableSortedDictionary<string, DepartedMember>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>Nothing was seen yet.</summary>
    public static readonly KnownMembers None = new();

    /// <summary>The members of the newest snapshot.</summary>
    public ImmutableSortedDictionary<string, Member> Present { get; init; } = ClusterSnapshot.Empty.Members;

    /// <summary>The members whose key has vanished, by name.</summary>
    public ImmutableSortedDictionary<string, DepartedMember> Departed { get; init; } = s_nobody;

    /// <summary>The member that held the leader key last; null when none was ever seen.</summary>
    public string? Leader { get; init; }

    /// <summary>The cluster was paused.</summary>
    public bool Paused { get; init; }

    /// <summary>
    /// The remote servers that the cluster follows, or has followed: none of its members has been seen as a primary
    /// since. Null: there are none.
    /// </summary>
    public Upstream? Remote { get; init; }

    /// <summary>When the last pause ended; null: this agent has seen none end.</summary>
    public TimeSpan? PauseEndedAt { get; init; }

    /// <summary>
    /// A pause ended so lately that a member which was promoted in it by hand, and whose role is not told yet, may be
    /// found.
    /// </summary>
    public bool IsAfterPause(TimeSpan now) => PauseEndedAt is { } at && now - at <= KeptAfterPause;

    /// <summary>What is known after a look at the cluster.</summary>
    /// <param name="cluster">The snapshot.</param>
    /// <param name="self">This member's name.</param>
    /// <param name="paused">The cluster is paused.</param>
    /// <param name="now">Monotonic time.</param>
    public KnownMembers After(ClusterSnapshot cluster, string self, bool paused, TimeSpan now)
    {
        var holder = cluster.Leader?.Holder;
        var departed = Departed;
        foreach (var (name, member) in Present)
        {
            if (name != self && member.ApiUrl is not null && !HasKey(cluster, name))
            {
                var led = name == Leader || member.Role is Role.Primary or Role.Promoted or Role.StandbyLeader;
                departed = departed.SetItem(name, new DepartedMember(member, now, led, paused || Paused));
            }
        }
        foreach (var (name, member) in departed)
        {
            var seen = member.InPause && Paused && !paused ? member with { Since = now } : member;
            departed = HasKey(cluster, name) || IsOver(seen, cluster, paused, now)
                ? departed.Remove(name)
                : departed.SetItem(name, seen);
        }
        var leader = holder ?? Leader;
        return ReferenceEquals(Present, cluster.Members) && departed == Departed && leader == Leader && paused == Paused
            ? this
            : this with
            {
                Present = cluster.Members,
                Departed = departed,
                Leader = leader,
                Paused = paused,
                PauseEndedAt = Paused && !paused ? now : PauseEndedAt,
            };
    }

    /// <summary>Equal when all is, the members compared one by one.</summary>
    public bool Equals(KnownMembers? other) =>
        other is not null && Leader == other.Leader && Paused == other.Paused && PauseEndedAt == other.PauseEndedAt
        && Remote == other.Remote
        && Present.SequenceEqual(other.Present) && Departed.SequenceEqual(other.Departed);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Leader, Paused, Present.Count, Departed.Count);

    /// <summary>A key without an <c>api_url</c>, such as a damaged one, names no address to ask.</summary>
    private static bool HasKey(ClusterSnapshot cluster, string name) =>
        cluster.Members.GetValueOrDefault(name)?.ApiUrl is not null;

    private static bool IsOver(DepartedMember member, ClusterSnapshot cluster, bool paused, TimeSpan now)
    {
        if (member.InPause)
        {
            return !paused && now - member.Since > KeptAfterPause;
        }
        // A standby that went while another led is no part of the last leader's view; a former leader's race is over. A
        // winner with Patroni may have asked no member.
        return cluster.LeaderMember is { Role: Role.Primary or Role.StandbyLeader, State: PostgresState.Running } leader
            && leader.Name != member.Member.Name && (leader.Routing is not null || !member.MayBePrimary);
    }
}
