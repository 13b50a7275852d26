using Etcdserverpb;
using Routing.Cluster;

namespace Routing.Dcs.Etcd;

/// <summary>Which life of the store is followed, and the doubt about whether another one has begun.</summary>
/// <remarks>
/// <para>A linearizable answer is never older than one that came before it was asked for, and never of an older raft
/// term. One that is comes from a member that is behind (which is not believed), or from a store that was set up anew
/// or restored. In the second case every endpoint that answers at all goes on to answer so: that is what
/// <see cref="EtcdInquiry"/> waits for. Any answer of the life that is followed ends the doubt.</para>
/// <para>All members are thread-safe.</para>
/// </remarks>
internal sealed class EtcdLives(TimeProvider time)
{
    private readonly Lock _gate = new();
    private ulong _clusterId;
    private ulong _raftTerm;
    private long _revision;
    private long _leaderCreated;
    private Doubtful? _doubt;
    private StoreLife _current;

    /// <summary>How long the endpoints must agree on another life before it counts.</summary>
    public static TimeSpan Doubt { get; } = TimeSpan.FromSeconds(1);

    /// <summary>The life that is followed.</summary>
    public StoreLife Current
    {
        get
        {
            lock (_gate)
            {
                return _current;
            }
        }
    }

    /// <summary>
    /// The newest revision of this life that was seen: take it before a question, for <see cref="Judge"/>.
    /// </summary>
    public long Revision
    {
        get
        {
            lock (_gate)
            {
                return _revision;
            }
        }
    }

    /// <summary>Whether answers of another life are under suspicion.</summary>
    public bool IsInDoubt
    {
        get
        {
            lock (_gate)
            {
                return _doubt is not null;
            }
        }
    }

    /// <summary>What an earlier process knew: a store that does not reach up to it is another life.</summary>
    public void Recall(StoreMark mark)
    {
        lock (_gate)
        {
            (_clusterId, _revision, _leaderCreated) = (mark.ClusterId, mark.LeaderCreated, mark.LeaderCreated);
        }
    }

    /// <summary>What is known of the store that is followed.</summary>
    public StoreMark Mark
    {
        get
        {
            lock (_gate)
            {
                return new StoreMark(_clusterId, _leaderCreated);
            }
        }
    }

    /// <summary>Whether a linearizable answer may be believed.</summary>
    /// <param name="header">Its header.</param>
    /// <param name="asked">What <see cref="Revision"/> was before the question was sent.</param>
    /// <returns>Why not; null when it may.</returns>
    public string? Judge(ResponseHeader? header, long asked)
    {
        if (header is null || header.RaftTerm == 0)
        {
            return null;
        }
        lock (_gate)
        {
            var problem = Problem(header)
                ?? (header.Revision < asked ? $"it answers at revision {header.Revision}, older than {asked}" : null);
            if (problem is null)
            {
                _clusterId = header.ClusterId;
                _raftTerm = header.RaftTerm;
                _revision = Math.Max(_revision, header.Revision);
                _doubt = null;
                return null;
            }
            var now = time.GetTimestamp();
            if (_doubt is not { } doubt || doubt.ClusterId != header.ClusterId || header.Revision < doubt.Revision
                || header.RaftTerm < doubt.RaftTerm || time.GetElapsedTime(doubt.LastAt, now) > 2 * Doubt)
            {
                doubt = new Doubtful(header.ClusterId, now, header.Revision);
            }
            _doubt = doubt with { RaftTerm = header.RaftTerm, Revision = header.Revision, LastAt = now };
            return problem;
        }
    }

    /// <summary>
    /// Whether an answer that may be old by its nature (a push, a renewal) comes from the store that is followed.
    /// </summary>
    /// <returns>Why not; null when it does.</returns>
    public string? JudgePush(ResponseHeader? header)
    {
        lock (_gate)
        {
            return header is null || header.RaftTerm == 0 ? null : Problem(header);
        }
    }

    /// <summary>Whether a leader key that was read in this life fits to the one before it.</summary>
    /// <returns>
    /// False: it was created before one that was seen already. Within one life that can't be, so another one has begun,
    /// and has grown beyond the revision that was known: the caller has its answer.
    /// </returns>
    public bool Fits(ResponseHeader header, long leaderCreated)
    {
        lock (_gate)
        {
            if (leaderCreated >= _leaderCreated || header.ClusterId != _clusterId)
            {
                _leaderCreated = Math.Max(leaderCreated, _leaderCreated);
                return true;
            }
            Begin(header.ClusterId, header.RaftTerm, header.Revision, header.Revision);
            return false;
        }
    }

    /// <summary>Takes note of a revision that a push brought.</summary>
    public void Saw(long revision)
    {
        lock (_gate)
        {
            _revision = Math.Max(_revision, revision);
        }
    }

    /// <summary>Takes note of a leader key that a push brought.</summary>
    public void Led(long leaderCreated)
    {
        lock (_gate)
        {
            _leaderCreated = Math.Max(_leaderCreated, leaderCreated);
        }
    }

    /// <summary>Begins the new life, once the doubt has lasted long enough.</summary>
    /// <returns>What is followed from now on; null: the doubt goes on, or is over.</returns>
    public StoreLife? TryBegin()
    {
        lock (_gate)
        {
            if (_doubt is not { } doubt || time.GetElapsedTime(doubt.Since) < Doubt)
            {
                return null;
            }
            Begin(doubt.ClusterId, doubt.RaftTerm, doubt.Revision, doubt.From);
            return _current;
        }
    }

    private void Begin(ulong clusterId, ulong raftTerm, long revision, long from)
    {
        (_clusterId, _raftTerm, _revision, _leaderCreated) = (clusterId, raftTerm, revision, 0);
        _current = new StoreLife(_current.Number + 1, from);
        _doubt = null;
    }

    private string? Problem(ResponseHeader header) => _clusterId == 0 ? null
        : header.ClusterId != _clusterId ? $"it belongs to the etcd cluster {header.ClusterId:x}, not to {_clusterId:x}"
        : header.RaftTerm < _raftTerm ? "the member is behind the raft term of the others"
        : null;

    /// <summary>Another life that answers tell of.</summary>
    /// <param name="ClusterId">Its cluster id.</param>
    /// <param name="Since">When the first of them came.</param>
    /// <param name="From">The revision of that one.</param>
    private sealed record Doubtful(ulong ClusterId, long Since, long From)
    {
        public ulong RaftTerm { get; init; }

        public long Revision { get; init; } = From;

        public long LastAt { get; init; } = Since;
    }
}
