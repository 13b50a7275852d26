using Routing.Cluster;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>What must hold after every step, by true time and with the eyes of somebody who sees everything.</summary>
internal sealed partial class Invariants(SimCluster cluster)
{
    private readonly List<Commit> _acknowledged = [];
    private readonly List<Sight> _seen = [];
    private Term _term;
    private int _life;
    private long _lifeBegan;
    private string _keys = "";
    private string? _systemId;
    private uint _highestTimeline;
    private SynchronousMode? _mode;
    private bool _hasChangedMode;

    /// <summary>The first violation; null: none.</summary>
    public string? Violation { get; private set; }

    /// <summary>Commits that clients were told are done.</summary>
    public int Acknowledged => _acknowledged.Count;

    /// <summary>Changes of leader so far.</summary>
    public int Terms { get; private set; }

    /// <summary>The member that an operator wants to lead by a failover: it may lack commits, once.</summary>
    public string? LossAllowedTo { get; set; }

    public void Violated(string what)
    {
        if (Violation is null)
        {
            Violation = what;
            cluster.World.Note("!!!", what);
        }
    }

    /// <summary>After each step: at most one node accepts writes; nobody's view goes back.</summary>
    public void Check()
    {
        SimNode? primary = null;
        for (var i = 0; i < cluster.Nodes.Count; i++)
        {
            var node = cluster.Nodes[i];
            if (node.AcceptsWrites && !IsForeign(node.Server) && node.ExcusedUntil <= cluster.World.Now)
            {
                if (primary is not null && !IsBetweenPatronis(primary, node.Name))
                {
                    Violated($"two nodes accept writes: {primary.Name} and {node.Name}");
                }
                // A key that came back with a backup is nobody's.
                if (cluster.Dcs.Snapshot.Leader is { } key && key.Holder != node.Name
                    && key.ModRevision > cluster.Dcs.LifeFrom
                    && !cluster.IsPaused && !IsBetweenPatronis(node, key.Holder))
                {
                    Violated($"{node.Name} accepts writes although {key.Holder} holds the leader key");
                }
                primary = node;
            }
            CheckSight(node, i);
        }
    }

    /// <summary>
    /// The loop of a member that runs Patroni hangs, and another one takes the key as the candidate of a request: then
    /// Patroni asks nobody whether the old primary is alive, and only a watchdog would stop that one. Our members ask.
    /// </summary>
    private bool IsBetweenPatronis(SimNode one, string other) =>
        cluster.Options.PatroniNodes > 1 && one.IsPatroni
        && cluster.Nodes.Find(n => n.Name == other) is { IsPatroni: true } another
        && (one.Agent is SimPatroni { IsBehind: true } || another.Agent is SimPatroni { IsBehind: true });

    /// <summary>What an agent believes never goes back.</summary>
    private void CheckSight(SimNode node, int index)
    {
        if (index == _seen.Count)
        {
            _seen.Add(new Sight(null, null, default));
        }
        var last = _seen[index];
        if (node.Agent is not { Seen: { } seen } agent || (ReferenceEquals(seen, last.Snapshot) && agent == last.Agent))
        {
            return;
        }
        var term = seen.Leader?.Term ?? default;
        if (last.Snapshot is { } before && last.Agent == agent)
        {
            var isOlder = seen.Life.Number == before.Life.Number
                ? seen.Revision < before.Revision : seen.Life.Number < before.Life.Number;
            if (isOlder || (term.Revision > 0 && term < last.Term))
            {
                Violated(
                    $"{node.Name} went back from revision {before.Revision}, term {last.Term}, to "
                        + $"{seen.Revision}, term {term}");
            }
            term = term < last.Term ? last.Term : term;
        }
        _seen[index] = new Sight(agent, seen, term);
    }

    /// <summary>
    /// Of no cluster yet, or of a bootstrap that another member has overtaken: no client knows of it, and its data are
    /// put aside.
    /// </summary>
    public bool IsForeign(SimServer server) => _systemId != server.SystemId;

    /// <summary>The DCS has changed.</summary>
    public void Changed(ClusterSnapshot snapshot)
    {
        if (cluster.World.Diary is not null)
        {
            NoteKeys(snapshot);
        }
        if (snapshot.Life.Number != _life)
        {
            (_life, _lifeBegan) = (snapshot.Life.Number, cluster.World.Now);
        }
        _systemId = snapshot.Initialize.SystemId ?? _systemId;
        SeeMode(snapshot);
        CheckOptime(snapshot);
        SeeRestore(snapshot);
        if (snapshot.Leader is not { } leader || leader.Term == _term)
        {
            return;
        }
        if (leader.Term < _term)
        {
            Violated($"the term fell from {_term} to {leader.Term}");
        }
        if (Terms > 0 && cluster.Options.IsQuiet)
        {
            Violated($"the leader changed to {leader.Holder} though nothing happened");
        }
        CheckSite(snapshot, leader.Holder);
        _term = leader.Term;
        Terms++;
        cluster.World.Note("DCS", $"the leader is {leader.Holder}, term {leader.Term}");
    }

