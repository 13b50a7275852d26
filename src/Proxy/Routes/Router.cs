using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;

namespace Routing.Proxy.Routes;

/// <summary>Routes by the topology watch: the newest view, the highest term, and what attempts have shown.</summary>
/// <remarks>
/// Fail static: while the store is silent, the last view goes on for every member that still answers. Nothing is ever
/// routed to a lower term than one that was seen. All members are thread-safe; none blocks.
/// </remarks>
internal sealed partial class Router : IDisposable
{
    private static readonly TimeSpan s_slowStart = TimeSpan.FromSeconds(10);
    private const double LeastWeight = 0.1;

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly NameCache _names;
    private readonly Random _random;
    private readonly Lock _lock = new();
    private readonly HealthBook _health;
    private readonly HoldRoom _room;
    private FrozenDictionary<string, ListenerConfig> _listeners;
    private volatile RouteTable _table = RouteTable.Empty;
    private volatile IntentHold? _hold;   // of the newest intent that was seen; it may be over
    private uint _turn;

    /// <summary>Routes nothing before the first <see cref="Adopt"/>.</summary>
    /// <param name="listeners">The listeners.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">For choices among equals.</param>
    /// <param name="logger">For what has changed.</param>
    /// <param name="lookup">Asks for the addresses of a name; null: the system's resolver.</param>
    public Router(IEnumerable<ListenerConfig> listeners, TimeProvider time, Random random, ILogger logger,
        Func<string, Task<IPAddress[]>>? lookup = null)
    {
        (_time, _random, _logger) = (time, random, logger);
        _listeners = listeners.ToFrozenDictionary(one => one.Name, StringComparer.Ordinal);
        _names = new NameCache(Rebuild, time, logger, lookup);
        _health = new HealthBook(time);
        _room =
            new HoldRoom((listener, tried) =>
                _table.Listeners.TryGetValue(listener, out var table) ? Pick(table, tried) : null, time);
    }

    /// <summary>
    /// Called after the table has changed, from the topology's thread: be quick. Sessions whose target or term is no
    /// longer right for their listener are to be cut; see <see cref="VerdictOn"/>.
    /// </summary>
    public event Action? Changed;

    /// <summary>Where the views come from, for people: the subject of a sentence. Default <c>etcd</c>.</summary>
    public string Source { get; init; } = "etcd";

    /// <summary>The routes by the newest view of the cluster.</summary>
    public RouteTable Table => _table;

    /// <summary>How many clients wait for a member, at all listeners.</summary>
    public int Waiting => _room.Count;

    /// <summary>Told when a view has become routes, with the time that took.</summary>
    public Action<TimeSpan>? Adopted { get; init; }

    /// <summary>Takes a new view. From the topology's thread.</summary>
    public void Adopt(ClusterView view)
    {
        var begun = _time.GetTimestamp();
        Build(view);
        Adopted?.Invoke(_time.GetElapsedTime(begun));
    }

    /// <summary>Takes other routes.</summary>
    public void Reload(IEnumerable<ListenerConfig> listeners)
    {
        _listeners = listeners.ToFrozenDictionary(one => one.Name, StringComparer.Ordinal);
        Rebuild();
    }

    /// <summary>Refuses the clients that wait, and from now on all that would wait.</summary>
    public void Drain()
    {
        _room.Drain();
        _hold?.End();   // what waits for its end is drained as well
    }

    /// <summary>
    /// The member that a new session of this listener goes to now. Counts as an attempt in progress until the returned
    /// ticket is disposed of, so that least-connections spreads a burst.
    /// </summary>
    /// <param name="listener">The listener's name.</param>
    /// <param name="tried">
    /// Members that this session has tried already at the given state of the topology; they come last.
    /// </param>
    public RouteChoice Choose(string listener, IReadOnlyCollection<string> tried)
    {
        if (!_table.Listeners.TryGetValue(listener, out var table))
        {
            return RouteChoice.None(RouteReason.TopologyUnknown,
                $"the proxy does not know the cluster yet: {Source} has not answered");
        }
        // A new client does not overtake the ones that wait already; one that has tried before has waited enough.
        return tried.Count == 0 && _room.IsWaitedFor(listener) ? None(table) : Pick(table, tried);
    }

