using System.Collections.Immutable;

namespace Routing.Cluster;

/// <summary>The <c>sync</c> key: which members may be promoted without losing an acknowledged commit.</summary>
/// <param name="Leader">The node that owns the state; null when synchronous replication is not active.</param>
/// <param name="Standbys">
/// Priority mode: the nodes proven synchronous; quorum mode: the voters without the leader. Names compare without case.
/// </param>
/// <param name="Quorum">Quorum mode: how many <i>other</i> voters a candidate has to see; priority mode: 0.</param>
/// <param name="ModRevision">The revision to compare with at the next write; 0 when the key does not exist.</param>
public sealed record SyncState(string? Leader, ImmutableSortedSet<string> Standbys, int Quorum, long ModRevision)
{
    /// <summary>No key.</summary>
    public static readonly SyncState None =
        new(null, ImmutableSortedSet.Create<string>(StringComparer.OrdinalIgnoreCase), 0, 0);

    /// <summary>Equal when all is, the names of the standbys compared as a set.</summary>
    public bool Equals(SyncState? other) =>
        other is not null && Leader == other.Leader && Quorum == other.Quorum && ModRevision == other.ModRevision
            && Standbys.SetEquals(other.Standbys);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Leader, Standbys.Count, Quorum, ModRevision);

    /// <summary>A leader is named, so the standbys mean something.</summary>
    public bool IsActive => !string.IsNullOrEmpty(Leader);

    /// <summary>Whether the member is the owner or one of the standbys.</summary>
    public bool Includes(string member) => IsOwner(member) || Standbys.Contains(member);

    /// <summary>Whether the member owns the state.</summary>
    public bool IsOwner(string member) => string.Equals(Leader, member, StringComparison.OrdinalIgnoreCase);
}