    /// <summary>
    /// Its promotion was under way when the DCS ended its lease early. Nobody else may lead then, which is another
    /// check.
    /// </summary>
    private bool IsRobbed(SimServer server) =>
        cluster.Dcs.Snapshot.Leader is null && cluster.Nodes.Find(n => n.Server == server) is { RobbedAt: > 0 } node
        && cluster.World.Now - node.RobbedAt < TimeSpan.FromSeconds(cluster.Options.LongestTtl).Ticks;

    /// <summary>
    /// Its machine stood still in the middle of a promotion, until its lease had ended, and no fence has run yet. The
    /// cluster's primary is another one: <see cref="Check"/> sees to it that this one ends in time.
    /// </summary>
    private bool IsExcused(SimServer server) =>
        cluster.Dcs.Snapshot.Leader?.Holder != server.Name
        && cluster.Nodes.Find(n => n.Server == server) is { } node && node.ExcusedUntil > cluster.World.Now;

    /// <summary>
    /// An operator who switches synchronous mode off gives the promise up for what was committed before, too.
    /// </summary>
    private void SeeMode(ClusterSnapshot snapshot)
    {
        if (snapshot.Config?.SynchronousMode is not { } mode || mode == _mode)
        {
            return;
        }
        _hasChangedMode |= _mode is not null;
        _mode = mode;
        if (mode == SynchronousMode.Off)
        {
            _acknowledged.ForEach(commit => commit.IsProtected = false);
        }
    }

    /// <summary>
    /// A switchover to a site goes there, where a member has as much as the one that takes over. In a synchronous mode
    /// some may not lead, and where something fails nobody waits for long.
    /// </summary>
    private void CheckSite(ClusterSnapshot snapshot, string holder)
    {
        if (cluster.Options is not { IsCalm: true, Mode: SynchronousMode.Off }
            || snapshot.Failover is not { IsSwitchover: true, Candidate: null, Site: { } wanted } request
            || cluster.Nodes.Find(n => n.Name == holder) is not { } winner || winner.Site == wanted
            || holder == request.Leader)
        {
            return;
        }
        if (cluster.Nodes.Find(n => n.Site == wanted && n.Name != request.Leader && n.Server.Life == Life.Up
            && n.Server.End >= winner.Server.End) is { } other)
        {
            Violated($"{holder} takes the leader key, though {other.Name} is in {wanted}, which was asked for");
        }
    }

    private void NoteKeys(ClusterSnapshot snapshot)
    {
        var keys =
            $"ttl {snapshot.Config?.Timing.Ttl.TotalSeconds} s, sync "
                + $"{snapshot.Sync.Leader}/{string.Join(',', snapshot.Sync.Standbys)}/{snapshot.Sync.Quorum}, "
            + $"failsafe {string.Join(',', snapshot.Failsafe?.Keys ?? [])}";
        if (keys != _keys)
        {
            cluster.World.Note("DCS", _keys = keys);
        }
    }

    /// <summary>A client was told that its commit is done.</summary>
    public void CommitAcknowledged(SimServer server, Commit commit)
    {
        if (cluster.Options.PatroniNodes > 1 && cluster.Dcs.Snapshot.Leader?.Holder != server.Name
            && cluster.Nodes.Find(n => n.Server == server) is { Agent: SimPatroni { IsBehind: true } })
        {
            return;   // it hangs, and has lost the key: its commits are lost with it, whoever leads next
        }
        if (_mode is null or SynchronousMode.Off
            && cluster.Dcs.Snapshot.Leader?.Holder != server.Name
            && cluster.Nodes.Find(n => n.Server == server) is { } node && node.ExcusedUntil > cluster.World.Now)
        {
            return;   // its machine stood still until its lease had ended, and nobody could have stopped it yet
        }
        var sync = cluster.Dcs.Snapshot.Sync;
        commit.IsProtected = _mode is not (null or SynchronousMode.Off) && sync.IsOwner(server.Name)
            // Just after the mode was switched on the server may not have heard of it: such a commit was promised
            // nothing.
            && (!_hasChangedMode || sync.Standbys.IsEmpty || server.SynchronousStandbyNames.Length > 0);
        _acknowledged.Add(commit);
    }

    /// <summary>
    /// The DCS lost its keys a moment ago: whoever held the leader key then may still believe in its lease.
    /// </summary>
    private bool IsEarlierLeaseValid =>
        _life > 0 && cluster.World.Now - _lifeBegan < TimeSpan.FromSeconds(cluster.Options.LongestTtl).Ticks;