    /// <summary>
    /// Waits in the listener's bounded first-in-first-out queue until a session may be routed, and chooses. After a
    /// change of target the waiting clients are let through at a limited rate, oldest first.
    /// </summary>
    /// <returns>A target; or a refusal: queue full (at once), hold time over, or draining.</returns>
    /// <param name="listener">The listener's name.</param>
    /// <param name="tried">As in <see cref="Choose"/>.</param>
    /// <param name="isMove">A session that moves: those are let through at a rate of their own.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public ValueTask<RouteChoice> HoldAsync(
        string listener, IReadOnlyCollection<string> tried, bool isMove, CancellationToken cancellationToken) =>
        _listeners.TryGetValue(listener, out var known)
            ? _room.WaitAsync(known, tried, isMove, cancellationToken)
            : new(RouteChoice.None(RouteReason.TopologyUnknown, $"the listener {listener} was removed"));

    /// <summary>Counts a session that is at a member already, until the ticket is disposed of.</summary>
    /// <returns>Null: the listener has no such member now.</returns>
    public IDisposable? Count(string listener, string member) =>
        _table.Listeners.TryGetValue(listener, out var table) && table.IndexOf(member) is var at and >= 0
            ? new Ticket(table.Health[at])
            : null;

    /// <summary>The members that a session of this listener can be at now; a silent one is left out.</summary>
    public ImmutableArray<RouteTarget> TargetsOf(string listener)
    {
        var now = _table;
        return !now.Listeners.TryGetValue(listener, out var table) ? []
            : [.. table.Targets.OfType<RouteTarget>().Where(target => !now.Silent.Contains(target.Member))];
    }

    /// <summary>The server's first answer of a login was relayed, and its role fits: ends ejection.</summary>
    public void NoteSuccess(RouteTarget target)
    {
        bool isBack;
        lock (_lock)
        {
            isBack = _health.Of(target.Member).Succeeded();
        }
        if (isBack)
        {
            Changed?.Invoke();   // sessions that went elsewhere meanwhile are judged anew
        }
    }

    /// <summary>
    /// A login failed: feeds ejection, slow start and the verification of roles, according to
    /// <see cref="LoginFailure.Blame"/>.
    /// </summary>
    public void NoteFailure(RouteTarget target, LoginFailure failure)
    {
        lock (_lock)
        {
            var health = _health.Of(target.Member);
            switch (failure.Blame)
            {
                case Blame.Nobody:
                    break;
                case Blame.Role:
                    _health.Refuse(health,
                        _table.View.Snapshot.Members.GetValueOrDefault(target.Member)?.ModRevision ?? 0);
                    LogWrongRole(target.Member, target.Term);
                    break;
                default:
                    health.Failed(failure, _time);
                    break;
            }
        }
        if (failure == LoginFailure.Refused || failure == LoginFailure.Unreachable || failure == LoginFailure.TimedOut)
        {
            _names.Doubt(target.HostName);   // its name may have moved
        }
    }

    /// <summary>Whether a session that runs on <paramref name="target"/> may stay there.</summary>
    public SessionVerdict VerdictOn(string listener, RouteTarget target) =>
        _table.Judge(listener, target) is var verdict && verdict == SessionVerdict.Stay
        && HoldOf(listener, target.Member) is not null
            ? SessionVerdict.Hold
            : verdict;

    /// <summary>What holds the sessions of a member at this listener; null: nothing does.</summary>
    public IntentHold? HoldOf(string listener, string member) =>
        _hold is { Ended.IsCompleted: false } hold && hold.Leader == member
            && HoldLeft(hold, listener) > TimeSpan.Zero
            ? hold
            : null;

    /// <summary>How long a listener holds at most from now on; a listener that is no more holds nothing.</summary>
    public TimeSpan HoldLeft(IntentHold hold, string listener) =>
        _listeners.TryGetValue(listener, out var known)
            ? _time.GetElapsedTime(_time.GetTimestamp(), hold.GraceEnds) + known.HoldTime
            : TimeSpan.Zero;

    /// <summary>What holds the sessions of a leader, at one listener at least; null: nothing does.</summary>
    public IntentHold? Hold =>
        _hold is { Ended.IsCompleted: false } hold && _listeners.Keys.Any(name => HoldLeft(hold, name) > TimeSpan.Zero)
            ? hold
            : null;

    /// <summary>What was seen of a member, for people.</summary>
    public (int Busy, bool IsOut, bool IsRefused) HealthFor(string member)
    {
        lock (_lock)
        {
            return _health.Find(member) is { } health
                ? (health.Busy, health.OutUntil > _time.GetTimestamp(), _health.IsRefused(health))
                : default;
        }
    }

    /// <summary>
    /// The members that nothing proves alive at present: while the store is silent all that sessions go to, else the
    /// members with sessions whose key is gone.
    /// </summary>
    public IReadOnlyList<RouteTarget> Unvouched()
    {
        lock (_lock)
        {
            var view = _table.View;
            return [.. _health.All
                .Where(one => one.Value.Target is not null
                    && (view.IsLive ? one.Value.Busy > 0 && !view.Snapshot.Members.ContainsKey(one.Key)
                        : one.Value.Busy > 0 || one.Value.WasFit))
                .Select(one => one.Value.Target!)];
        }
    }

    /// <summary>
    /// Takes note of the members among <see cref="Unvouched"/> that do not answer: no session goes there, and their
    /// sessions are cut.
    /// </summary>
    public void Mute(FrozenSet<string> silent)
    {
        lock (_lock)
        {
            if (_table.Silent.SetEquals(silent))
            {
                return;
            }
            foreach (var member in silent.Except(_table.Silent))
            {
                LogSilent(member, Source);
            }
            foreach (var member in _table.Silent.Except(silent))
            {
                LogHeard(member);
            }
            _table = _table with { Silent = silent };
        }
        _room.Release();
        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _names.Dispose();
        _room.Dispose();
    }

    private static RouteChoice None(ListenerState table) => WithoutAddress(table) is { } nameless
        ? RouteChoice.None(table.Config.MustBePrimary ? RouteReason.NoLeader : RouteReason.NoReplica, nameless)
        : table.Config.MustBePrimary
        ? RouteChoice.None(RouteReason.NoLeader,
            "there is no primary at present, and none was elected within the time to wait")
        : RouteChoice.None(RouteReason.NoReplica,
            "no replica serves at present, and none came back within the time to wait");

    /// <summary>A sentence when a member would serve, but its name cannot be resolved; null: none would.</summary>
    private static string? WithoutAddress(ListenerState table)
    {
        if (table.Targets.Length == 0 || table.Targets.Any(target => target is not null))
        {
            return null;
        }
        var member = table.Hosts.Members[0];
        return $"the name {member.Address!.Value.Host} of {member.Name} can't be resolved at present";
    }

    private RouteChoice Pick(ListenerState table, IReadOnlyCollection<string> tried)
    {
        uint random;
        lock (_lock)
        {
            random = (uint)_random.NextInt64(uint.MaxValue);
        }
        var loads = new Loads(this, table, tried, _time.GetTimestamp());
        var at = table.Hosts.Pick(table.Config.Request.Policy, loads, Interlocked.Increment(ref _turn), random);
        return at >= 0 && table.Targets[at] is { } target
            ? new(target, RouteReason.Found, "", new Ticket(table.Health[at]))
            : None(table);
    }

    private void Rebuild() => Build(null);

    /// <param name="adopted">A new view; null: the newest one stays, and what else routes are made of is new.</param>
    private void Build(ClusterView? adopted)
    {
        string? change;
        IntentHold? over, begun;
        lock (_lock)
        {
            var before = _table;
            var view = adopted ?? before.View;   // read under the lock: a view that was adopted meanwhile is newer
            if (view.Snapshot.Revision == 0)
            {
                return;   // no answer of the store yet
            }
            _table = before with
            {
                View = view,
                Listeners = _listeners.Values.Select(one => StateOf(one, view))
                    .ToFrozenDictionary(one => one.Config.Name, StringComparer.Ordinal),
            };
            _health.Note(_table);
            change = ChangeOf(before, _table);
            (over, begun) = TakeIntent(view);
            if (before.View.IsLive != view.IsLive && before.View.Snapshot.Revision != 0)
            {
                LogLive(Source, view.IsLive ? "answers again" : "is silent: the last known routes stay in use");
            }
        }
        if (over is not null)
        {
            LogReleased(over.Leader);
            over.End();
        }
        if (begun is not null)
        {
            LogHolds(begun.Leader, begun.Id);
        }
        _room.Release();
        if (change is not null)
        {
            LogRoute(change);
        }
        Changed?.Invoke();
    }

    // Under the lock. What is over is ended by the caller, when the table shows why.
    private (IntentHold? Over, IntentHold? Begun) TakeIntent(ClusterView view)
    {
        var known = _hold;
        var next = LeaderHold.After(known?.Rule, view.Snapshot, view.HighestTerm, _time.TimestampAfter);
        if (next is null || ReferenceEquals(next, known?.Rule))
        {
            return default;
        }
        var begun = next.Id != known?.Id ? new IntentHold(next) : null;
        _hold = begun ?? _hold;
        return (known is { Ended.IsCompleted: false } ? known : null, begun);
    }

    // Where writes go from now on, in words; null: where they went before.
    private static string? ChangeOf(RouteTable before, RouteTable now)
    {
        var leader = HostChooser.LeaderOf(now.View.Snapshot, now.View.HighestTerm, out var reason);
        var leaderBefore = HostChooser.LeaderOf(before.View.Snapshot, before.View.HighestTerm, out _);
        return leader?.Name == leaderBefore?.Name && before.View.Snapshot.Revision != 0 ? null
            : leader is null ? $"nowhere: {reason}"
            : $"to {leader.Name} at {leader.Address} (term {now.View.HighestTerm})";
    }

    private ListenerState StateOf(ListenerConfig listener, ClusterView view)
    {
        var hosts = HostChooser.Select(view.Snapshot, view.HighestTerm, listener.Request);
        var targets = new RouteTarget?[hosts.Members.Length];
        var health = new MemberRecord[hosts.Members.Length];
        for (var at = 0; at < targets.Length; at++)
        {
            var member = hosts.Members[at];
            var (host, port) = member.Address!.Value;
            health[at] = _health.Of(member.Name);
            targets[at] = _names.Find(host) is { IsEmpty: false } found
                ? new RouteTarget(
                    member.Name, [.. found.Select(address => new IPEndPoint(address, port))], host, view.HighestTerm,
                    listener.MustBePrimary)
                : null;
            health[at].Target = targets[at] ?? health[at].Target;
        }
        return new ListenerState(listener, hosts, targets, health);
    }

    [LoggerMessage(EventId = 6202, Level = LogLevel.Information, Message = "Writes go {Where}")]
    private partial void LogRoute(string where);

    [LoggerMessage(EventId = 6203, Level = LogLevel.Warning, Message = "{Source} {What}")]
    private partial void LogLive(string source, string what);

    [LoggerMessage(EventId = 6204, Level = LogLevel.Warning,
        Message = "{Member} holds the leader key of term {Term} and says at login that it is in recovery: not used "
            + "for writes for now")]
    private partial void LogWrongRole(string member, Term term);

    [LoggerMessage(EventId = 6205, Level = LogLevel.Warning,
        Message = "{Member} does not answer, and {Source} no longer confirms it: its sessions are cut, new ones wait "
            + "or go elsewhere")]
    private partial void LogSilent(string member, string source);

    [LoggerMessage(EventId = 6207, Level = LogLevel.Information,
        Message = "{Leader} is about to hand over ({Intent}): its sessions are held as they come to rest, and new ones "
            + "wait")]
    private partial void LogHolds(string leader, string intent);

    [LoggerMessage(EventId = 6208, Level = LogLevel.Information,
        Message = "The sessions that were held at {Leader} go on")]
    private partial void LogReleased(string leader);

    [LoggerMessage(EventId = 6206, Level = LogLevel.Information, Message = "{Member} answers again")]
    private partial void LogHeard(string member);

    /// <summary>What the pick sees.</summary>
    private readonly struct Loads(Router router, ListenerState table, IReadOnlyCollection<string> tried, long now)
        : IHostLoads
    {
        public HostLoad this[int index]
        {
            get
            {
                var health = table.Health[index];
                var name = table.Hosts.Members[index].Name;
                var isRefused = table.Targets[index] is null || router._table.Silent.Contains(name)
                    || (table.Config.MustBePrimary && health.RefusedUntil > now)
                    || router.HoldOf(table.Config.Name, name) is not null;
                var isOut = health.OutUntil > now || (tried.Count > 0 && tried.Contains(name));
                var weight = health.FitSince == 0 ? 1
                    : Math.Clamp(router._time.GetElapsedTime(health.FitSince, now) / s_slowStart, LeastWeight, 1);
                return new(health.Busy, isOut, isRefused, weight);
            }
        }
    }

    /// <summary>Counts a session at its member until it is over.</summary>
    private sealed class Ticket : IDisposable
    {
        private MemberRecord? _health;

        public Ticket(MemberRecord health)
        {
            _health = health;
            health.Add(1);
        }

        public void Dispose() => Interlocked.Exchange(ref _health, null)?.Add(-1);
    }
}
