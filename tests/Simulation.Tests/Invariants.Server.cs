using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Simulation.Tests;

// What must hold of servers, their data and what is published of them.
internal sealed partial class Invariants
{
    private static readonly TimeSpan s_keyWithoutPrimary = TimeSpan.FromSeconds(60);

    private readonly Dictionary<string, (Term Term, TimeSpan Since)> _idleKeys = [];
    private ulong _optime;
    private (int Life, long Revision) _status;
    private WalRecord? _published;

    /// <summary>A disk lost these although it had promised to keep them: nobody owes them any more.</summary>
    public void Excuse(IEnumerable<Commit> lost)
    {
        var gone = lost.ToHashSet();
        _acknowledged.RemoveAll(gone.Contains);
    }

    /// <summary>The published position never falls within one history.</summary>
    private void CheckOptime(ClusterSnapshot snapshot)
    {
        var status = (snapshot.Life.Number, snapshot.Status.ModRevision);
        if (status == _status)
        {
            return;   // another key was written: what an earlier history published counts no more for having stayed
        }
        var optime = snapshot.Status.Optime.Value;
        if (snapshot.Life.Number != _status.Life)
        {
            (_optime, _published) = (0, null);   // a backup shows what was published when it was taken
        }
        _status = status;
        if (optime < _optime)
        {
            Violated($"the published position fell from {new Lsn(_optime)} to {new Lsn(optime)}");
        }
        _optime = optime;
        var publisher = cluster.Nodes.Find(n => n.Name == snapshot.Leader?.Holder)?.Server;
        var record = publisher is { Wal: [.., var last] } ? last : null;
        while (record is not null && record.Previous is { } before && before.End >= optime)
        {
            record = before;
        }
        _published = record is not null && record.End >= optime ? record : _published;
    }

    /// <summary>A new history begins: what is published from here on may be less.</summary>
    private void CheckTakeOver(SimServer server, bool wasPromoted)
    {
        if (server.Damage != SimDamage.None || server.IsKnownDiverged)
        {
            Violated($"{server.Name} became primary on data that are marked as damaged");
        }
        if (cluster.Options.Watchdog == WatchdogMode.Required && !cluster.IsPaused
            && cluster.Nodes.Find(n => n.Server == server) is { Watchdog.IsRunning: false })
        {
            Violated($"{server.Name} became primary without its watchdog");
        }
        if (!wasPromoted)
        {
            return;
        }
        if (_published is { } published && LossAllowedTo != server.Name && !MayPatroniLag(server))
        {
            var own = server.Wal.ToHashSet();
            var shared = published;
            while (shared is not null && !own.Contains(shared))
            {
                shared = shared.Previous;
            }
            var lacks = Math.Min(_optime, published.End) - Math.Min(_optime, shared?.End ?? 0);
            if (lacks > (ulong)cluster.Options.MaximumLag)
            {
                Violated(
                    $"{server.Name} took over and lacks {lacks} bytes of what was published, more than "
                        + "maximum_lag_on_failover");
            }
        }
        (_optime, _published) = (0, null);
    }

    private bool MayPatroniLag(SimServer server) =>
        cluster.Options.PatroniNodes > 0
        && cluster.Nodes.Find(n => n.Server == server) is { Agent: SimPatroni { WonByRequest: true } };

    private void CheckGuards(SimNode node, Observation o)
    {
        if (o.Job is { } job && o.Now - job.StartedAt > BoundOf(job))
        {
            Violated(
                $"{node.Name} is busy for {(o.Now - job.StartedAt).TotalSeconds:F0} s: {HaLoop.Name(job.Kind)}: "
                    + $"{job.Progress}");
        }
        if (!o.Lease.HoldsLeader || o.Paused || node.Server is not { Life: Life.Up, IsPrimary: false, RestoreId: null })
        {
            _idleKeys.Remove(node.Name);
        }
        else if (_idleKeys.TryGetValue(node.Name, out var idle) && idle.Term == o.Lease.Term)
        {
            if (o.Now - idle.Since > s_keyWithoutPrimary)
            {
                Violated(
                    $"{node.Name} holds the leader key for {(o.Now - idle.Since).TotalSeconds:F0} s and does not lead");
            }
        }
        else
        {
            _idleKeys[node.Name] = (o.Lease.Term, o.Now);
        }
    }

    private static TimeSpan BoundOf(JobView job) => TimeSpan.FromSeconds(job.Kind switch
    {
        JobKind.Clone or JobKind.Reinitialize or JobKind.Rewind => 150,
        JobKind.StartPrimary or JobKind.Restart or JobKind.Restore => 330,
        // One by request writes a checkpoint first, while clients are still served.
        JobKind.Demote => job.Demotion == DemoteMode.Graceful ? 450 : 150,
        _ => 90,
    });
}
