using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions;
using Routing.Proxy.Takeover;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Takeover;

/// <summary>Two proxies before one pretend server, which need not know that they stand in one process.</summary>
internal sealed class TakeoverRig : ITakeoverHost, IAsyncDisposable
{
    private readonly TempDirectory _directory = new("take-over");

    public TakeoverRig(string transport)
        : this(transport, new PretendServer(), null, null)
    {
    }

    /// <param name="transport">Of both.</param>
    /// <param name="server">The one member.</param>
    /// <param name="settings">Of both.</param>
    /// <param name="change">Of both listeners of both.</param>
    public TakeoverRig(
        string transport, PretendServer server, SessionSettings? settings,
        Func<ListenerConfig, ListenerConfig>? change)
    {
        Server = server;
        Old = With(new Rig(transport, settings, change));
        New = With(new Rig(transport, settings, change));
    }

    public PretendServer Server { get; }

    public Rig Old { get; }

    public Rig New { get; }

    /// <summary>How many listeners were told to pause, and how it has ended.</summary>
    public List<string> Diary { get; } = [];

    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(10);

    SessionServer ITakeoverHost.Sessions => Old.Server;

    /// <summary>The two ends of a connection.</summary>
    public async Task<(Socket Old, Socket New)> ConnectAsync()
    {
        var path = _directory[Guid.NewGuid().ToString("N")[..8]];
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
        return (await listener.AcceptAsync(), socket);
    }

    /// <summary>The old one hands over to whatever speaks at the other end.</summary>
    public async Task<TakeoverCount> GiveAsync(Socket socket)
    {
        using var giver = new TakeoverGiver(
            new TakeoverChannel(socket, TimeSpan.FromSeconds(5)), Environment.ProcessId, this, TimeProvider.System);
        return await giver.RunAsync();
    }

    /// <summary>The new one takes over from the old one.</summary>
    public async Task<(TakeoverCount Given, TakeoverCount Taken)> TakeOverAsync()
    {
        var path = _directory[Guid.NewGuid().ToString("N")[..8]];
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var giving = Task.Run(async () => await GiveAsync(await listener.AcceptAsync()));
        var (taker, sockets) = (await TakeoverTaker.ConnectAsync(path, NullLogger.Instance))!.Value;
        using (taker)
        {
            Assert.Empty(sockets);
            var taken = await taker.RunAsync([], New.Server);
            return (await giving, taken);
        }
    }

    /// <summary>A client that has logged in at the old one.</summary>
    public async Task<RawClient> ClientAsync()
    {
        var client = new RawClient(Old.WritePort);
        Assert.Null(await client.LoginAsync());
        return client;
    }

    ValueTask<IReadOnlyList<ListeningSocket>?> ITakeoverHost.BeginAsync() => new([]);

    ValueTask ITakeoverHost.PauseAsync(IReadOnlyList<ListeningSocket> taken)
    {
        Diary.Add($"paused {taken.Count}");
        return default;
    }

    void ITakeoverHost.Leave() => Diary.Add("left");

    void ITakeoverHost.End(int? successor) => Diary.Add(successor is null ? "goes on" : "replaced");

    public async ValueTask DisposeAsync()
    {
        await Old.DisposeAsync();
        await New.DisposeAsync();
        Server.Dispose();
        _directory.Dispose();
    }

    private Rig With(Rig rig) => rig.With("a", Server, Role.Primary).Lead("a").Publish();
}
