using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Synchronous;

namespace Routing.Ha;

public static partial class HaLoop
{
    /// <summary>Answers of peers older than this are asked for again.</summary>
    private static readonly TimeSpan s_answersAge = TimeSpan.FromSeconds(1);

    /// <summary>How long a race waits for peers that have not looked at their servers yet.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_raceAgain = TimeSpan.FromMilliseconds(500);

    /// <summary>No member holds the leader key, and PostgreSQL runs: decides whether to take it.</summary>
    private static Decision DecideRace(Observation o)
    {
        if (!o.IsDcsLive)
        {
            return o.Local.IsPrimary && !o.Paused
                ? Act(o, "dcs_silent", "demotes itself: it does not hold the leader key, and the DCS is silent", s_soon,
                    new HaAction.Demote(DemoteMode.Offline))
                : Wait(o, "dcs_unreachable", "keeps its role: the DCS is not accessible", s_second);
        }
        if (DecideAgainstRemote(o) is { } repair)
        {
            return repair;
        }
        var entry = o.Local.IsPrimary ? MayStayPrimary(o) : MayRace(o);
        if (entry is { } refusal)
        {
            return Refused(o, refusal);
        }
        if (o.Local.IsPrimary && !o.Paused)
        {
            // It accepts writes: each question would lengthen the time in which it does so without the key.
            return Act(o, "reacquires", "takes the free leader key at once: it is the primary", s_raceAgain,
                new HaAction.AcquireLeader());
        }
        var peers = PeersOf(o);
        ImmutableArray<string> names = [.. peers.Select(member => member.Name)];
        o = o with { Peers = OfThisCluster(o, o.Peers?.From(names)) };
        var unlockedSince = o.Memory.UnlockedSince ?? o.Now;
        var isFresh = AreFresh(o, names, unlockedSince);
        if (names.Length > 0 && (!isFresh || (o.Now - unlockedSince < s_patience && Unsettled(o) is not null)))
        {
            return Act(o, "asks_peers",
                isFresh ? $"asks again before it races: {Unsettled(o)}"
                    : "asks the others before it races for the leader key",
                isFresh ? TimeSpan.FromMilliseconds(20) : TimeSpan.Zero,
                new HaAction.ProbePeers(peers, Patient: peers.Any(member => IsLostInPause(o, member.Name))));
        }
        return Judge(o) switch
        {
            null => Act(o, "races", "races for the leader key: it is the healthiest member", s_raceAgain,
                new HaAction.AcquireLeader()),
            { Code: "lagging" } when HeldUpByRequest(o) is { } request => Act(o, "request_refused",
                $"drops the request for a {request.Kind}: this member lags too far, and one that does not leaves the "
                    + "leader key to others while the request stands",
                s_raceAgain, new HaAction.ClearFailover(request.ModRevision)),
            { } verdict => Refused(o, verdict),
        };
    }

    private static Decision Refused(Observation o, Refusal refusal) =>
        o.Local.IsPrimary && !o.Paused
            ? Act(o, "lost_leader", $"demotes itself: it does not hold the leader key, and {refusal.Reason}", s_soon,
                new HaAction.Demote(DemoteMode.ImmediateNoLock))
            : Wait(o, refusal.Code, refusal.Reason, refusal.RetryIn ?? s_raceAgain);

    private sealed record Refusal(string Code, string Reason, TimeSpan? RetryIn = null);

    private static Refusal? MayStayPrimary(Observation o)
    {
        if (!o.Paused && o.Local.Damage != DataDamage.None)
        {
            return new Refusal("damaged", WhyDamaged(o)!);
        }
        if (WhyBarredByRestore(o) is { } restore)
        {
            return restore;
        }
        if (o.Paused)
        {
            return o.Cluster!.Initialize.SystemId is { } id && id != o.Local.Control?.SystemId
                ? new Refusal("foreign_data", "belongs to another cluster")
                : null;
        }
        if (o.Options.WatchdogProblem is { } watchdog)
        {
            return new Refusal("watchdog", watchdog);
        }
        // A later timeline that was opened, or was about to be: another member has had the key since.
        return o.Local.Timeline < UsedTimeline(o)
            ? new Refusal("stale_primary", $"is on timeline {o.Local.Timeline}, the cluster on {UsedTimeline(o)}")
            : null;
    }

