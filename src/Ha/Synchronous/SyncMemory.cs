using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>What one run of the planner hands to the next.</summary>
public sealed record SyncMemory
{
    /// <summary>Nothing is remembered.</summary>
    public static readonly SyncMemory Empty = new();

    /// <summary>The text of <c>synchronous_standby_names</c> seen in force; null before the first look.</summary>
    public string? NamesSeen { get; init; }

    /// <summary>When that text was first seen in force.</summary>
    public TimeSpan SeenAt { get; init; }

    /// <summary>
    /// The primary's position when every process of PostgreSQL had learned that text; null until then. A standby beyond
    /// it holds every commit that was acknowledged under any earlier text.
    /// </summary>
    public Lsn? Mark { get; init; }

    /// <summary>The text that was asked for last; null when none was.</summary>
    public string? NamesAsked { get; init; }

    /// <summary>When it was asked for.</summary>
    public TimeSpan AskedAt { get; init; }

    /// <summary>
    /// What was last written to the key, with the version that it was to replace; null when nothing was.
    /// </summary>
    public SyncState? Wrote { get; init; }

    /// <summary>
    /// What was written last, when the key is still seen as it was before: it may have been written, or may yet be.
    /// Null: there is no doubt.
    /// </summary>
    public SyncState? Unanswered(SyncState seen) =>
        Wrote is { } wrote && wrote.ModRevision == seen.ModRevision ? wrote : null;

    /// <summary>The mode was switched off, and the parameter is still to be given back to the operator.</summary>
    public bool GiveBack { get; init; }

    /// <summary>
    /// A promotion was prepared, or the state's owner was changed, and its standbys have not been looked at yet.
    /// </summary>
    public bool IsNewLeader { get; init; }

    /// <summary>Until when standbys may connect to a new primary before they count as gone.</summary>
    public TimeSpan? ReconnectUntil { get; init; }
}
