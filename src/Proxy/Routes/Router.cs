using System.Collections.Frozen;
using System.Net;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;

namespace Routing.Proxy.Routes;

/// <summary>Routes by the topology watch: the newest view, the highest term, and what attempts have shown.</summary>
/// <remarks>
/// Fail static: while the store is silent, the last view goes on. Nothing is ever routed to a lower term than one that was seen.
/// </remarks>
internal sealed partial class Router : IRouter, IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan RefusedFor = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SlowStart = TimeSpan.FromSeconds(10);
    private const double LeastWeight = 0.1;

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly NameCache _names;
    private readonly Random _random;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, MemberHealth> _health = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HoldQueue> _queues = new(StringComparer.Ordinal);
    private readonly ITimer _timer;
    private FrozenDictionary<string, ListenerRoute> _routes;
    private volatile RouteTable _table = RouteTable.Empty;
    private uint _turn;
    private int _waiting;
    private volatile bool _isDraining;
    private bool _isTicking;

    /// <summary>Routes nothing before the first <see cref="Adopt"/>.</summary>
    public Router(IEnumerable<ListenerRoute> routes, TimeProvider time, Random random, ILogger logger)
    {
        (_time, _random, _logger) = (time, random, logger);
        _routes = routes.ToFrozenDictionary(one => one.Name, StringComparer.Ordinal);
        _names = new NameCache(Rebuild, time, logger);
        _timer = time.CreateTimer(static self => ((Router)self!).OnTick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public event Action? Changed;

    /// <summary>What follows from the newest view.</summary>
    public RouteTable Table => _table;

    /// <summary>How many wait.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Told when a view has become routes, with the time that took.</summary>
    public Action<TimeSpan>? Adopted { get; init; }

    /// <summary>Takes a new view. From the topology's thread.</summary>
    public void Adopt(ClusterView view)
    {
        var begun = _time.GetTimestamp();
        Build(view, _routes);
        Adopted?.Invoke(_time.GetElapsedTime(begun));
    }

    /// <summary>Takes other routes.</summary>
    public void Reload(IEnumerable<ListenerRoute> routes)
    {
        _routes = routes.ToFrozenDictionary(one => one.Name, StringComparer.Ordinal);
        Rebuild();
    }

    /// <summary>Who waits is sent away, and nobody waits any more.</summary>
    public void Drain()
    {
        _isDraining = true;
        lock (_lock)
        {
            foreach (var queue in _queues.Values)
            {
                while (queue.First is { } waiter)
                {
                    queue.Remove(waiter);
                    Interlocked.Decrement(ref _waiting);
                    waiter.Result.TrySetResult(DrainingChoice);
                }
            }
        }
    }

    /// <inheritdoc/>
    public RouteChoice Choose(string listener, IReadOnlyCollection<string> tried)
    {
        if (!_table.Listeners.TryGetValue(listener, out var table))
        {
            return new(null, "topology_unknown", "the proxy does not know the cluster yet: etcd has not answered", null);
        }
        // Who comes now does not overtake those who wait already; who has tried before has waited enough.
        if (tried.Count == 0 && Volatile.Read(ref _waiting) > 0 && HasWaiters(listener))
        {
            return None(table);
        }
        return Pick(table, tried);
    }

    /// <inheritdoc/>
    public async ValueTask<RouteChoice> HoldAsync(string listener, IReadOnlyCollection<string> tried, CancellationToken cancellationToken)
    {
        HoldQueue queue;
        HoldQueue.Waiter waiter;
        lock (_lock)
        {
            if (_isDraining)
            {
                return DrainingChoice;
            }
            if (!_routes.TryGetValue(listener, out var route))
            {
                return new(null, "topology_unknown", $"the listener {listener} is no more", null);
            }
            if (!_queues.TryGetValue(listener, out queue!))
            {
                _queues.Add(listener, queue = new HoldQueue());
            }
            if (queue.Count >= route.HoldQueue)
            {
                return new(null, "queue_full", $"{queue.Count} sessions wait for a server already, and no more may (hold_queue)", null);
            }
            waiter = queue.Add(After(route.HoldTime), tried);
            Interlocked.Increment(ref _waiting);
            if (!_isTicking)
            {
                _isTicking = true;
                _timer.Change(Tick, Tick);
            }
        }
        await using var given = cancellationToken.UnsafeRegister(
            static (state, token) =>
            {
                var (router, list, one) = ((Router, HoldQueue, HoldQueue.Waiter))state!;
                router.GiveUp(list, one, token);
            },
            (this, queue, waiter));
        return await waiter.Result.Task;
    }

    /// <inheritdoc/>
    public void Report(RouteTarget target, AttemptResult result)
    {
        lock (_lock)
        {
            var health = HealthOf(target.Member);
            var now = _time.GetTimestamp();
            switch (result)
            {
                case AttemptResult.Good:
                    health.Succeeded();
                    return;
                case AttemptResult.WrongRole:
                    health.RefusedUntil = After(RefusedFor);
                    health.RefusedAt = _table.View.Snapshot.Members.GetValueOrDefault(target.Member)?.ModRevision ?? 0;
                    LogWrongRole(target.Member, target.Term);
                    return;
                default:
                    health.Failed(result, now, _time.TimestampFrequency);
                    return;
            }
        }
    }

    /// <inheritdoc/>
    public SessionVerdict Judge(string listener, RouteTarget target)
    {
        if (!_table.Listeners.TryGetValue(listener, out var table))
        {
            return SessionVerdict.Stay;   // of a listener that is no more: it may end in peace
        }
        var snapshot = _table.View.Snapshot;
        var member = snapshot.Members.GetValueOrDefault(target.Member);
        var request = table.Route.Request;
        if (request.Role is WantedRole.Primary)
        {
            if (table.Hosts.Leader is { } leader)
            {
                return leader.Name == target.Member ? SessionVerdict.Stay : SessionVerdict.CutNow;
            }
            // Nobody leads: whoever says by itself that it stands by can't be written to.
            return _table.View.IsLive && member is { Role: Role.Replica, State: PostgresState.Running }
                ? SessionVerdict.CutNow
                : SessionVerdict.Stay;
        }
        if (!_table.View.IsLive)
        {
            return SessionVerdict.Stay;
        }
        if (member is null)
        {
            return SessionVerdict.CutAtRest;
        }
        if (member.State is PostgresState.Stopped or PostgresState.Stopping or PostgresState.Crashed or PostgresState.StartFailed)
        {
            return SessionVerdict.CutNow;
        }
        var at = IndexOf(table.Hosts, target.Member);
        if (at >= 0)
        {
            var isFallback = ReferenceEquals(table.Hosts.Members[at], table.Hosts.Leader)
                && request.Role is WantedRole.Replica or WantedRole.Synchronous or WantedRole.PreferReplica
                && request.Fallback != LeaderFallback.Always && table.Hosts.TierEnds.Length > 1;
            return isFallback || !ListenerTable.IsAt(target, table.Targets[at]?.Address) ? SessionVerdict.CutAtRest : SessionVerdict.Stay;
        }
        // Behind the limit is no reason to leave at once: only far behind it.
        return request.MaximumLagBytes is { } limit && HostChooser.LagOf(snapshot, member) is { } lag && lag > limit && lag <= 2 * limit
            && member.Role == Role.Replica
            ? SessionVerdict.Stay
            : SessionVerdict.CutAtRest;
    }

    /// <summary>What was seen of a member, for people; null: nothing.</summary>
    public (int Busy, bool IsOut, bool IsRefused) HealthFor(string member)
    {
        lock (_lock)
        {
            return _health.TryGetValue(member, out var health)
                ? (health.Busy, health.OutUntil > _time.GetTimestamp(), IsRefused(health))
                : default;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private static readonly RouteChoice DrainingChoice = new(null, "draining", "the proxy is shutting down", null);

    private static int IndexOf(HostSet hosts, string member)
    {
        for (var at = 0; at < hosts.Members.Length; at++)
        {
            if (hosts.Members[at].Name == member)
            {
                return at;
            }
        }
        return -1;
    }

    private static RouteChoice None(ListenerTable table) => table.Route.MustBePrimary
        ? new(null, "no_leader", "there is no primary at present, and none was elected within the time to wait", null)
        : new(null, "no_replica", "no replica serves at present, and none came back within the time to wait", null);

    private RouteChoice Pick(ListenerTable table, IReadOnlyCollection<string> tried)
    {
        uint random;
        lock (_lock)
        {
            random = (uint)_random.NextInt64(uint.MaxValue);
        }
        var loads = new Loads(this, table, tried, _time.GetTimestamp());
        var at = table.Hosts.Pick(table.Route.Request.Policy, loads, Interlocked.Increment(ref _turn), random);
        return at >= 0 && table.Targets[at] is { } target
            ? new(target, ReferenceEquals(table.Hosts.Members[at], table.Hosts.Leader) ? "leader" : "replica", "", new Ticket(table.Health[at]))
            : None(table);
    }

    private bool HasWaiters(string listener)
    {
        lock (_lock)
        {
            return _queues.TryGetValue(listener, out var queue) && queue.Count > 0;
        }
    }

    private void GiveUp(HoldQueue queue, HoldQueue.Waiter waiter, CancellationToken token)
    {
        lock (_lock)
        {
            if (!queue.Remove(waiter))
            {
                return;
            }
        }
        Interlocked.Decrement(ref _waiting);
        waiter.Result.TrySetCanceled(token);
    }

    private void OnTick()
    {
        lock (_lock)
        {
            Release();
            if (Volatile.Read(ref _waiting) == 0)
            {
                _isTicking = false;
                _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }
    }

    // Under the lock: lets those through whose turn it is, oldest first, and sends those away whose time is over.
    private void Release()
    {
        var now = _time.GetTimestamp();
        foreach (var (name, queue) in _queues)
        {
            if (queue.Count == 0)
            {
                continue;
            }
            _table.Listeners.TryGetValue(name, out var table);
            while (queue.First is { } waiter)
            {
                var choice = default(RouteChoice);
                if (table is not null)
                {
                    choice = Pick(table, waiter.Tried);
                    if (choice.Target is not null && !queue.TryTakeTurn(now, _time.TimestampFrequency, table.Route.LoginsPerSecond))
                    {
                        choice.Ticket?.Dispose();
                        choice = default;
                    }
                }
                if (choice.Target is null && waiter.Deadline > now)
                {
                    break;   // those behind it came later
                }
                queue.Remove(waiter);
                Interlocked.Decrement(ref _waiting);
                if (choice.Target is null)
                {
                    choice = table is null
                        ? new(null, "topology_unknown", "the proxy does not know the cluster: etcd has not answered", null)
                        : None(table) with { Reason = "hold_timeout" };
                }
                waiter.Result.TrySetResult(choice);
            }
        }
    }

    private void Rebuild() => Build(_table.View, _routes);

    private void Build(ClusterView view, FrozenDictionary<string, ListenerRoute> routes)
    {
        Member? leader;
        string? change = null;
        lock (_lock)
        {
            var before = _table;
            var snapshot = view.Snapshot;
            var highest = snapshot.Leader is { } key && key.Term > before.HighestTerm ? key.Term : before.HighestTerm;
            if (snapshot.Revision == 0)
            {
                return;   // no answer of the store yet
            }
            _table = new RouteTable
            {
                View = view,
                HighestTerm = highest,
                Listeners = routes.Values.Select(route => TableOf(route, snapshot, highest)).ToFrozenDictionary(one => one.Route.Name, StringComparer.Ordinal),
            };
            Note(_table);
            leader = HostChooser.LeaderOf(snapshot, highest, out var reason);
            var leaderBefore = HostChooser.LeaderOf(before.View.Snapshot, before.HighestTerm, out _);
            if (leader?.Name != leaderBefore?.Name || before.View.Snapshot.Revision == 0)
            {
                change = leader is null ? $"nowhere: {reason}" : $"to {leader.Name} at {leader.Address} (term {highest})";
            }
            if (before.View.IsLive != view.IsLive && before.View.Snapshot.Revision != 0)
            {
                LogLive(view.IsLive ? "answers again" : "is silent: the last known routes stay in use");
            }
            Release();
        }
        if (change is not null)
        {
            LogRoute(change);
        }
        Changed?.Invoke();
    }

    private ListenerTable TableOf(ListenerRoute route, ClusterSnapshot snapshot, Term highest)
    {
        var hosts = HostChooser.Select(snapshot, highest, route.Request);
        var targets = new RouteTarget?[hosts.Members.Length];
        var health = new MemberHealth[hosts.Members.Length];
        for (var at = 0; at < targets.Length; at++)
        {
            var member = hosts.Members[at];
            var (host, port) = member.Address!.Value;
            health[at] = HealthOf(member.Name);
            targets[at] = _names.Find(host) is { } address
                ? new RouteTarget(member.Name, new IPEndPoint(address, port), host, highest, route.MustBePrimary)
                : null;
        }
        return new ListenerTable(route, hosts, targets, health);
    }

    // Under the lock: slow start counts from the moment a member came (back) into some listener's set.
    private void Note(RouteTable table)
    {
        var fit = table.Listeners.Values.SelectMany(one => one.Hosts.Members).Select(one => one.Name).ToHashSet(StringComparer.Ordinal);
        var isFirst = _health.Values.All(one => one.FitSince == 0);
        foreach (var (name, health) in _health)
        {
            var isFit = fit.Contains(name);
            if (isFit && !health.WasFit)
            {
                health.FitSince = isFirst ? 0 : _time.GetTimestamp();
                health.Succeeded();
            }
            health.WasFit = isFit;
            if (health.RefusedUntil != 0 && table.View.Snapshot.Members.GetValueOrDefault(name)?.ModRevision != health.RefusedAt)
            {
                health.RefusedUntil = 0;
            }
        }
    }

    private MemberHealth HealthOf(string member)
    {
        if (!_health.TryGetValue(member, out var health))
        {
            _health.Add(member, health = new MemberHealth());
        }
        return health;
    }

    private bool IsRefused(MemberHealth health) => health.RefusedUntil != 0 && health.RefusedUntil > _time.GetTimestamp();

    private long After(TimeSpan time) => _time.GetTimestamp() + (long)(time.TotalSeconds * _time.TimestampFrequency);

    [LoggerMessage(EventId = 6202, Level = LogLevel.Information, Message = "Writes go {Where}")]
    private partial void LogRoute(string where);

    [LoggerMessage(EventId = 6203, Level = LogLevel.Warning, Message = "etcd {What}")]
    private partial void LogLive(string what);

    [LoggerMessage(EventId = 6204, Level = LogLevel.Warning,
        Message = "{Member} holds the leader key of term {Term} and says at login that it is in recovery: not used for writes for now")]
    private partial void LogWrongRole(string member, Term term);

    /// <summary>What the pick sees.</summary>
    private readonly struct Loads(Router router, ListenerTable table, IReadOnlyCollection<string> tried, long now) : IHostLoads
    {
        public HostLoad this[int index]
        {
            get
            {
                var health = table.Health[index];
                var isRefused = table.Targets[index] is null
                    || (table.Route.MustBePrimary && health.RefusedUntil > now);
                var isOut = health.OutUntil > now || (tried.Count > 0 && tried.Contains(table.Hosts.Members[index].Name));
                var weight = health.FitSince == 0 ? 1
                    : Math.Clamp(router._time.GetElapsedTime(health.FitSince, now) / SlowStart, LeastWeight, 1);
                return new(health.Busy, isOut, isRefused, weight);
            }
        }
    }

    /// <summary>Counts a session at its member until it is over.</summary>
    private sealed class Ticket : IDisposable
    {
        private MemberHealth? _health;

        public Ticket(MemberHealth health)
        {
            _health = health;
            health.Add(1);
        }

        public void Dispose() => Interlocked.Exchange(ref _health, null)?.Add(-1);
    }
}
