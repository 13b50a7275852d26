using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>What one run of the planner tells the next.</summary>
public sealed record SyncMemory
{
    /// <summary>Nothing is remembered.</summary>
    public static readonly SyncMemory Empty = new();

    /// <summary>The text of <c>synchronous_standby_names</c> that <see cref="Mark"/> belongs to; null before the first look.</summary>
    public string? NamesSeen { get; init; }

    /// <summary>
    /// The primary's position when that text was first seen in force. A standby beyond it holds every commit that was acknowledged
    /// under any earlier text.
    /// </summary>
    public Lsn Mark { get; init; }

    /// <summary>When that text was first seen in force.</summary>
    public TimeSpan SeenAt { get; init; }

    /// <summary>Until when standbys may take to connect to a new primary before they count as gone.</summary>
    public TimeSpan? ReconnectUntil { get; init; }
}
