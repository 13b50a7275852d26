using System.Net;
using System.Net.Sockets;

namespace Routing.TestKit;

/// <summary>Forwards connections to a port of 127.0.0.1, each direction only while it is not cut.</summary>
internal sealed class Forwarder : IAsyncDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(5);
    private readonly TcpListener _listener = new(IPAddress.Loopback, FreePorts.Take());
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _connections = [];
    private readonly int _target;
    private readonly Func<int, TestMachine?> _ownerOf;
    private readonly Func<TestMachine?, bool, bool> _isCut;
    private readonly Task _accepting;

    /// <summary>Listens on a free port.</summary>
    /// <param name="target">The port that connections are forwarded to.</param>
    /// <param name="ownerOf">Which machine a connection comes from, by its port.</param>
    /// <param name="isCut">Whether nothing arrives: from that machine (true) or at it (false).</param>
    public Forwarder(int target, Func<int, TestMachine?> ownerOf, Func<TestMachine?, bool, bool> isCut)
    {
        (_target, _ownerOf, _isCut) = (target, ownerOf, isCut);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>Where it listens.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(JoinAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
                _connections.RemoveAll(connection => connection.IsCompleted);
            }
        }
        catch (Exception end) when (IsEnd(end))
        {
            // closed
        }
    }

    private async Task JoinAsync(TcpClient client)
    {
        using var server = new TcpClient();
        using (client)
        {
            try
            {
                var port = ((IPEndPoint)client.Client.RemoteEndPoint!).Port;
                var owner = await Task.Run(() => _ownerOf(port));
                await UntilNotCutAsync(owner, outward: true);
                await server.ConnectAsync(IPAddress.Loopback, _target, _stop.Token);
                await Task.WhenAny(
                    PumpAsync(client, server, owner, outward: true), PumpAsync(server, client, owner, outward: false));
            }
            catch (Exception end) when (IsEnd(end))
            {
                // one side is gone: so is the other
            }
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to, TestMachine? owner, bool outward)
    {
        try
        {
            var buffer = new byte[64 * 1024];
            var (source, sink) = (from.GetStream(), to.GetStream());
            int count;
            do
            {
                count = await source.ReadAsync(buffer, _stop.Token);
                await UntilNotCutAsync(owner, outward);
                await sink.WriteAsync(buffer.AsMemory(0, count), _stop.Token);
            }
            while (count > 0);
        }
        catch (Exception end) when (IsEnd(end))
        {
            // one side is gone: so is the other, once the cut ends
            await Task.WhenAny(UntilNotCutAsync(owner, outward));
        }
    }

    private async Task UntilNotCutAsync(TestMachine? owner, bool outward)
    {
        while (_isCut(owner, outward))
        {
            await Task.Delay(s_pause, _stop.Token);
        }
    }

    private static bool IsEnd(Exception problem) =>
        problem is IOException or SocketException or ObjectDisposedException or OperationCanceledException;
}
