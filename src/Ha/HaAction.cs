using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha;

/// <summary>How a primary steps down.</summary>
public enum DemoteMode
{
    /// <summary>
    /// By request: a checkpoint, a fast stop, a wait until the candidate has all WAL; then the key is released.
    /// </summary>
    Graceful,

    /// <summary>An immediate stop; then the key is released.</summary>
    Immediate,

    /// <summary>An immediate stop; another member has the key by now, or none.</summary>
    ImmediateNoLock,

    /// <summary>
    /// The DCS is silent: a fast stop that becomes immediate before the lease ends. The key ends with its lease.
    /// </summary>
    Offline,

    /// <summary>
    /// The cluster becomes a standby cluster: a checkpoint and a fast stop; the key is kept, and where the WAL ends is
    /// published.
    /// </summary>
    ToStandby,

    /// <summary>The agent ends: a fast stop. A leader releases its key when a standby has all WAL.</summary>
    Shutdown,
}

/// <summary>One thing for the agent to do: data alone, so that tests can compare it.</summary>
public abstract record HaAction
{
    private HaAction()
    {
    }

    // --- keys: quick, awaited in the loop, each with its own deadline -------------------------------------------

    /// <summary>Take the leader key, if no member holds it.</summary>
    public sealed record AcquireLeader : HaAction;

    /// <summary>
    /// The leader key carries our name from an earlier life: put it on our lease, if it is unchanged.
    /// </summary>
    public sealed record AttachLeader : HaAction;

    /// <summary>Give the leader key up; <paramref name="Optime"/> is published first when known.</summary>
    public sealed record ReleaseLeader(Lsn? Optime) : HaAction;

    /// <summary>Create the initialize key, empty: the member that succeeds bootstraps.</summary>
    public sealed record RaceInitialize : HaAction;

    /// <summary>Write the system identifier.</summary>
    /// <param name="SystemId">The identifier.</param>
    /// <param name="Revision">
    /// Only if the key is as it was at this revision; 0: only if there is none; null: whatever stands there.
    /// </param>
    public sealed record WriteInitialize(string SystemId, long? Revision) : HaAction;

    /// <summary>Write the dynamic configuration that this member has cached.</summary>
    public sealed record WriteConfig : HaAction;

    /// <summary>Empty the failover request.</summary>
    /// <param name="Revision">The revision that was seen; null: whatever stands there (the winner of a race).</param>
    public sealed record ClearFailover(long? Revision) : HaAction;

    /// <summary>Write the synchronous state, if it has not changed since.</summary>
    public sealed record WriteSync(SyncState State) : HaAction;

    /// <summary>Delete the synchronous state, if it has not changed since.</summary>
    public sealed record DeleteSync(long Revision) : HaAction;

    /// <summary>Announce the timeline that is about to be opened, so that no other member ever opens it.</summary>
    public sealed record ReserveTimeline(uint Timeline) : HaAction;

    /// <summary>Write the timeline history.</summary>
    public sealed record WriteHistory(TimelineHistory History) : HaAction;

    /// <summary>Write how far a restore is, if its key has not changed since.</summary>
    public sealed record WriteRestore(RestoreRequest Request) : HaAction;

    /// <summary>Delete the key of a restore, if it has not changed since.</summary>
    public sealed record DeleteRestore(long Revision) : HaAction;

    /// <summary>Announce a switchover to the routers, or tell them that it was called off.</summary>
    public sealed record WriteIntent(SwitchoverIntent Intent) : HaAction;

    /// <summary>Delete what was announced, if it has not changed since.</summary>
    public sealed record DeleteIntent(long Revision) : HaAction;

    // --- questions ------------------------------------------------------------------------------------------------

    /// <summary>Ask these members for their state.</summary>
    /// <param name="Members">The members to ask, name and <c>api_url</c>, also those whose key has vanished.</param>
    /// <param name="Patient">Wait for a slow answer, though all of them are ours.</param>
    public sealed record ProbePeers(ImmutableArray<Member> Members, bool Patient = false) : HaAction;

    /// <summary>
    /// Publish where the WAL of the primary ends that this member was until its cluster became a standby cluster. The
    /// actions that follow are done as well when it fails.
    /// </summary>
    /// <param name="End">Where the record of its shutdown checkpoint ends.</param>
    /// <param name="Control">Its control file.</param>
    public sealed record PublishEnd(Lsn End, ControlFile Control) : HaAction;

    /// <summary>Ask every failsafe member for its consent.</summary>
    public sealed record AskFailsafe : HaAction;

    /// <summary>Ask the server which clients are in a transaction.</summary>
    public sealed record LookAtClients : HaAction;

    // --- the server: quick ----------------------------------------------------------------------------------------

    /// <summary>Set synchronous_standby_names; null: the user's own value.</summary>
    public sealed record SetSynchronousStandbys(string? Names) : HaAction;

    /// <summary>Begin a checkpoint in the background.</summary>
    public sealed record BeginCheckpoint : HaAction;

    // --- the server: jobs -----------------------------------------------------------------------------------------

    /// <summary>Bootstrap a new cluster.</summary>
    public sealed record Bootstrap : HaAction;