    /// <summary>An agent begins to make its server a primary.</summary>
    public void TakesOver(SimNode node, string what)
    {
        // A lease that the DCS ends early is valid in its holder's eyes, which cannot know better yet.
        if (cluster.Dcs.Snapshot.Leader?.Holder != node.Name && !IsEarlierLeaseValid && !IsRobbed(node.Server))
        {
            Violated(
                $"{node.Name} {what} without the leader key, which names "
                    + $"{cluster.Dcs.Snapshot.Leader?.Holder ?? "nobody"}");
        }
    }

    /// <summary>A server has become writable: what was promised has to be there.</summary>
    public void BecamePrimary(SimServer server, bool wasPromoted)
    {
        if (IsForeign(server) || IsExcused(server))
        {
            return;
        }
        CheckRestores(server);
        CheckTakeOver(server, wasPromoted);
        if (wasPromoted && cluster.Options.HasSlots)
        {
            cluster.Consumer.TakenOver(
                server, cluster.Nodes.Exists(n => n.Server == server && n.HasUnsafeSlots));
        }
        var dcs = cluster.Dcs.Snapshot;
        if (dcs.Leader?.Holder != server.Name && !cluster.IsPaused && !IsEarlierLeaseValid && !IsRobbed(server))
        {
            Violated($"{server.Name} accepts writes, and the leader key names {dcs.Leader?.Holder ?? "nobody"}");
        }
        if (server.Timeline > _highestTimeline + HaLoop.LargestTimelineLeap + 1)
        {
            Violated($"{server.Name} opens timeline {server.Timeline}, and {_highestTimeline} was the highest");
        }
        _highestTimeline = Math.Max(_highestTimeline, server.Timeline);
        var present = new HashSet<Commit>();
        foreach (var record in server.Wal)
        {
            if (record.Commit is { } commit)
            {
                present.Add(commit);
            }
        }
        var lost = _acknowledged.Where(c => !present.Contains(c)).ToList();
        _acknowledged.RemoveAll(c => !present.Contains(c));   // lost once, told once
        var wasAskedFor = LossAllowedTo == server.Name;
        LossAllowedTo = wasAskedFor ? null : LossAllowedTo;
        if (lost.Count == 0 || wasAskedFor)
        {
            return;
        }
        cluster.World.Note(server.Name, $"lacks {lost.Count} acknowledged commits");
        if (lost.Find(c => c.IsProtected) is { } promised)
        {
            Violated(
                $"{server.Name} is primary without commit {promised.Id}, which {promised.AcknowledgedBy} acknowledged "
                    + "in synchronous mode");
        }
        else if (cluster.Options.IsCalm)
        {
            Violated(
                $"{server.Name} is primary without commit {lost[0].Id}, which {lost[0].AcknowledgedBy} acknowledged, "
                    + "and nothing had failed");
        }
        else if (cluster.Options is { Mode: SynchronousMode.Off, CheckTimeline: true } && !MayPatroniLag(server))
        {
            var published = dcs.Status.Optime.Value;
            var allowed = (ulong)cluster.Options.MostLag;
            if (lost.Find(c => c.End + allowed < published) is { } commit)
            {
                Violated(
                    $"{server.Name} is primary without commit {commit.Id}, more than maximum_lag_on_failover before "
                        + "the published position");
            }
        }
    }

    /// <summary>An agent has decided.</summary>
    public void Decided(SimNode node, Observation o, Decision decision)
    {
        CheckGuards(node, o);
        if (cluster.World.Diary is not null && node.Agent?.Reason != $"[{decision.Code}] {decision.Reason}")
        {
            cluster.World.Note(node.Name, $"{decision.Reason} [{decision.Code}] {string.Join(' ', decision.Actions)}");
        }
        cluster.Decided?.Invoke(node, decision.Code);
        if (decision.Reason.Length == 0 || decision.Code.Length == 0)
        {
            Violated($"{node.Name} decides without a reason: [{decision.Code}] '{decision.Reason}'");
        }
        if (cluster.Options.MustStayLeader && o.Leader == o.Self && o.Local.AcceptsWrites
            && decision.Actions.Any(a => a is HaAction.Demote)
            && cluster.Nodes.TrueForAll(n => n.Agent is not null && IsFailsafeMember(n)))
        {
            Violated($"{node.Name} demotes itself though every member could consent: {decision.Reason}");
        }
        if (cluster.Options.IsQuiet && o.Leads && decision.Actions.Any(a => a is HaAction.Demote))
        {
            Violated($"{node.Name} demotes itself though nothing happened: {decision.Reason}");
        }
    }

    /// <summary>
    /// Failsafe mode asks the members that the key names: while the cluster is made, some have not joined it yet.
    /// </summary>
    private bool IsFailsafeMember(SimNode node) => cluster.Dcs.Snapshot.Failsafe?.ContainsKey(node.Name) == true;

    /// <summary>What an agent saw last, and the highest term that it has seen.</summary>
    private sealed record Sight(SimMember? Agent, ClusterSnapshot? Snapshot, Term Term);
}
