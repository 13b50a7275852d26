using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Pipelines.Sockets.Unofficial;

namespace Routing.Proxy.Transport.Portable;

/// <summary>
/// A connection on Pipelines.Sockets.Unofficial. Its "loop" is whatever thread the socket's completion runs on.
/// </summary>
internal sealed class PortableConnection : ITransportConnection
{
    private static readonly PipeOptions s_pipes = new(
        readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline,
        pauseWriterThreshold: 64 * 1024, resumeWriterThreshold: 32 * 1024, useSynchronizationContext: false);

    private readonly Socket _socket;
    private readonly SocketConnection _pipes;
    private readonly TimeProvider _time;
    private int _isClosed;

    /// <summary>Takes a connected socket.</summary>
    public PortableConnection(Socket socket, TimeProvider time)
    {
        (_socket, _time) = (socket, time);
        RemoteEndPoint = socket.RemoteEndPoint as IPEndPoint;
        LocalEndPoint = socket.LocalEndPoint as IPEndPoint;
        if (socket.ProtocolType == ProtocolType.Tcp)
        {
            socket.NoDelay = true;
        }
        _pipes = SocketConnection.Create(
            socket, s_pipes, SocketConnectionOptions.InlineReads | SocketConnectionOptions.InlineWrites
                | SocketConnectionOptions.ZeroLengthReads);
    }

    /// <inheritdoc/>
    public PipeReader Input => _pipes.Input;

    /// <inheritdoc/>
    public PipeWriter Output => _pipes.Output;

    /// <inheritdoc/>
    public EndPoint? RemoteEndPoint { get; }

    /// <inheritdoc/>
    public EndPoint? LocalEndPoint { get; }

    /// <inheritdoc/>
    public int Loop => 0;

    /// <inheritdoc/>
    public void Tune(SocketTuning options)
    {
        if (_isClosed == 0 && _socket.ProtocolType == ProtocolType.Tcp)
        {
            Kernel.Tune((int)_socket.SafeHandle.DangerousGetHandle(), options);
        }
    }

    /// <inheritdoc/>
    public void Post(Action<object?> action, object? state) =>
        ThreadPool.UnsafeQueueUserWorkItem(static item => item.action(item.state), (action, state), preferLocal: false);

    /// <inheritdoc/>
    public void Abort()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
        {
            _socket.LingerState = new LingerOption(true, 0);
            Close();
        }
    }

    /// <inheritdoc/>
    public async ValueTask EndSendingAsync()
    {
        await Output.FlushAsync();
        await Output.CompleteAsync();   // sends what is left, then shuts down sending
    }

    /// <inheritdoc/>
    public async ValueTask EndAsync(TimeSpan linger)
    {
        if (_isClosed != 0)
        {
            return;
        }
        using var over =
            new CancellationTokenSource(linger > TimeSpan.Zero ? linger : TimeSpan.FromMilliseconds(1), _time);
        try
        {
            await Output.FlushAsync(over.Token);
            await Output.CompleteAsync();   // sends what is left, then shuts down sending
            while (linger > TimeSpan.Zero)
            {
                var result = await Input.ReadAsync(over.Token);
                Input.AdvanceTo(result.Buffer.End);
                if (result.IsCompleted)
                {
                    break;
                }
            }
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException
            or InvalidOperationException)
        {
            // The peer is gone, or took too long: that is the end, too.
        }
        await DisposeAsync();
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
        {
            Close();
        }
        return ValueTask.CompletedTask;
    }

    private void Close()
    {
        _pipes.Input.CancelPendingRead();
        _pipes.Dispose();
        _socket.Dispose();
    }
}
