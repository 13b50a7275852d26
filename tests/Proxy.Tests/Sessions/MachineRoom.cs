using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Proxy.Configuration;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>What start-up and login of one client need, without sockets: one listener for writes, one member.</summary>
internal sealed class MachineRoom : ITransport, IDisposable
{
    private readonly Router _router;
    private readonly SessionDiary _diary = new();

    public MachineRoom(
        Func<ListenerConfig, ListenerConfig>? change = null, Func<SessionSettings, SessionSettings>? settings = null)
    {
        var listener = new ListenerConfig
        {
            Name = "write",
            Address = ListenAddress.Unknown,
            Request = new HostRequest { Role = WantedRole.Primary },
        };
        listener = change is null ? listener : change(listener);
        _router = new Router([listener], TimeProvider.System, new Random(1), NullLogger.Instance);
        var usual = new SessionSettings();
        Hub = new SessionHub(
            this, _router, _diary, TimeProvider.System, NullLogger.Instance,
            settings is null ? usual : settings(usual));
        Client = new NewClient(Hub, ListenerModel.Create(listener, null), Connection);
    }

    public SessionHub Hub { get; }

    /// <summary>The client's connection.</summary>
    public PipeConnection Connection { get; } = new();

    public NewClient Client { get; }

    /// <summary>The connections that attempts get, in order; without one they are refused.</summary>
    public ConcurrentQueue<PipeConnection> Servers { get; } = new();

    /// <summary>What happened, one word each.</summary>
    public IReadOnlyCollection<string> Diary => _diary.Lines;

    public string Name => "pretended";

    public int Loops => 1;

    /// <summary>A member leads from now on.</summary>
    public MachineRoom Lead()
    {
        var member = new Member
        {
            Name = "a",
            Address = new HostPort("127.0.0.1", 5432),
            Role = Role.Primary,
            State = PostgresState.Running,
            ModRevision = 2,
        };
        _router.Adopt(new ClusterView(
            new ClusterSnapshot
            {
                Revision = 3,
                Leader = new LeaderKey("a", new Term(2), 2, 7),
                Members = ImmutableSortedDictionary<string, Member>.Empty.Add("a", member),
            },
            true, 1));
        return this;
    }

    public ValueTask<ITransportConnection> ConnectAsync(
        EndPoint address, ITransportConnection? beside, SocketTuning options, CancellationToken cancellationToken) =>
        Servers.TryDequeue(out var server)
            ? ValueTask.FromResult<ITransportConnection>(server)
            : ValueTask.FromException<ITransportConnection>(
                new SocketException((int)SocketError.ConnectionRefused));

    public ITransportListener Listen(Socket listening, Action<ITransportConnection> accepted) =>
        throw new NotSupportedException();

    public IRelay Join(ITransportConnection client, ITransportConnection server, RelayTap? tap) =>
        throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public void Dispose()
    {
        Hub.Dispose();
        _router.Dispose();
    }
}
