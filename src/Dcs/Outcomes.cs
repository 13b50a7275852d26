using Routing.Cluster;

namespace Routing.Dcs;

/// <summary>A snapshot, and whether the connection that feeds it is alive.</summary>
/// <param name="Snapshot">The newest that was seen.</param>
/// <param name="IsLive">False: no contact at present; the snapshot may be old.</param>
/// <param name="LastContact">
/// Timestamp (of the store's <see cref="TimeProvider"/>) of the last answer of any kind from the store.
/// </param>
public sealed record ClusterView(ClusterSnapshot Snapshot, bool IsLive, long LastContact)
{
    /// <summary>Before the first answer of the store.</summary>
    public static readonly ClusterView Unknown = new(ClusterSnapshot.Empty, IsLive: false, LastContact: 0);

    /// <summary>
    /// The highest term that was seen up to this view, see <see cref="After"/>: it never falls, even when the leader
    /// key is gone.
    /// </summary>
    public Term HighestTerm { get; init; }

    /// <summary>This view as it follows another one: with the highest term of both and of its own leader key.</summary>
    public ClusterView After(ClusterView before)
    {
        ArgumentNullException.ThrowIfNull(before);
        var highest = before.HighestTerm > HighestTerm ? before.HighestTerm : HighestTerm;
        return this with
        {
            HighestTerm = Snapshot.Leader is { } leader && leader.Term > highest ? leader.Term : highest,
        };
    }
}

/// <summary>A granted lease.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Ttl">The life that was granted; not shorter than asked for.</param>
public readonly record struct LeaseGrant(long Id, TimeSpan Ttl);

/// <summary>How the renewal of a lease ended.</summary>
public enum RenewOutcome
{
    /// <summary>The lease has its full life again, counted from before the request was sent.</summary>
    Renewed,

    /// <summary>The lease does not exist any more, and with it its keys.</summary>
    Gone,

    /// <summary>No answer came in time: the lease may or may not live on.</summary>
    Unknown,
}

/// <summary>How an attempt on the leader key ended.</summary>
public enum LeaseOutcome
{
    /// <summary>The key is ours.</summary>
    Held,

    /// <summary>Another member holds the key, or none does.</summary>
    Lost,

    /// <summary>Our lease does not exist any more: grant a new one.</summary>
    LeaseGone,

    /// <summary>No answer came in time: the write may or may not have happened.</summary>
    Unknown,
}

/// <summary>The end of an attempt on the leader key.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Leader">The key as it stood then, when that is known.</param>
/// <param name="Problem">What went wrong, in one sentence, for Unknown.</param>
public readonly record struct LeaderWrite(LeaseOutcome Outcome, LeaderKey? Leader = null, string? Problem = null)
{
    /// <summary>The life of the store that said so (<see cref="StoreLife.Number"/>); for Held and Lost.</summary>
    public int Life { get; init; }
}

/// <summary>What must hold for a write to happen.</summary>
public readonly record struct WriteCondition
{
    private WriteCondition(Kind kind, long revision)
    {
        What = kind;
        Revision = revision;
    }

    /// <summary>The kinds of condition.</summary>
    public enum Kind
    {
        /// <summary>None: always.</summary>
        Always,

        /// <summary>The key does not exist.</summary>
        Absent,

        /// <summary>The key's last write was at <see cref="WriteCondition.Revision"/>.</summary>
        Unchanged,
    }

    /// <summary>The kind.</summary>
    public Kind What { get; }

    /// <summary>The revision, for <see cref="Kind.Unchanged"/>.</summary>
    public long Revision { get; }

    /// <summary>No condition.</summary>
    public static readonly WriteCondition Always;

    /// <summary>Create only.</summary>
    public static readonly WriteCondition Absent = new(Kind.Absent, 0);

    /// <summary>Only if the key is as it was at this revision; with 0 the key must not exist.</summary>
    public static WriteCondition Unchanged(long modRevision) =>
        modRevision == 0 ? Absent : new WriteCondition(Kind.Unchanged, modRevision);
}

/// <summary>How a write ended.</summary>
public enum WriteStatus
{
    /// <summary>The write happened.</summary>
    Done,

    /// <summary>The write's condition did not hold.</summary>
    Conflict,

    /// <summary>The lease it should hang on does not exist.</summary>
    LeaseGone,

    /// <summary>The store refused it (permission, no space); see the problem.</summary>
    Refused,

    /// <summary>No answer in time.</summary>
    Unknown,
}

/// <summary>The end of a write.</summary>
/// <param name="Status">How it ended.</param>
/// <param name="Revision">The revision of the write, for Done.</param>
/// <param name="Problem">What went wrong, in one sentence.</param>
public readonly record struct WriteOutcome(WriteStatus Status, long Revision = 0, string? Problem = null)
{
    /// <summary>Whether the write happened.</summary>
    public bool IsDone => Status == WriteStatus.Done;
}
