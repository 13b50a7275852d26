using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Loop;

/// <summary>What the lease keeper knows and believes at one moment. Swapped whole, never changed.</summary>
/// <remarks>All times are timestamps of the agent's <see cref="TimeProvider"/>.</remarks>
internal sealed record LeaseBelief
{
    /// <summary>Life of the next lease.</summary>
    public TimeSpan Ttl { get; init; } = Timing.Default.Ttl;

    /// <summary>The <c>loop_wait</c> in force.</summary>
    public TimeSpan LoopWait { get; init; } = Timing.Default.LoopWait;

    /// <summary>The longest that a request may take.</summary>
    public TimeSpan RequestLimit { get; init; } = Timing.Default.RetryTimeout;

    /// <summary>The lease that keys are put on; null: one has to be granted.</summary>
    public OwnLease? Lease { get; init; }

    /// <summary>When its last good renewal was sent.</summary>
    public long RenewedAt { get; init; }

    /// <summary>The leader key, when it is ours.</summary>
    public LeaderKey? Held { get; init; }

    /// <summary>When the leader key may end.</summary>
    public long LeaderUntil { get; init; }

    /// <summary>Life of the lease that the leader key hangs on.</summary>
    public TimeSpan LeaderTtl { get; init; } = Timing.Default.Ttl;

    /// <summary>The <c>loop_wait</c> that was in force with that ttl.</summary>
    public TimeSpan LeaderLoopWait { get; init; } = Timing.Default.LoopWait;

    /// <summary>The last write to the leader key got no answer.</summary>
    public bool IsUncertain { get; init; }

    /// <summary>The leader key was asked for and not lost, forgotten or given up since.</summary>
    public bool IsWanted { get; init; }

    /// <summary>The newest life of the store that a snapshot has shown.</summary>
    public int SeenLife { get; init; }

    /// <summary>The newest life of the store that was known when the leader key was asked for.</summary>
    public int WantedIn { get; init; }

    /// <summary>When the DCS said last that the key is ours.</summary>
    public long ConfirmedAt { get; init; }

    /// <summary>Until when the members consent to this leader; 0: they do not.</summary>
    public long VouchedUntil { get; init; }

    /// <summary>When the guards act without a further consent; 0: there was none.</summary>
    public long VouchedDeadline { get; init; }

    /// <summary>The newest term that was given up.</summary>
    public Term ReleasedTerm { get; init; }

    /// <summary>A key that was given up may still be there.</summary>
    public bool IsReleasePending { get; init; }

    /// <summary>When that key has ended with its lease in any case.</summary>
    public long ReleaseUntil { get; init; }

    /// <summary>
    /// Until when this member may act as leader, by its lease or by others: of meaning while it holds the key.
    /// </summary>
    public long Until => Math.Max(LeaderUntil, VouchedUntil);

    /// <summary>The longest life that the lease of the leader key can have.</summary>
    public TimeSpan LongestTtl => Ttl > LeaderTtl ? Ttl : LeaderTtl;

    /// <summary>The life that requests have to fit into: while the key hangs on a shorter lease, that one's.</summary>
    public TimeSpan BindingTtl => Held is not null && LeaderTtl < Ttl ? LeaderTtl : Ttl;

    /// <summary>The key is kept by every renewal.</summary>
    public bool KeepsKey => Held is not null || (IsUncertain && IsWanted);

    /// <summary>Nothing but the lease itself needs a renewal.</summary>
    public bool MayRest => Held is null && !IsUncertain && !IsWanted && !IsReleasePending && Lease is not null;

    /// <summary>The times in force have changed. Another ttl needs another lease.</summary>
    public LeaseBelief WithTimes(Timing timing) => this with
    {
        RequestLimit = timing.RetryTimeout,
        LoopWait = timing.LoopWait,
        Ttl = timing.Ttl,
        Lease = Ttl == timing.Ttl ? Lease : null,
    };

    /// <summary>The leader key is asked for, by what is known of the store now.</summary>
    public LeaseBelief WithKeyWanted() => this with { IsWanted = true, WantedIn = SeenLife };

    /// <summary>
    /// A key that nobody has confirmed yet is ours in a later life of the store than the one that it was asked for in:
    /// it came back with a backup, and another member may have led since.
    /// </summary>
    public bool IsReturned(LeaderWrite write) =>
        Held is null && write.Outcome == LeaseOutcome.Held && write.Life > WantedIn;

    /// <summary>The leader key is not ours, or no longer believed in.</summary>
    public LeaseBelief WithoutKey() => this with { Held = null, IsUncertain = false, IsWanted = false };

    /// <summary>
    /// The key has to go. The lease is not renewed from here on, so that the key ends with it at the latest.
    /// </summary>
    public LeaseBelief WithReleasePromised(long until) =>
        this with { IsReleasePending = true, ReleaseUntil = until };

    /// <summary>The term that is held now is given up.</summary>
    public LeaseBelief WithTermReleased() =>
        Held is { } held && held.Term > ReleasedTerm ? this with { ReleasedTerm = held.Term } : this;

    /// <summary>Whether a key that was given up may still be there now.</summary>
    public LeaseBelief WithReleaseLookedAt(long now) =>
        this with { IsReleasePending = IsReleasePending && Held is null && now < ReleaseUntil };

    /// <summary>
    /// Others vouch for this leader. What the DCS has confirmed since they were asked counts for more.
    /// </summary>
    public LeaseBelief WithVouched(long sentAt, long until, long deadline) => ConfirmedAt > sentAt
        ? this
        : this with
        {
            VouchedUntil = Math.Max(VouchedUntil, until),
            VouchedDeadline = Math.Max(VouchedDeadline, deadline),
        };

    /// <summary>The members consent no more; the guards act at this deadline at the latest.</summary>
    public LeaseBelief WithConsentWithdrawn(long deadline) =>
        this with { VouchedUntil = 0, VouchedDeadline = Math.Min(VouchedDeadline, deadline) };

    /// <summary>The key is about to be put on a lease that may end before the one that it hangs on.</summary>
    public LeaseBelief WithShorterLease(OwnLease lease, long until) => Held is null || until >= LeaderUntil
        ? this
        : this with { LeaderUntil = until, LeaderTtl = lease.Ttl, LeaderLoopWait = LoopWait };

    /// <summary>The DCS has said that the key is ours, on a lease of this ttl that lasts until then.</summary>
    public LeaseBelief WithKey(LeaderKey? key, long until, TimeSpan ttl, long now) => this with
    {
        Held = key ?? Held,
        IsUncertain = false,
        LeaderUntil = until,
        LeaderTtl = ttl,
        LeaderLoopWait = ttl == Ttl ? LoopWait : LeaderLoopWait,
        // The members that are asked next time are known by the DCS from here on, and may be others than those that
        // have vouched.
        ConfirmedAt = now,
        VouchedUntil = 0,
        VouchedDeadline = 0,
    };

    /// <summary>A pushed snapshot tells that the key is gone or belongs to another member.</summary>
    public bool IsLostIn(ClusterSnapshot snapshot) =>
        // A snapshot says nothing about a key of an earlier life of the store. A key that was overwritten, and not
        // deleted, keeps its term.
        Held is { } held && snapshot.Life.Number == held.Term.Life && snapshot.Revision >= held.ModRevision
        && !(snapshot.Leader is { } leader && leader.Term == held.Term && leader.Holder == held.Holder);
}

/// <summary>A lease of ours.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Ttl">What we asked for, not what was granted: the DCS may round up, we never do.</param>
internal sealed record OwnLease(long Id, TimeSpan Ttl);
