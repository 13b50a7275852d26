using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;
using Routing.Driver.Settings;
using Routing.Driver.Topology;

namespace Routing.Driver.Routes;

/// <summary>
/// Follows the topology for one data source and all its facades: holds the newest picture, and keeps the pools true to
/// it.
/// </summary>
/// <remarks>
/// Fail static: while the source is silent the last picture goes on. Nothing is ever written to a lower term than one
/// that was seen.
/// </remarks>
internal sealed class ClusterRouter : IAsyncDisposable
{
    private static readonly TimeSpan s_firstPicture = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(1);

    private readonly SharedTopology _topology;
    private readonly MemberPools _pools;
    private readonly ILogger _logger;
    private readonly TopologyAnnouncer _announcer;
    private readonly ClusterMeasures _measures;
    private readonly CandidateWarmer _candidate;
    private readonly Lock _gate = new();
    private LeaderHold? _hold;
    private readonly ITimer _holdOver;
    private volatile Picture _current;
    private volatile bool _isDisposed;
    private volatile Exception? _mistake;
    private volatile bool _hasWaited;
    private volatile string _lastConnectionString = "";

    public ClusterRouter(RoutingOptions options, SharedTopology topology, MemberPoolFactory factory,
        ILoggerFactory loggerFactory, TimeProvider time)
    {
        Options = options;
        Time = time;
        _topology = topology;
        _logger = loggerFactory.CreateLogger(RoutingDataSource.LoggerCategory);
        _pools = new MemberPools(factory, Types);
        _current = new Picture(ClusterView.Unknown, options, _pools);
        _holdOver = time.CreateTimer(
            static self => ((ClusterRouter)self!).LookAgain(), this, Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
        Background = new BackgroundTasks(Name, _logger);
        _announcer = new TopologyAnnouncer(this, _logger);
        _candidate = new CandidateWarmer(this);
        _measures = new ClusterMeasures(
            Name, () => _current.HighestTerm.Revision, () => _current.LeaderPool is not null,
            () => _current.View.IsLive,
            () => _pools.All.Select(pool => new PoolMeasure(pool.Member, NameOf(pool.Purpose), pool.InUse)));
        DriverMetrics.Add(_measures);
        lock (_gate)   // a view that comes meanwhile waits for the one that is there
        {
            topology.Watch.Changed += OnView;
            OnView(topology.Watch.Current);
        }
    }

    public RoutingOptions Options { get; }

    public TimeProvider Time { get; }

    public ILogger Logger => _logger;

    public bool IsDisposed => _isDisposed;

    /// <summary>
    /// What the application's own settings of Npgsql threw when the newest picture was made; null: nothing.
    /// </summary>
    public Exception? Mistake => _mistake;

    public BackgroundTasks Background { get; }

    /// <summary>
    /// The origins of connection objects that are used again after they were closed: those of EF Core's contexts.
    /// </summary>
    public ConditionalWeakTable<NpgsqlConnection, Origin> Origins { get; } = [];

    /// <summary>A pool for closed connections while no member is known. Nothing can be opened there.</summary>
    public MemberPool Nobody => _pools.Nobody;

    /// <summary>What is known of changes of the database's types.</summary>
    public TypeChanges Types { get; } = new();

    public TopologyAnnouncer Announcer => _announcer;

    /// <summary>The cluster's name.</summary>
    public string Name => Options.Cluster;

    /// <summary>The newest picture.</summary>
    public Picture Current => _current;

    public IEnumerable<MemberPool> Pools => _pools.All;

    public ClusterTopology Describe() => Describe(_current);

    public ClusterTopology Describe(Picture picture) =>
        ClusterTopology.From(Name, picture.View, picture.HighestTerm, Time,
            picture.View.IsLive ? null : _topology.Problem);

    /// <summary>That the source has not answered yet, and why where that is known.</summary>
    public string Unanswered => _topology.Problem is { } problem
        ? $"{RoutingConnectionString.SourceOf(Options)} has not answered yet ({problem})"
        : $"{RoutingConnectionString.SourceOf(Options)} has not answered yet";

    /// <summary>
    /// A pool to bind a closed connection to: the right one, else the last leader's, else any member's; null: no member
    /// is known.
    /// </summary>
    /// <remarks>
    /// A pool for writes refuses a standby at login, so a wrong guess costs an error and never a write in the wrong
    /// place.
    /// </remarks>
    public MemberPool? BestGuess(TargetSessionAttributes target)
    {
        var picture = _current;
        if (picture.RouteFor(target).Pick() is { } pool)
        {
            return pool;
        }
        var purpose = Targets.MustBePrimary(target) ? PoolPurpose.Write : PoolPurpose.Read;
        var snapshot = picture.View.Snapshot;
        var member = snapshot.LeaderMember is { Address: not null } holder
            ? holder
            : snapshot.Members.Values.FirstOrDefault(one => one.Address is not null);
        return member is null ? null : _pools[member.Name, member.Address!.Value, purpose];
    }

    /// <summary>
    /// As <see cref="BestGuess"/>; waits a moment for the very first picture, which is mostly there within
    /// milliseconds. Once.
    /// </summary>
    public MemberPool? BestGuessSoon(TargetSessionAttributes target)
    {
        if (!_hasWaited)
        {
            _current.Superseded.Task.Wait(_current.IsKnown ? TimeSpan.Zero : s_firstPicture);
            _hasWaited = true;
        }
        return BestGuess(target);
    }

    /// <summary>Npgsql's settings for the member that connections for a target go to.</summary>
    public string ConnectionStringFor(TargetSessionAttributes target)
    {
        if (!_isDisposed)
        {
            try
            {
                _lastConnectionString =
                    (_current.RouteFor(target).First ?? BestGuess(target) ?? Nobody).ConnectionString;
            }
            catch (ObjectDisposedException)
            {
                // between the question and the answer
            }
        }
        return _lastConnectionString;
    }

    /// <summary>
    /// A session turned out not to be what it should: its pool is emptied, others come first for a moment.
    /// </summary>
    public void Evict(MemberPool pool, string reason)
    {
        pool.Health.Failed();
        Clear(pool, reason);
    }

    /// <summary>Empties every pool: the application asked for it.</summary>
    public void ClearAll()
    {
        foreach (var pool in _pools.All)
        {
            Clear(pool, "the application asked for it");
        }
    }

    /// <summary>A server refused a write as read-only.</summary>
    public void EvictReadOnly(MemberPool pool)
    {
        _logger.ReadOnly(Name, pool.Member);
        Evict(pool, "it refused a write as read-only");
    }

    /// <summary>The pool for writes that a connection came from.</summary>
    public MemberPool? WritePoolOf(NpgsqlConnection connection) =>
        _pools.TryFind(connection, out var pool, PoolPurpose.Write) ? pool : null;

    /// <summary>
    /// The pool that a connection came from, as far as its address tells: of two at one member, that for writes where
    /// the target says so.
    /// </summary>
    public MemberPool? PoolOf(NpgsqlConnection connection, TargetSessionAttributes target)
    {
        var (first, second) = Targets.MustBePrimary(target)
            ? (PoolPurpose.Write, PoolPurpose.Read)
            : (PoolPurpose.Read, PoolPurpose.Write);
        return _pools.TryFind(connection, out var pool, first) || _pools.TryFind(connection, out pool, second)
            ? pool
            : null;
    }

    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_isDisposed)
            {
                return;
            }
            _isDisposed = true;
        }
        DriverMetrics.Remove(_measures);
        await _holdOver.DisposeAsync().ConfigureAwait(false);
        _topology.Watch.Changed -= OnView;
        _pools.Dispose();
        _current.Superseded.TrySetResult();   // the opens that wait find the router disposed of
        await _topology.ReleaseAsync().ConfigureAwait(false);
        await Background.WhenAllAsync().ConfigureAwait(false);
    }

    // Called on the watch's thread: it must be quick and wait for nothing.
    private void OnView(ClusterView view)
    {
        Picture before;
        Picture now;
        lock (_gate)
        {
            before = _current;
            if (_isDisposed)
            {
                return;
            }
            try
            {
                // first of all: no new connection goes the old way
                var held = HeldBy(view, out var left);
                _current = now = new Picture(view, Options, _pools, held);
                _holdOver.Change(held is null ? Timeout.InfiniteTimeSpan : left + s_tick, Timeout.InfiniteTimeSpan);
                _mistake = null;
                Follow(before, now);
            }
            catch (Exception problem) when (ReferenceEquals(_current, before))
            {
                _mistake = problem;   // thrown by the application's callback: the next open reports it
                return;
            }
            finally
            {
                before.Superseded.TrySetResult();   // in any case, or the opens that wait for it are stuck
            }
        }
        _announcer.Announce(before, now);
    }

    // The leader of this view is about to hand over: for the grace that it gives, and the time of one open, at most.
    private SwitchoverIntent? HeldBy(ClusterView view, out TimeSpan left)
    {
        _hold = LeaderHold.After(_hold, view.Snapshot, view.HighestTerm, Time.TimestampAfter);
        left = _hold is { IsOver: false } hold && view.Snapshot.Intent?.Id == hold.Id
            ? Time.GetElapsedTime(Time.GetTimestamp(), hold.GraceEnds) + Options.OpenTimeout
            : TimeSpan.Zero;
        return left > TimeSpan.Zero ? view.Snapshot.Intent : null;
    }

    // Nothing came of what the leader has announced, and its time is over.
    private void LookAgain() => OnView(_topology.Watch.Current);

    private void Follow(Picture before, Picture now)
    {
        var last = before.LeaderPool ?? before.HeldPool;
        if (now.HeldPool is { } leaving && before.HeldPool is null && ReferenceEquals(last, leaving))
        {
            // Its term goes on: what is in use is not cancelled.
            if (now.CandidatePool is { } candidate)
            {
                _candidate.Begin(candidate, leaving.Total ?? Options.WarmConnections);
            }
            Clear(leaving, "it is about to hand over");
        }
        var isWarm = now.LeaderPool is not null && _candidate.End(now.LeaderPool);
        if (!ReferenceEquals(last, now.LeaderPool ?? now.HeldPool))
        {
            if (last is { } old)
            {
                old.Depose();
                Cleared(old, "it does not lead any more");
            }
            if (now.LeaderPool is { } leader)
            {
                _logger.LeaderIs(Name, leader.Member, leader.Address, now.HighestTerm);
                DriverMetrics.LeaderChanged(Name);
                leader.Health.Succeeded();   // what it was before does not count
                if (!isWarm && _pools.All.Any(pool => pool.Purpose == PoolPurpose.Write && pool.WasUsed))
                {
                    Background.Add(() => PoolWarmer.WarmAsync(this, leader));
                }
            }
            else if (now.IsKnown)
            {
                _logger.NoLeader(Name, now.NoLeaderReason ?? "");
            }
        }
        if (before.IsKnown && before.View.IsLive != now.View.IsLive)
        {
            if (now.View.IsLive)
            {
                _logger.TopologyLive(Name);
            }
            else
            {
                _logger.TopologyStale(Name);
            }
        }
        if (now.View.IsLive)
        {
            DropWhatIsGone(now.View.Snapshot);
        }
    }

    private void DropWhatIsGone(ClusterSnapshot snapshot)
    {
        foreach (var retired in _pools.RetireAllBut(name => snapshot.Members.GetValueOrDefault(name)?.Address))
        {
            Cleared(retired, "it left the cluster, or has another address");
        }
        foreach (var pool in _pools.All)
        {
            if (pool.Purpose == PoolPurpose.Read
                && snapshot.Members.GetValueOrDefault(pool.Member) is { State: not PostgresState.Running } member
                && pool.NoteDown(member.ModRevision))
            {
                pool.Depose();
                Cleared(pool, $"its PostgreSQL is {member.State.ToString().ToLowerInvariant()}");
            }
        }
    }

    private void Clear(MemberPool pool, string reason)
    {
        if (!pool.IsRetired)
        {
            pool.Clear();
            Cleared(pool, reason);
        }
    }

    private void Cleared(MemberPool pool, string reason)
    {
        DriverMetrics.PoolCleared(Name, pool.Member);
        var purpose = NameOf(pool.Purpose);
        _logger.PoolCleared(Name, purpose, pool.Member, reason);
    }

    private static string NameOf(PoolPurpose purpose) => purpose == PoolPurpose.Write ? "write" : "read";
}
