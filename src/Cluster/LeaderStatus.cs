using System.Collections.Immutable;

namespace Routing.Cluster;

/// <summary>The <c>status</c> key: the leader's WAL position and its replication slots.</summary>
/// <param name="Optime">The last WAL position that the leader published; 0/0 when unknown.</param>
/// <param name="Slots">
/// Slot name to position: restart_lsn for physical slots, confirmed_flush_lsn for logical ones.
/// </param>
/// <param name="RetainSlots">Slots that are kept though their member may be away.</param>
public sealed record LeaderStatus(
    Lsn Optime, ImmutableSortedDictionary<string, Lsn> Slots, ImmutableSortedSet<string> RetainSlots)
{
    /// <summary>Nothing is known.</summary>
    public static readonly LeaderStatus None = new(
        default,
        ImmutableSortedDictionary<string, Lsn>.Empty.WithComparers(StringComparer.Ordinal),
        ImmutableSortedSet.Create<string>(StringComparer.Ordinal));

    /// <summary>
    /// The site of the leader that wrote this, such as a data centre; null when it tells none.
    /// </summary>
    public string? CurrentSite { get; init; }

    /// <summary>
    /// The revision of the key's last write: larger than that of the term, it was written in it. 0 when there is no
    /// key.
    /// </summary>
    public long ModRevision { get; init; }
}