    /// <summary>Why a standby may not race, before any peer is asked. The order is that of Patroni.</summary>
    private static Refusal? MayRace(Observation o)
    {
        var cluster = o.Cluster!;
        if (WhyBarredByRestore(o) is { } restore)
        {
            return restore;
        }
        if (o.Memory.BarredFromRaceUntil is { } until && until > o.Now)
        {
            return new Refusal("barred", "does not race: its promotion failed a moment ago", until - o.Now);
        }
        if (o.Memory.EarlierLeaseUntil is { } lease)
        {
            return new Refusal("new_life",
                $"does not race: the DCS was set up anew or restored, and {o.Memory.EarlierLeader ?? "a leader"} "
                    + "may still lead by the "
                + $"earlier one for {(lease - o.Now).TotalSeconds:F0} s", lease - o.Now);
        }
        if (o.Failsafe.PingLeft > TimeSpan.Zero)
        {
            // Also when the mode has been switched off since: a leader that is cut off does not know that.
            return new Refusal("failsafe", $"does not race: {o.Failsafe.PingedBy} leads by failsafe mode",
                o.Failsafe.PingLeft);
        }
        if (o.Paused && cluster.Failover is not { Candidate: not null })
        {
            return new Refusal("paused", "does not race: the cluster is paused");
        }
        if (o.Local.Server != ServerState.Running)
        {
            return new Refusal("unresponsive", "does not race: PostgreSQL does not answer");
        }
        if (o.Local.IsWalEndUnknown)
        {
            return new Refusal("wal_unread", "does not race: the end of the WAL in its files is not known yet", s_soon);
        }
        if (WhyDamaged(o) is { } damage)
        {
            return new Refusal("damaged", $"does not race: {damage}", s_second);
        }
        if (o.Options.Tags.NoFailover)
        {
            return new Refusal("nofailover", "does not race: it is tagged nofailover");
        }
        if (o.Options.WatchdogProblem is { } problem)
        {
            return new Refusal("watchdog", $"does not race: {problem}");
        }
        if (IsOutsideFailsafe(o, o.Self))
        {
            return new Refusal("not_failsafe_member", "does not race: it is not among the failsafe members");
        }
        var requested = cluster.Failover?.Candidate == o.Self && cluster.Failover is { IsSwitchover: false };
        if (IsSyncActive(o) && o.Config.SynchronousMode == SynchronousMode.Priority && !cluster.Sync.Includes(o.Self)
            && !requested)
        {
            return new Refusal("not_synchronous",
                $"does not race: it is not among the synchronous members ({Describe(cluster.Sync)})");
        }
        if (cluster.Failover is { IsSwitchover: true } && IsSyncActive(o) && !cluster.Sync.Includes(o.Self))
        {
            return new Refusal("not_synchronous", "does not race: a switchover may only go to a synchronous member");
        }
        if (o.Memory.SteppedDownAt is { } at && o.Now - at < s_courtesy && cluster.Failover?.Candidate != o.Self
            && cluster.Members.Values.Any(m => m.Name != o.Self && m.ApiUrl is not null && IsCompared(o, m.Name)))
        {
            return new Refusal("stepped_down", "has stepped down and waits for the new leader",
                s_courtesy - (o.Now - at));
        }
        return Backoff(o);
    }

    /// <summary>primary_race_backoff: while WAL still arrives, the old primary is alive.</summary>
    private static Refusal? Backoff(Observation o)
    {
        var backoff = o.Config.PrimaryRaceBackoff;
        if (backoff <= TimeSpan.Zero || o.Paused || o.IsStandbyCluster || o.Cluster!.Failover?.Candidate is not null
            || o.Memory.UnlockedSince is not { } since)
        {
            return null;
        }
        var left = backoff - (o.Now - since);
        var flows = o.Local.IsStreaming && o.Local.WalPosition > o.Memory.PreviousPosition;
        return left > TimeSpan.Zero && (flows || left > backoff - o.Timing.LoopWait)
            ? new Refusal("race_backoff",
                $"postpones the race for {left.TotalSeconds:F0} s at most (primary_race_backoff)", s_second)
            : null;
    }

    private static bool IsSyncActive(Observation o) =>
        o.Config.SynchronousMode != SynchronousMode.Off && o.Cluster!.Sync.IsActive;

    /// <summary>Compares with the peers' answers. Null: take the key.</summary>
    private static Refusal? Judge(Observation o)
    {
        var request = o.Cluster!.Failover;
        if (request?.ScheduledAt is { } at && at - o.Clock > o.Timing.LoopWait)
        {
            // a plan for later says nothing about this race; one that is due does, though clocks differ a little
            request = null;
        }
        if (request?.Candidate is { } candidate)
        {
            if (candidate == o.Self && (!request.IsSwitchover || o.Local.WalPosition >= o.Memory.Published.Highest))
            {
                return AnotherPrimary(o) ?? (request.IsSwitchover && IsQuorum(o) ? Compare(o, checkLag: false) : null);
            }
            if (o.Paused)
            {
                return new Refusal("paused", $"does not race: the cluster is paused, and {candidate} is the candidate");
            }
            if (candidate != o.Self && CannotLead(o, candidate) is null && IsCandidatesTurn(o, request))
            {
                return new Refusal("candidate_first",
                    $"leaves the leader key to {candidate}, the candidate of the {request.Kind}");
            }
        }
        if (request?.Leader == o.Self && !o.Local.IsPrimary && IsEarly(o))
        {
            var others = o.Cluster.Members.Values.Where(m => m.Name != o.Self && CannotLead(o, m.Name) is null)
                .Select(m => m.Name).ToList();
            if (others.Count > 0)
            {
                return new Refusal("stepped_down",
                    $"was asked to step down and leaves the leader key to {string.Join(", ", others)}");
            }
        }
        // A failover by hand allows its candidate to lag, and no other member.
        return Compare(o, checkLag: true);
    }

