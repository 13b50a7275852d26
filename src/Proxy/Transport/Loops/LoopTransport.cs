using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Transport.Loops;

/// <summary>Event loops of our own, one thread each; an idle connection holds no buffer.</summary>
internal sealed class LoopTransport : ITransport
{
    private readonly EventLoop[] _loops;
    private readonly ILogger _logger;
    private uint _turn;

    /// <summary>Takes loops that run.</summary>
    /// <param name="name">How the loops wait: <c>epoll</c> or <c>io_uring</c>.</param>
    /// <param name="loops">The loops, numbered from 0; the transport's from now on.</param>
    /// <param name="logger">For want of descriptors.</param>
    public LoopTransport(string name, IEnumerable<EventLoop> loops, ILogger logger)
    {
        (Name, _logger) = (name, logger);
        _loops = [.. loops];
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int Loops => _loops.Length;

    /// <inheritdoc/>
    public ITransportListener Listen(Socket listening, Action<ITransportConnection> accepted) =>
        new LoopListener(this, _loops[0], listening, accepted, _logger);

    /// <inheritdoc/>
    public ValueTask<ITransportConnection> ConnectAsync(
        EndPoint address, ITransportConnection? beside, SocketTuning options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var loop = beside is null ? NextLoop() : _loops[beside.Loop];
        return new LoopConnector(loop, address, options).ConnectAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public ITransportConnection TakeOver(SharedSocket shared, ITransportConnection? beside) =>
        new LoopConnection(beside is null ? NextLoop() : _loops[beside.Loop], shared);

    /// <inheritdoc/>
    public IRelay Join(ITransportConnection client, ITransportConnection server, RelayTap? tap) =>
        client is LoopConnection clear && server is LoopConnection other
            ? new LoopRelay(clear, other, tap)
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
    internal EventLoop NextLoop() => _loops[Interlocked.Increment(ref _turn) % (uint)_loops.Length];
}
