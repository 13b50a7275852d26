using Routing.Cluster;

namespace Routing.Simulation.Tests;

// What must hold while a cluster goes back in time, and afterwards.
internal sealed partial class Invariants
{
    private Begun? _begun;
    private (string Member, List<Commit> Owed)? _failed;
    private (string Id, long At)? _restored;
    private readonly HashSet<string> _carriedOut = [];
    private readonly List<(ulong End, uint Timeline)> _givenUp = [];

    /// <summary>No restore goes on.</summary>
    public bool IsRestoreOver => cluster.Dcs.Snapshot.Restore is null or { Phase: RestorePhase.Failed };

    /// <summary>
    /// An operator gives up what was restored, and what was committed there since: the others lead with what they have.
    /// </summary>
    public void GiveUpRestored(string id)
    {
        if (_restored is not { } restored || restored.Id != id)
        {
            return;   // it was not promoted yet
        }
        _givenUp.Clear();
        foreach (var commit in _acknowledged.Where(commit => commit.AcknowledgedAt >= restored.At))
        {
            commit.IsProtected = false;
        }
        _acknowledged.RemoveAll(commit => commit.AcknowledgedAt >= restored.At);
        (_optime, _published) = (0, null);
    }

    /// <summary>The key of a restore was written, or the leader key while a restore goes on.</summary>
    private void SeeRestore(ClusterSnapshot snapshot)
    {
        if (snapshot.Restore is { Phase: RestorePhase.Restoring } restore)
        {
            if (restore.Id != _begun?.Id && cluster.Nodes.Find(n => n.Name == restore.Member) is { Server: var server })
            {
                var target = SimServer.EndOf(restore.Target);
                _begun = new Begun(
                    restore.Id, restore.Member, target, server.Wal.FindLast(record => record.End <= target));
            }
        }
        else if (_begun is { } begun && snapshot.Restore is null or { Phase: RestorePhase.Failed })
        {
            // Whoever ended it: a restore that was promoted is none of these any more.
            if (snapshot.Leader?.Holder is null || snapshot.Leader.Holder == begun.Member)
            {
                _failed = (begun.Member, [.. _acknowledged]);
            }
            _begun = null;
        }
        if (snapshot.Restore is { BarsOthers: true } barring && snapshot.Leader is { } leader && leader.Term != _term
            && leader.Holder != barring.Member)
        {
            Violated($"{leader.Holder} takes the leader key while {barring.Member} restores");
        }
    }

    /// <summary>A server has become writable: what a restore promised has to hold.</summary>
    private void CheckRestores(SimServer server)
    {
        if (server.RestoreId is { } id)
        {
            CheckRestored(server, id);
        }
        else if (server.Wal.Exists(record =>
            _givenUp.Exists(past => record.End > past.End && record.Timeline < past.Timeline)))
        {
            // One that lags may lead, where the mode allows that: what it has is before the target.
            if (LossAllowedTo == server.Name)
            {
                _givenUp.Clear();
            }
            else
            {
                Violated($"{server.Name} leads with WAL from beyond the target of a restore that was promoted");
            }
        }
        if (_failed is { } failed && failed.Member == server.Name && server.RestoreId is null)
        {
            var present = server.Wal.Select(record => record.Commit).ToHashSet();
            if (failed.Owed.Find(commit => !present.Contains(commit)) is { } lost)
            {
                Violated($"{server.Name} lacks commit {lost.Id}, though its restore was not promoted");
            }
        }
        _failed = null;
    }

    private void CheckRestored(SimServer server, string id)
    {
        if (!_carriedOut.Add(id))
        {
            Violated($"{server.Name} was taken back by request {id}, which had been carried out before");
        }
        var wal = server.Wal.ToHashSet();
        if (_begun is { } begun && begun.Id == id)
        {
            // Its own first record, on a new timeline, is the last one here.
            if (server.Wal.Count > 1 && server.Wal[^2] is var last && last.End > begun.Target)
            {
                Violated($"{server.Name} was taken back, and its WAL goes beyond the target to {new Lsn(last.End)}");
            }
            for (var record = begun.Kept; record is not null; record = record.Previous)
            {
                if (record.Commit is { } commit && !wal.Contains(record) && _acknowledged.Contains(commit))
                {
                    Violated($"{server.Name} was taken back, and lacks commit {commit.Id} from before the target");
                }
            }
        }
        // What was committed beyond the target is given up.
        var present = server.Wal.Select(record => record.Commit).ToHashSet();
        _acknowledged.ForEach(commit => commit.IsProtected &= present.Contains(commit));
        _acknowledged.RemoveAll(commit => !present.Contains(commit));
        (_optime, _published, _restored) = (0, null, (id, cluster.World.Now));
        _givenUp.Add((server.Wal[^1].Start, server.Timeline));
        _begun = null;
    }

    /// <summary>A restore that has begun.</summary>
    /// <param name="Id">Its name.</param>
    /// <param name="Member">Which restores.</param>
    /// <param name="Target">The position that it goes back to.</param>
    /// <param name="Kept">The last record up to the target; null: none is.</param>
    private sealed record Begun(string Id, string Member, ulong Target, WalRecord? Kept);
}
