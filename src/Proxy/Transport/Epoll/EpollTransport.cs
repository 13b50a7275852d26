using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Transport.Epoll;

/// <summary>Event loops on epoll: one thread each, level-triggered, no buffer for an idle connection.</summary>
internal sealed class EpollTransport : ITransport
{
    private readonly EpollLoop[] _loops;
    private readonly ILogger _logger;
    private uint _turn;

    /// <summary>Starts the loops.</summary>
    /// <param name="loops">How many; see <see cref="TransportFactory.DefaultLoops"/>.</param>
    /// <param name="time">For timers and activity.</param>
    /// <param name="logger">For faults and for want of descriptors.</param>
    public EpollTransport(int loops, TimeProvider time, ILogger logger)
    {
        _logger = logger;
        _loops = [.. Enumerable.Range(0, loops).Select(index => new EpollLoop(index, time, logger))];
    }

    /// <inheritdoc/>
    public string Name => "epoll";

    /// <inheritdoc/>
    public int Loops => _loops.Length;

    /// <inheritdoc/>
    public ITransportListener Listen(Socket listening, Action<ITransportConnection> accepted) =>
        new EpollListener(this, _loops[0], listening, accepted, _logger);

    /// <inheritdoc/>
    public ValueTask<ITransportConnection> ConnectAsync(
        EndPoint address, ITransportConnection? beside, SocketTuning options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var loop = beside is null ? NextLoop() : _loops[beside.Loop];
        return new EpollConnector(loop, address, options).ConnectAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public IRelay Join(ITransportConnection client, ITransportConnection server, RelayTap? tap) =>
        client is EpollConnection clear && server is EpollConnection other
            ? new EpollRelay(clear, other, tap)
            : new PipeRelay(client, server, tap, TimeProvider.System);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var loop in _loops)
        {
            await loop.StopAsync();
            loop.Dispose();
        }
    }

    /// <summary>The loop whose turn it is.</summary>
    internal EpollLoop NextLoop() => _loops[Interlocked.Increment(ref _turn) % (uint)_loops.Length];
}