    /// <summary>The candidate goes first: while it has all that the last leader published, and not for ever.</summary>
    private static bool IsCandidatesTurn(Observation o, FailoverRequest request) =>
        IsEarly(o)
        && (!request.IsSwitchover || o.Peers!.Reports[request.Candidate!].Position >= o.Memory.Published.Highest);

    /// <summary>
    /// A request decides for one ttl which member goes first; then the cluster needs a leader more than the wanted one.
    /// </summary>
    private static bool IsEarly(Observation o) => o.Now - (o.Memory.UnlockedSince ?? o.Now) < o.Timing.Ttl;

    private static bool IsQuorum(Observation o) =>
        IsSyncActive(o) && o.Config.SynchronousMode == SynchronousMode.Quorum;

    private static Refusal? Compare(Observation o, bool checkLag)
    {
        var cluster = o.Cluster!;
        var own = o.Local.WalPosition;
        // Where the key demands votes they are counted, whatever the mode was changed to since it was written.
        var quorum = IsSyncActive(o) && (o.Config.SynchronousMode == SynchronousMode.Quorum || cluster.Sync.Quorum > 0);
        if (!o.Local.IsPrimary && !o.IsStandbyCluster)   // what it lacks, it gets from the remote primary
        {
            var lag = o.Memory.Published.Highest.BytesAheadOf(own);
            if (checkLag && lag > (ulong)Math.Max(0, o.Config.MaximumLagOnFailoverBytes))
            {
                return new Refusal("lagging",
                    $"does not race: it lacks {lag} bytes of the last leader's WAL, more than maximum_lag_on_failover",
                    s_second);
            }
            if (o.Config.CheckTimeline && o.Local.Timeline < ClusterTimeline(o))
            {
                return new Refusal("stale_timeline",
                    $"does not race: it is on timeline {o.Local.Timeline}, the cluster on {ClusterTimeline(o)}",
                    s_second);
            }
        }
        if (AnotherPrimary(o) is { } alive)
        {
            return alive;
        }
        var usable = new List<PeerPosition>();
        foreach (var peer in o.Peers?.Reports.Values ?? [])
        {
            var isVoter = quorum && cluster.Sync.Standbys.Contains(peer.Name);
            // A voter that may not lead holds what was acknowledged all the same: its position is a vote.
            if (!peer.Reachable || peer.IsPrimary || (IsStale(o, peer) && quorum)
                || ((peer.NoFailover || peer.WatchdogFailed) && !isVoter) || !IsCompared(o, peer.Name))
            {
                continue;
            }
            if (o.Local.IsPrimary)
            {
                continue;   // the only primary keeps its place
            }
            var hasLeft = HasLeft(cluster.History, peer.Timeline, peer.Position) is not null;
            if (hasLeft && peer.Timeline <= o.Local.Timeline && cluster.Sync.IsOwner(o.Self))
            {
                // What was acknowledged since is here. More bytes of a history that the cluster has left say nothing.
                continue;
            }
            usable.Add(new PeerPosition(peer.Name, peer.Position, peer.Timeline));
            // A member that waits for the WAL of one that must not lead would never lead.
            if (peer.Damage is not null || IsBarredByTimeline(o, peer) || IsOutsideFailsafe(o, peer.Name)
                || IsGoneForLong(o, peer.Name) || LeavesTheKeyToUs(o, peer) || hasLeft)
            {
                continue;
            }
            var mayBeAhead = quorum || (IsSyncActive(o) && cluster.Sync.IsOwner(peer.Name));
            if (peer.Position > own && !mayBeAhead)
            {
                return new Refusal("behind",
                    $"does not race: {peer.Name} has more WAL ({peer.Position} against {own})");
            }
            if (peer.Position == own && own > Lsn.Zero && !peer.WatchdogFailed && (!quorum || isVoter)
                && !cluster.Sync.IsOwner(peer.Name) && GoesFirst(o, peer) is { } first)
            {
                return first;
            }
        }
        if (quorum && !o.Local.IsPrimary)
        {
            var vote = QuorumVote.Evaluate(cluster.Sync, o.Self, own, usable, o.Local.Timeline);
            if (!vote.Wins)
            {
                return new Refusal("no_quorum", $"does not race: it {vote.Reason}");
            }
            // Bytes of an earlier timeline do not count: they were left behind when this timeline began.
            if (usable.FirstOrDefault(p => p.Lsn > own && (p.Timeline == 0 || p.Timeline >= o.Local.Timeline)
                && CannotLead(o, p.Name) is null) is { } ahead)
            {
                return new Refusal("behind", $"does not race: {ahead.Name} has more WAL ({ahead.Lsn} against {own})");
            }
        }
        return null;
    }

