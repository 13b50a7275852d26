using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;

namespace Routing.TestKit;

/// <summary>
/// A DCS in memory: revisions, leases that expire, compare-and-set, pushed changes. Several stores share one.
/// </summary>
/// <remarks>
/// <para>All time comes from the <see cref="TimeProvider"/>. Nothing here uses the thread pool: run on one thread with
/// a synchronization context and a fake clock, equal calls give equal histories.</para>
/// <para>A lease ends exactly when its life is over: the earliest moment that a real store may choose.</para>
/// </remarks>
/// <param name="time">The clock of the store's leases and of its clients' time-outs.</param>
public sealed class InMemoryDcs(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, RawKey> _keys = new(StringComparer.Ordinal);
    private readonly Dictionary<long, Lease> _leases = [];
    private readonly List<InMemoryClusterStore> _clients = [];
    private ClusterSnapshot _snapshot = ClusterSnapshot.Empty with { Revision = 1 };
    private long _lastLease = 1000;
    private int _life;
    private bool _isDown;

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; } = time;

    /// <summary>What it holds now.</summary>
    public ClusterSnapshot Snapshot => Volatile.Read(ref _snapshot);

    /// <summary>The keys as they are stored.</summary>
    public ImmutableSortedDictionary<string, RawKey> Keys
    {
        get
        {
            lock (_gate)
            {
                return _keys.ToImmutableSortedDictionary(StringComparer.Ordinal);
            }
        }
    }

    /// <summary>
    /// While true nobody is answered and no lease ends. At its end every lease gets its full life again, as etcd does
    /// when it elects a leader.
    /// </summary>
    public bool IsDown
    {
        get => _isDown;
        set
        {
            List<Lease> leases;
            lock (_gate)
            {
                if (_isDown == value)
                {
                    return;
                }
                _isDown = value;
                leases = [.. _leases.Values];
            }
            foreach (var lease in leases)
            {
                Wind(lease);
            }
            foreach (var client in Clients())
            {
                client.LinkChanged();
            }
        }
    }

    /// <summary>How often it was set up anew or restored.</summary>
    public int Life => Volatile.Read(ref _life);

    /// <summary>
    /// The revision that this life began with: keys that were written up to it came back with a backup. 0 in the first.
    /// </summary>
    public long LifeFrom { get; private set; }

    /// <summary>What it holds, leases included, to be <see cref="Restore">restored</see> later.</summary>
    public DcsBackup Backup()
    {
        lock (_gate)
        {
            return new DcsBackup(
                _snapshot.Revision, [.. _keys.Values], [.. _leases.Values.Select(lease => (lease.Id, lease.Ttl))]);
        }
    }

    /// <summary>It is set up anew: all keys and leases are gone, revisions begin at 1.</summary>
    public void Rebuild() => Restore(new DcsBackup(1, [], []));

    /// <summary>
    /// It goes back to a backup: keys, revision, and leases, each with a full life. A new life of the store begins.
    /// </summary>
    public void Restore(DcsBackup backup)
    {
        List<Lease> leases;
        lock (_gate)
        {
            foreach (var lease in _leases.Values)
            {
                lease.Winding++;
                lease.Timer?.Dispose();
            }
            _keys.Clear();
            _leases.Clear();
            foreach (var (id, ttl) in backup.Leases)
            {
                _leases.Add(id, new Lease(id, ttl));
            }
            foreach (var key in backup.Keys)
            {
                _keys.Add(key.Key, key);
                if (key.LeaseId != 0 && _leases.TryGetValue(key.LeaseId, out var lease))
                {
                    lease.Keys.Add(key.Key);
                }
            }
            _life++;
            LifeFrom = backup.Revision;
            _snapshot = SnapshotReader.Read(backup.Revision, backup.Keys, new StoreLife(_life, 0));
            leases = [.. _leases.Values];
            Committed?.Invoke(_snapshot);
        }
        foreach (var lease in leases)
        {
            Wind(lease);
        }
        foreach (var client in Clients())
        {
            client.LinkChanged();
        }
    }

    /// <summary>Called after each change, with the state after it, inside the change: look, don't call back.</summary>
    public Action<ClusterSnapshot>? Committed { get; set; }

    /// <summary>A client with a link of its own.</summary>
    /// <param name="name">For messages.</param>
    public InMemoryClusterStore Connect(string name = "client")
    {
        var client = new InMemoryClusterStore(this, name);
        lock (_gate)
        {
            _clients.Add(client);
        }
        return client;
    }

    /// <summary>Writes a key as somebody outside would.</summary>
    public long Put(string key, string value, long leaseId = 0)
    {
        lock (_gate)
        {
            return PutInside(key, value, leaseId);
        }
    }

    /// <summary>Deletes a key as somebody outside would.</summary>
    /// <returns>Whether it was there.</returns>
    public bool Delete(string key)
    {
        lock (_gate)
        {
            return DeleteInside([key]);
        }
    }

    /// <summary>Ends a lease now, with its keys.</summary>
    public void Expire(long leaseId)
    {
        lock (_gate)
        {
            ExpireInside(leaseId);
        }
    }

    internal void Disconnect(InMemoryClusterStore client)
    {
        lock (_gate)
        {
            _clients.Remove(client);
        }
    }

    internal LeaseGrant Grant(TimeSpan ttl)
    {
        Lease lease;
        lock (_gate)
        {
            lease = new Lease(++_lastLease, ttl);
            _leases.Add(lease.Id, lease);
        }
        Wind(lease);
        return new LeaseGrant(lease.Id, lease.Ttl);
    }

    /// <summary>What is left of a lease; null: it has ended, or there was none.</summary>
    internal TimeSpan? LeaseLeft(long leaseId)
    {
        lock (_gate)
        {
            return _leases.TryGetValue(leaseId, out var lease) ? lease.Ttl - Time.GetElapsedTime(lease.WoundAt) : null;
        }
    }

    internal RenewOutcome Renew(long leaseId)
    {
        Lease? lease;
        lock (_gate)
        {
            if (!_leases.TryGetValue(leaseId, out lease))
            {
                return RenewOutcome.Gone;
            }
        }
        Wind(lease);
        return RenewOutcome.Renewed;
    }

    internal WriteOutcome Put(string key, string value, WriteCondition condition, long leaseId)
    {
        lock (_gate)
        {
            if (leaseId != 0 && !_leases.ContainsKey(leaseId))
            {
                return new WriteOutcome(WriteStatus.LeaseGone, Problem: $"lease {leaseId} does not exist");
            }
            return Holds(key, condition)
                ? new WriteOutcome(WriteStatus.Done, PutInside(key, value, leaseId))
                : new WriteOutcome(WriteStatus.Conflict, Problem: $"{key} is not as it was expected");
        }
    }

    internal WriteOutcome Delete(string key, WriteCondition condition)
    {
        lock (_gate)
        {
            if (!Holds(key, condition))
            {
                return new WriteOutcome(WriteStatus.Conflict, Problem: $"{key} is not as it was expected");
            }
            DeleteInside([key]);
            return new WriteOutcome(WriteStatus.Done, _snapshot.Revision);
        }
    }

    internal void DeleteAll()
    {
        lock (_gate)
        {
            DeleteInside([.. _keys.Keys]);
        }
    }

    internal LeaderWrite Acquire(string member, long leaseId, RaceBasis? basis)
    {
        lock (_gate)
        {
            if (Leader() is { } held)
            {
                return held.Holder == member && held.LeaseId == leaseId
                    ? new LeaderWrite(LeaseOutcome.Held, held) { Life = _life }
                    : new LeaderWrite(LeaseOutcome.Lost, held) { Life = _life };
            }
            return basis is { } seen && seen != RaceBasis.Of(_snapshot)
                ? new LeaderWrite(LeaseOutcome.Lost) { Life = _life }
                : PutLeader(member, leaseId);
        }
    }

    /// <summary>The leader key as it stands now, for a member that believes that it holds it.</summary>
    internal LeaderWrite Confirm(string member)
    {
        lock (_gate)
        {
            var held = Leader();
            var outcome = held?.Holder == member ? LeaseOutcome.Held : LeaseOutcome.Lost;
            return new LeaderWrite(outcome, held) { Life = _life };
        }
    }

    /// <summary>Puts the key on another lease, unless it was written since it was seen like this.</summary>
    internal LeaderWrite Move(LeaderKey seen, long leaseId)
    {
        lock (_gate)
        {
            var held = Leader();
            return held == seen
                ? PutLeader(seen.Holder, leaseId)
                : new LeaderWrite(LeaseOutcome.Lost, held) { Life = _life };
        }
    }

    /// <param name="member">The member whose term goes on.</param>
    /// <param name="leaseId">Its lease.</param>
    /// <param name="life">The life as this client saw it begin.</param>
    internal LeaderWrite Carry(string member, long leaseId, StoreLife life)
    {
        lock (_gate)
        {
            var seen = _snapshot with { Life = life };
            if (seen.Leader is { } other && other.Holder != member)
            {
                if (seen.IsLeaderProven)
                {
                    return new LeaderWrite(LeaseOutcome.Lost, other) { Life = _life };
                }
                DeleteInside([ClusterKeys.Leader]);
            }
            return PutLeader(member, leaseId);
        }
    }

    internal WriteOutcome Release(string member)
    {
        lock (_gate)
        {
            if (Leader()?.Holder != member)
            {
                return new WriteOutcome(WriteStatus.Conflict, Problem: $"the leader key does not name {member}");
            }
            DeleteInside([ClusterKeys.Leader]);
            return new WriteOutcome(WriteStatus.Done, _snapshot.Revision);
        }
    }

    private LeaderWrite PutLeader(string member, long leaseId)
    {
        if (!_leases.ContainsKey(leaseId))
        {
            return new LeaderWrite(LeaseOutcome.LeaseGone, Problem: $"lease {leaseId} does not exist");
        }
        PutInside(ClusterKeys.Leader, member, leaseId);
        return new LeaderWrite(LeaseOutcome.Held, Leader()) { Life = _life };
    }

    private LeaderKey? Leader() => _keys.TryGetValue(ClusterKeys.Leader, out var key)
        ? new LeaderKey(key.Value, new Term(key.CreateRevision, _life), key.ModRevision, key.LeaseId)
        : null;

    private bool Holds(string key, WriteCondition condition) => condition.What switch
    {
        WriteCondition.Kind.Absent => !_keys.ContainsKey(key),
        WriteCondition.Kind.Unchanged => _keys.GetValueOrDefault(key)?.ModRevision == condition.Revision,
        _ => true,
    };

    private long PutInside(string key, string value, long leaseId)
    {
        var revision = _snapshot.Revision + 1;
        var before = _keys.GetValueOrDefault(key);
        var now = new RawKey(key, value, before?.CreateRevision ?? revision, revision, leaseId);
        Detach(before);
        _keys[key] = now;
        if (leaseId != 0)
        {
            _leases[leaseId].Keys.Add(key);
        }
        Commit(SnapshotReader.Apply(_snapshot, revision, now));
        return revision;
    }

    private bool DeleteInside(IReadOnlyCollection<string> keys)
    {
        var revision = _snapshot.Revision + 1;
        var snapshot = _snapshot;
        foreach (var key in keys)
        {
            if (_keys.Remove(key, out var before))
            {
                Detach(before);
                snapshot = SnapshotReader.Remove(snapshot, revision, key);
            }
        }
        if (ReferenceEquals(snapshot, _snapshot))
        {
            return false;   // nothing was there: no revision
        }
        Commit(snapshot);
        return true;
    }

    private void Detach(RawKey? key)
    {
        if (key is { LeaseId: not 0 } && _leases.TryGetValue(key.LeaseId, out var lease))
        {
            lease.Keys.Remove(key.Key);
        }
    }

    private void Commit(ClusterSnapshot snapshot)
    {
        _snapshot = snapshot;
        Committed?.Invoke(snapshot);
        foreach (var client in _clients)
        {
            client.Push(snapshot);
        }
    }

    /// <summary>Starts a lease's full life anew.</summary>
    private void Wind(Lease lease)
    {
        lock (_gate)
        {
            lease.Timer?.Dispose();
            var winding = ++lease.Winding;
            lease.WoundAt = Time.GetTimestamp();
            lease.Timer = _isDown
                ? null
                : Time.CreateTimer(_ => Expired(lease, winding), null, lease.Ttl, Timeout.InfiniteTimeSpan);
        }
    }

    private void Expired(Lease lease, int winding)
    {
        lock (_gate)
        {
            // A renewal may have come between the timer's call and this lock.
            if (lease.Winding == winding && !_isDown)
            {
                ExpireInside(lease.Id);
            }
        }
    }

    private void ExpireInside(long leaseId)
    {
        if (_leases.Remove(leaseId, out var lease))
        {
            lease.Timer?.Dispose();
            DeleteInside([.. lease.Keys]);
        }
    }

    private InMemoryClusterStore[] Clients()
    {
        lock (_gate)
        {
            return [.. _clients];
        }
    }

    private sealed class Lease(long id, TimeSpan ttl)
    {
        public long Id { get; } = id;

        public TimeSpan Ttl { get; } = ttl;

        public SortedSet<string> Keys { get; } = new(StringComparer.Ordinal);

        public int Winding { get; set; }

        public long WoundAt { get; set; }

        public ITimer? Timer { get; set; }
    }
}

/// <summary>What an <see cref="InMemoryDcs"/> held at one moment.</summary>
/// <param name="Revision">Its revision.</param>
/// <param name="Keys">Its keys.</param>
/// <param name="Leases">Its leases, with their lives.</param>
public sealed record DcsBackup(
    long Revision, ImmutableArray<RawKey> Keys, ImmutableArray<(long Id, TimeSpan Ttl)> Leases);
