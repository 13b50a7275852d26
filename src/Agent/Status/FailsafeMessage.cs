using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Agent.Status;

/// <summary>The body of <c>POST /failsafe</c>.</summary>
/// <param name="Name">The leader's name.</param>
/// <param name="ConnUrl">Where its PostgreSQL is.</param>
/// <param name="ApiUrl">Where its REST is.</param>
/// <param name="Slots">Its replication slots and their positions; null when it sends none.</param>
internal sealed record FailsafeMessage(
    string Name, string ConnUrl, string ApiUrl, ImmutableSortedDictionary<string, Lsn>? Slots)
{
    /// <summary>For how long the leader counts on a consent; null: it does not say, as others do not.</summary>
    public TimeSpan? Ttl { get; init; }
}

/// <summary>The answer to a leader that lost the DCS.</summary>
/// <param name="Verdict">Whether it may stay.</param>
/// <param name="Position">This member's own position, when known.</param>
internal readonly record struct FailsafeAnswer(FailsafeVerdict Verdict, Lsn? Position = null)
{
    /// <summary>Why not, in a few words; null when the verdict says all.</summary>
    public string? Problem { get; init; }
}

/// <summary>What a member says to a leader that lost the DCS.</summary>
internal enum FailsafeVerdict
{
    /// <summary>The sender may stay the leader: this member follows it.</summary>
    Accepted,

    /// <summary>No consent: this member runs as a primary itself.</summary>
    RunningAsLeader,

    /// <summary>Failsafe mode is off here.</summary>
    Disabled,

    /// <summary>No consent: it could not be stored for the next process of this agent.</summary>
    NotKept,

    /// <summary>No consent: another member, or none, held the leader key last.</summary>
    NotTheLeader,

    /// <summary>No consent: the sender would rely on it for longer than the cluster's ttl.</summary>
    TooLong,
}
