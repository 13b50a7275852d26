using Routing.Cluster;

namespace Routing.Dcs;

/// <summary>The distributed configuration store: the one place where members agree which of them leads.</summary>
/// <remarks>
/// <para>Each write is one transaction with its own condition: it happens whole or not at all. A request that got no
/// answer in time ends as <i>Unknown</i>: it may have been applied, or be applied later; only a later read tells.
/// Implementations resolve an ambiguous write by reading back before they say Unknown.</para>
/// <para>None waits longer than the configured time for one operation. A caller with less patience cancels the token:
/// then the call throws an <see cref="OperationCanceledException"/>, and a write that was cancelled is as open as
/// Unknown.</para>
/// <para>An Unknown write may still be applied later, by a server that was frozen. Conditions keep that harmless: an
/// <see cref="WriteCondition.Always"/> write has none, so a late one may overwrite something newer.</para>
/// <para>Keys are named by the part below the base path (<see cref="ClusterKeys"/>).</para>
/// </remarks>
public interface IClusterStore : IClusterViews, IAsyncDisposable
{
    /// <summary>Reads all keys at one revision, linearizably.</summary>
    /// <exception cref="ClusterStoreException">The store did not answer within its timeout, or refused.</exception>
    ValueTask<ClusterSnapshot> ReadAsync(CancellationToken cancellationToken);

    /// <summary>Grants a lease.</summary>
    /// <param name="ttl">Wanted life; the store may grant a longer one.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    /// <returns>The lease, with the life that was granted.</returns>
    /// <exception cref="ClusterStoreException">No answer, or a refusal.</exception>
    ValueTask<LeaseGrant> GrantLeaseAsync(TimeSpan ttl, CancellationToken cancellationToken);

    /// <summary>
    /// Renews a lease for a full life, counted from before the request was sent: take the time before the call. No
    /// answer and every refusal are <see cref="RenewOutcome.Unknown"/>.
    /// </summary>
    ValueTask<RenewOutcome> RenewLeaseAsync(long leaseId, CancellationToken cancellationToken);

    /// <summary>What is left of a lease when the store answers; null: it has ended, or there was none.</summary>
    /// <exception cref="ClusterStoreException">No answer, or a refusal.</exception>
    ValueTask<TimeSpan?> ReadLeaseAsync(long leaseId, CancellationToken cancellationToken);

    /// <summary>
    /// Takes the leader key if no member holds it (create-only). A race lost is an outcome, not an exception.
    /// </summary>
    /// <remarks>
    /// Held also when the key turns out to be ours already on this very lease (an earlier answer was lost). Lost with
    /// our own name: it hangs on another lease; <see cref="TryKeepLeaderAsync"/> moves it. Lost without a leader, with
    /// a problem: the store refused the write. Lost without both: what the member went by is not so any more.
    /// </remarks>
    /// <param name="member">Our name.</param>
    /// <param name="leaseId">Our lease.</param>
    /// <param name="basis">
    /// What the decision to race was made by: the key is taken only while it still stands. A request may be under way
    /// for long, and another member may have led in between. Null: whatever stands there.
    /// </param>
    /// <param name="cancellationToken">Gives up waiting for the answer.</param>
    ValueTask<LeaderWrite> TryAcquireLeaderAsync(
        string member, long leaseId, RaceBasis? basis, CancellationToken cancellationToken);

    /// <summary>
    /// Confirms, linearizably, that the leader key is still ours. When it carries our name on another lease (the agent
    /// was restarted), it is put on this one, on condition that it has not changed in between.
    /// </summary>
    /// <returns>Held with the term; Lost when it is gone or names another member: never re-created here.</returns>
    ValueTask<LeaderWrite> TryKeepLeaderAsync(string member, long leaseId, CancellationToken cancellationToken);

    /// <summary>
    /// Writes the leader key of a term that goes on into a new life of the store. To be called only by a member that
    /// held the leader key to the end of the life before, and for as long as it believed in it then.
    /// </summary>
    /// <remarks>
    /// A key that is missing is created, one that carries our name is written anew on this lease, and one that came
    /// back with a snapshot and names another member is deleted, then created. Held with the term in the new life.
    /// Lost: another member has written the key in the new life, or says there that it is the primary.
    /// </remarks>
    ValueTask<LeaderWrite> TryCarryLeaderAsync(string member, long leaseId, CancellationToken cancellationToken);

    /// <summary>Deletes the leader key if it still carries our name; otherwise a conflict.</summary>
    ValueTask<WriteOutcome> ReleaseLeaderAsync(string member, CancellationToken cancellationToken);

    /// <summary>Writes one key.</summary>
    /// <param name="key">Below the base path.</param>
    /// <param name="value">UTF-8 text.</param>
    /// <param name="condition">What must hold for the write to happen.</param>
    /// <param name="leaseId">The lease to hang it on; 0 for none.</param>
    /// <param name="cancellationToken">Cancels the request.</param>
    ValueTask<WriteOutcome> PutAsync(
        string key, string value, WriteCondition condition, long leaseId, CancellationToken cancellationToken);

    /// <summary>Deletes one key. A key that is not there is deleted, unless the condition names a revision.</summary>
    ValueTask<WriteOutcome> DeleteAsync(string key, WriteCondition condition, CancellationToken cancellationToken);

    /// <summary>Deletes every key of the cluster.</summary>
    /// <exception cref="ClusterStoreException">No answer, or a refusal.</exception>
    ValueTask DeleteClusterAsync(CancellationToken cancellationToken);
}