    /// <summary>Why a peer with just as much WAL goes first: its site, or its priority within a site.</summary>
    private static Refusal? GoesFirst(Observation o, PeerReport peer)
    {
        var (other, own) = (SiteTurn(o, SiteOf(o, peer.Name)), SiteTurn(o, o.Options.Site));
        if (other < own && CannotLead(o, peer.Name) is null)
        {
            return new Refusal("other_site", $"does not race: {peer.Name} is in the site "
                + $"{SiteOf(o, peer.Name) ?? "that has none"}, which goes first");
        }
        return other <= own && peer.FailoverPriority > o.Options.Tags.FailoverPriority
            ? new Refusal("lower_priority", $"does not race: {peer.Name} has the higher failover_priority")
            : null;
    }

    /// <summary>
    /// Whether the peer is on an earlier timeline, with which <c>check_timeline</c> does not allow it to lead: a member
    /// that waits for its WAL would wait for ever. After a failover to a member that lagged, the others have more
    /// bytes, of a history that has ended.
    /// </summary>
    private static bool IsBarredByTimeline(Observation o, PeerReport peer) =>
        o.Config.CheckTimeline && peer.Timeline > 0 && peer.Timeline < ClusterTimeline(o)
            && o.Local.Timeline >= ClusterTimeline(o);

    /// <summary>
    /// Whether the peer runs Patroni and leaves the leader key to this member because of a request: this member is the
    /// candidate, or the peer was asked to step down. That lasts as long as the request stands, and only a leader
    /// deletes it.
    /// </summary>
    private static bool LeavesTheKeyToUs(Observation o, PeerReport peer) =>
        peer.Age is null && !IsEarly(o) && !IsSyncActive(o) && o.Cluster!.Failover is { ScheduledAt: null } request
        && (request.Candidate == o.Self || request.Leader == peer.Name);

    /// <summary>
    /// The request that keeps a member with Patroni from leading: that one has the last leader's WAL, and leaves the
    /// key to the request's candidate, or to any other member, for as long as the request stands. Null: there is none.
    /// </summary>
    private static FailoverRequest? HeldUpByRequest(Observation o) =>
        !o.Paused && !IsEarly(o) && o.Cluster!.Failover is { ScheduledAt: null } request
        && o.Peers!.Reports.Values.Any(peer => peer is { Reachable: true, Age: null, NoFailover: false }
            && peer.Name != request.Candidate && (request.Candidate is not null || request.Leader == peer.Name)
            && o.Memory.Published.Highest.BytesAheadOf(peer.Position)
                <= (ulong)Math.Max(0, o.Config.MaximumLagOnFailoverBytes))
            ? request
            : null;

    /// <summary>
    /// Whether the member may not lead because failsafe mode is on and it is no failsafe member: a member that waits
    /// for its WAL would wait for ever.
    /// </summary>
    private static bool IsOutsideFailsafe(Observation o, string name) =>
        o.Config.FailsafeMode && o.Cluster!.Failsafe is { Count: > 0 } failsafe && !failsafe.ContainsKey(name);

    /// <summary>Why a member could not be the leader, by its own answer; null when it could.</summary>
    private static string? CannotLead(Observation o, string name)
    {
        if (o.Peers?.Reports.GetValueOrDefault(name) is not { Reachable: true } report)
        {
            return $"{name} cannot be reached";
        }
        return report switch
        {
            { NoFailover: true } => $"{name} is tagged nofailover",
            { WatchdogFailed: true } => $"{name} has no usable watchdog",
            { Damage: { } damage } => $"{name} must not lead: {damage}",
            _ when IsOutsideFailsafe(o, name) => $"{name} is not among the failsafe members",
            _ when IsGoneForLong(o, name) => $"{name} has lost its member key",
            _ => null,
        };
    }

    private static string Describe(SyncState sync) =>
        sync.Leader + (sync.Standbys.IsEmpty ? "" : ", " + string.Join(", ", sync.Standbys));
}