    /// <summary>Bootstrap a standby cluster: a copy of the remote primary, started as its standby.</summary>
    /// <param name="Remote">Where to stream from; null: WAL comes from the archive alone.</param>
    public sealed record BootstrapStandby(Upstream? Remote) : HaAction;

    /// <summary>Put a failed bootstrap aside and free the initialize key.</summary>
    public sealed record AbandonBootstrap : HaAction;

    /// <summary>Copy another member; null: by a method that needs no source.</summary>
    public sealed record CopyMember(string? Source) : HaAction
    {
        /// <summary>A standby cluster's member copies the remote primary; <see cref="Source"/> is null.</summary>
        public bool FromRemote { get; init; }

        /// <summary>
        /// An operator asked for the copy: the local data are marked as to be replaced until the copy is complete.
        /// </summary>
        public bool Replaces { get; init; }

        /// <summary>By <c>pg_basebackup</c> alone, whatever methods are configured.</summary>
        public bool FromLeader { get; init; }

        /// <summary>The order that it begins; 0: none.</summary>
        public long OrderId { get; init; }
    }

    /// <summary>Start PostgreSQL as a primary; decided only while this member holds the leader key.</summary>
    public sealed record StartPrimary(TimeSpan Timeout) : HaAction;

    /// <summary>Start PostgreSQL as a standby.</summary>
    public sealed record StartStandby(Upstream? Upstream) : HaAction;

    /// <summary>Promote PostgreSQL; decided only while this member holds the leader key.</summary>
    /// <param name="UsedTimeline">
    /// The highest timeline that any member may have opened: the new one is above it.
    /// </param>
    public sealed record Promote(uint UsedTimeline) : HaAction;

    /// <summary>Stop accepting writes.</summary>
    /// <param name="Mode">How PostgreSQL is stopped, and what becomes of the leader key.</param>
    /// <param name="Candidate">Graceful: the member that shall take over; null for any.</param>
    /// <param name="Site">Graceful: the site of the member that shall take over; null for any.</param>
    public sealed record Demote(DemoteMode Mode, string? Candidate = null, string? Site = null) : HaAction;

    /// <summary>Stream from another upstream.</summary>
    public sealed record Follow(Upstream? Upstream) : HaAction;

    /// <summary>Compare the local data with a primary's history.</summary>
    /// <param name="Primary">The member; null: the remote primary that a standby cluster follows.</param>
    public sealed record CheckDivergence(string? Primary) : HaAction;

    /// <summary>Ask the remote servers whether one of them is a primary of this database.</summary>
    public sealed record AskRemote(Upstream Remote) : HaAction;

    /// <summary>Rewind to a primary.</summary>
    /// <param name="Primary">The member; null: the remote primary that a standby cluster follows.</param>
    public sealed record Rewind(string? Primary) : HaAction;

    /// <summary>Restart in place, by an operator's order.</summary>
    /// <param name="Order">The order.</param>
    /// <param name="AsPrimary">
    /// It runs, or ran, as a primary: unless the cluster is paused it starts again only with the leader key.
    /// </param>
    /// <param name="Upstream">A standby: where to stream from.</param>
    /// <param name="Timeout">How long the start may take; null: <c>pg_ctl_timeout</c>.</param>
    public sealed record Restart(RestartOrder Order, bool AsPrimary, Upstream? Upstream, TimeSpan? Timeout) : HaAction;

    /// <summary>
    /// Copy these permanent logical slots from the leader, or from the remote primary, and restart as a standby to load
    /// them; those that are not fit to be copied are left out, and nothing restarts for none.
    /// </summary>
    /// <param name="Leader">
    /// The leader; null: this member leads a standby cluster, and the remote primary has them.
    /// </param>
    /// <param name="Names">The slots.</param>
    /// <param name="Upstream">Where this standby streams from.</param>
    public sealed record CopySlots(string? Leader, ImmutableArray<string> Names, Upstream? Upstream) : HaAction;

    /// <summary>
    /// Stop, restore the data to the target of this request beside those that are there, set these aside, and replay to
    /// the target. Leaves a standby that has stopped to replay there.
    /// </summary>
    public sealed record Restore(RestoreRequest Request) : HaAction;

    /// <summary>Put the data back that a restore has set aside.</summary>
    /// <param name="Id">The restore.</param>
    public sealed record PutBack(string Id) : HaAction;

    // --- operators' orders ------------------------------------------------------------------------------------------

    /// <summary>Tell the operator why the order is not carried out.</summary>
    public sealed record RefuseOrder(long Id, OrderRefusal Refusal, string Detail) : HaAction;

    /// <summary>The scheduled restart is due: it becomes an order.</summary>
    public sealed record OrderScheduledRestart : HaAction;

    /// <summary>Forget the scheduled restart.</summary>
    public sealed record DropScheduledRestart : HaAction;

    /// <summary>Cancel the running job.</summary>
    public sealed record CancelJob : HaAction;

    /// <summary>End the process.</summary>
    public sealed record Exit(int Code) : HaAction;

    /// <summary>Whether this starts a long job.</summary>
    public bool IsJob =>
        this is Bootstrap or BootstrapStandby or AbandonBootstrap or CopyMember or StartPrimary or StartStandby
        or Promote or Demote
        or Follow or CheckDivergence or AskRemote or Rewind or Restart or CopySlots or Restore or PutBack;
}
