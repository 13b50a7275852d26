using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Proxy.Configuration;
using Routing.Proxy.Host;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>
/// The proxy without its host: a write and a read listener before pretend servers, and a cluster made by hand.
/// </summary>
internal sealed class Rig : IAsyncDisposable
{
    private readonly ITransport _transport;
    private readonly MemberProbe _probe;
    private readonly List<ITransportListener> _listeners = [];
    private readonly SessionDiary _diary = new();
    private ImmutableSortedDictionary<string, Member> _members = ImmutableSortedDictionary<string, Member>.Empty;
    private LeaderKey? _leader;
    private SwitchoverIntent? _intent;
    private ClusterView _view = ClusterView.Unknown;
    private long _revision = 1;

    public Rig(string transport = "epoll", SessionSettings? settings = null,
        Func<ListenerConfig, ListenerConfig>? change = null, TimeSpan? hold = null,
        LeaderFallback fallback = LeaderFallback.Never)
    {
        _transport =
            TransportFactory.Create(transport, 2, Favor.Latency, TimeProvider.System, NullLogger.Instance, out _);
        ListenerConfig[] listeners =
        [
            Listener("write", WantedRole.Primary, hold),
            Listener("read", WantedRole.Replica, hold, fallback) with { Replication = ReplicationAccess.None },
        ];
        listeners = [.. listeners.Select(change ?? (one => one))];
        Router = new Router(listeners, TimeProvider.System, new Random(1), NullLogger.Instance);
        Server = new SessionServer(
            _transport, Router, listeners,
            settings ?? new SessionSettings { CutGrace = TimeSpan.FromMilliseconds(50),
                RetryTime = TimeSpan.FromSeconds(3) },
            _diary, TimeProvider.System, NullLoggerFactory.Instance);
        var shared = settings ?? new SessionSettings();
        _probe =
            new MemberProbe(Router, _transport, TimeProvider.System, () => shared, () => ProxyProtocolVersion.None);
        WritePort = Listen("write");
        ReadPort = Listen("read");
    }

    public Router Router { get; }

    public SessionServer Server { get; }

    public int WritePort { get; }

    public int ReadPort { get; }

    /// <summary>What happened, one word each.</summary>
    public IReadOnlyCollection<string> Diary => _diary.Lines;

    /// <summary>Sessions that would go on at another server now.</summary>
    public int Movable => Server.Count().Sessions.Sum(one => one.Movable);

    /// <summary>Bytes that open sessions took from their clients.</summary>
    public long FromClients => Server.Count().Sessions.Sum(one => one.BytesFromClient);

    /// <summary>Waits until something has happened; <see cref="Diary"/> has its word.</summary>
    public Task UntilAsync(string entry) => WaitUntil.TrueAsync(
        () => Task.FromResult(Diary.Contains(entry)), null, () => $"{entry}; there was: {string.Join(", ", Diary)}");

    public int Open => Server.Count().Sessions.Sum(one => one.Open);

    /// <summary>Makes or changes a member.</summary>
    public Rig With(string name, PretendServer server, Role role, PostgresState state = PostgresState.Running,
        long? replayed = null) =>
        With(name, server.Port, role, state, replayed);

    /// <summary>Makes or changes a member.</summary>
    public Rig With(
        string name, int port, Role role, PostgresState state = PostgresState.Running, long? replayed = null)
    {
        _members = _members.SetItem(name, new Member
        {
            Name = name,
            Address = new HostPort("127.0.0.1", port),
            Role = role,
            State = state,
            ReplayLsn = replayed is { } lsn ? new Lsn((ulong)lsn) : null,
            ModRevision = ++_revision,
        });
        return this;
    }

    /// <summary>A member's key ends.</summary>
    public Rig Without(string name)
    {
        _members = _members.Remove(name);
        return this;
    }

    /// <summary>A member takes the leader key; null: nobody holds it.</summary>
    public Rig Lead(string? name)
    {
        _leader = name is null ? null : new LeaderKey(name, new Term(++_revision), _revision, 7);
        return this;
    }

    /// <summary>The leader is about to hand over; null: it is not, or not any more.</summary>
    public Rig Intend(string? id, TimeSpan grace = default)
    {
        _intent = id is null ? null : new SwitchoverIntent(id, _leader!.Holder, null, _leader.Term.Revision, grace);
        return this;
    }

    /// <summary>Makes it known.</summary>
    public Rig Publish(bool isLive = true)
    {
        _view = new ClusterView(
            new ClusterSnapshot
            {
                Revision = ++_revision, Leader = _leader, Members = _members, Switchover = _intent,
            },
            isLive, 1)
            .After(_view);
        Router.Adopt(_view);
        return this;
    }

    public ValueTask DisposeAsync() => DisposeAsync(drains: true);

    public async ValueTask DisposeAsync(bool drains)
    {
        foreach (var listener in _listeners)
        {
            await listener.StopAsync();
        }
        await _probe.DisposeAsync();
        if (drains)
        {
            await Server.DrainAsync(TimeSpan.Zero);
        }
        await Server.DisposeAsync();
        Router.Dispose();
        await _transport.DisposeAsync();
    }

    private static ListenerConfig Listener(
        string name, WantedRole role, TimeSpan? hold, LeaderFallback fallback = LeaderFallback.Never) => new()
    {
        Name = name,
        Address = ListenAddress.Unknown,
        Request = new HostRequest { Role = role, Fallback = fallback },
        HoldTime = hold ?? TimeSpan.FromSeconds(10),
        Move = MoveMode.Off,
    };

    private int Listen(string name)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen(1024);
        var port = ((IPEndPoint)socket.LocalEndPoint!).Port;
        _listeners.Add(_transport.Listen(socket, connection => Server.Accept(name, connection)));
        return port;
    }
}
