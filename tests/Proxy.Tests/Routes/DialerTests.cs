using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Proxy.Host;
using Routing.Proxy.Members;
using Routing.Proxy.Transport;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Routes;

/// <summary>Connecting to a member whose name has several addresses.</summary>
public sealed class DialerTests : IAsyncDisposable
{
    private static readonly IPAddress s_other = IPAddress.Parse("127.0.0.2");
    private readonly ITransport _transport =
        TransportFactory.Create("epoll", 1, Favor.Latency, TimeProvider.System, NullLogger.Instance, out _);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _transport.DisposeAsync();

    [Fact]
    public async Task An_address_that_refuses_is_followed_by_the_next()
    {
        using var listening = Listen(s_other);
        var port = ((IPEndPoint)listening.LocalEndPoint!).Port;

        await using var connection =
            await DialAsync(new IPEndPoint(IPAddress.Loopback, port), new IPEndPoint(s_other, port));

        Assert.Equal(new IPEndPoint(s_other, port), connection.RemoteEndPoint);
    }

    [Fact]
    public async Task An_address_that_is_silent_gets_a_head_start_alone()
    {
        using var listening = Listen(s_other);
        var port = ((IPEndPoint)listening.LocalEndPoint!).Port;
        using var hole = Full(out var silent);

        await using var connection = await DialAsync(silent, new IPEndPoint(s_other, port));

        Assert.Equal(new IPEndPoint(s_other, port), connection.RemoteEndPoint);
    }

    [Fact]
    public async Task When_all_refuse_the_first_one_s_error_is_told()
    {
        var port = FreePorts.Take();

        var error = await Assert.ThrowsAsync<SocketException>(
            () => DialAsync(new IPEndPoint(IPAddress.Loopback, port), new IPEndPoint(s_other, port)));

        Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
    }

    [Fact]
    public void The_families_take_turns_in_the_resolver_s_order()
    {
        IPAddress[] found = [.. "::1 ::2 ::3 10.0.0.1".Split(' ').Select(IPAddress.Parse)];

        Assert.Equal("::1 10.0.0.1 ::2 ::3".Split(' ').Select(IPAddress.Parse), NameCache.Interleave(found));
        Assert.Empty(NameCache.Interleave([]));
    }

    private Task<ITransportConnection> DialAsync(params ImmutableArray<EndPoint> addresses) => Dialer.DialAsync(
        _transport, new RouteTarget("a", addresses, "a.example", new Term(1), true), null, SocketTuning.None,
        TimeProvider.System,
        Cancellation).AsTask();

    private static Socket Listen(IPAddress address, int backlog = 10)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(address, 0));
        socket.Listen(backlog);
        return socket;
    }

    // A socket whose queue is full: the kernel drops what else comes, and the one that connects waits.
    private static Holder Full(out IPEndPoint address)
    {
        var listening = Listen(IPAddress.Loopback, backlog: 0);
        address = (IPEndPoint)listening.LocalEndPoint!;
        var all = new List<Socket> { listening };
        for (var count = 0; count < 4; count++)
        {
            var filling =
                new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            try
            {
                filling.Connect(address);
            }
            catch (SocketException begun) when (begun.SocketErrorCode == SocketError.WouldBlock)
            {
                // the kernel goes on by itself
            }
            all.Add(filling);
        }
        return new Holder(all);
    }

    private sealed class Holder(List<Socket> sockets) : IDisposable
    {
        public void Dispose() => sockets.ForEach(one => one.Dispose());
    }
}
