using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Routing.Proxy.Transport;

/// <summary>A relay over any two pairs of pipes: where TLS is in the path, and on the portable transport.</summary>
/// <remarks>
/// Two loops, one for each direction. The end of the client's stream is passed on; any other end ends both.
/// </remarks>
internal sealed class PipeRelay(
    ITransportConnection client, ITransportConnection server, RelayTap? tap, TimeProvider time) : IRelay
{
    private readonly Lock _lock = new();
    private long _fromClient;
    private long _fromServer;
    private long _lastActivity = time.GetTimestamp();
    private int _end = -1;
    private volatile Stopping _stopping;
    private ITimer? _grace;
    private volatile bool _hasClientEnded;
    private bool _hasWithheld;   // guarded by the lock
    private int _clientBusy;   // bytes that were taken from the server and are not flushed to the client yet

    private enum Stopping
    {
        No,
        AtRest,
        AtBoundary,
    }

    /// <inheritdoc/>
    public long FromClient => Interlocked.Read(ref _fromClient);

    /// <inheritdoc/>
    public long FromServer => Interlocked.Read(ref _fromServer);

    /// <inheritdoc/>
    /// <remarks>A pipe does not tell how far it came.</remarks>
    public long Unsent => 0;

    /// <inheritdoc/>
    public long LastActivity => Interlocked.Read(ref _lastActivity);

    private bool IsOver => Volatile.Read(ref _end) >= 0;

    /// <inheritdoc/>
    public async ValueTask<RelayEnd> RunAsync()
    {
        var up = PumpAsync(client.Input, server.Output, isUp: true);
        var down = PumpAsync(server.Input, client.Output, isUp: false);
        await Task.WhenAll(up, down);
        ITimer? grace;
        lock (_lock)
        {
            grace = _grace;
        }
        if (grace is not null)
        {
            await grace.DisposeAsync();
        }
        return (RelayEnd)_end;
    }

    /// <inheritdoc/>
    public void StopAtBoundary(TimeSpan grace)
    {
        if (TryBeginStop(Stopping.AtBoundary, grace))
        {
            client.Input.CancelPendingRead();   // nothing more is taken from it
            CheckStop();
        }
    }

    /// <inheritdoc/>
    public void StopAtRest(TimeSpan grace)
    {
        if (TryBeginStop(Stopping.AtRest, grace))
        {
            CheckStop();
        }
    }

    /// <inheritdoc/>
    public void StopBetweenMessages()
    {
        // its connections can't be shared
    }

    /// <inheritdoc/>
    public void GoOn()
    {
        // it never stopped
    }

    private bool TryBeginStop(Stopping wanted, TimeSpan grace)
    {
        lock (_lock)
        {
            if (IsOver || wanted <= _stopping)
            {
                return false;
            }
            _stopping = wanted;
            _grace?.Dispose();
            _grace = time.CreateTimer(
                static self => ((PipeRelay)self!).Finish(RelayEnd.Stopped), this, grace, Timeout.InfiniteTimeSpan);
        }
        return true;
    }

    private async Task PumpAsync(PipeReader from, PipeWriter to, bool isUp)
    {
        var isWriting = false;
        try
        {
            while (!IsOver)
            {
                isWriting = false;
                var result = await from.ReadAsync();
                var bytes = result.Buffer;
                if (!TryPass(bytes, to, isUp, out var passed))
                {
                    from.AdvanceTo(bytes.Start);
                    return;
                }
                if (passed < bytes.Length)
                {
                    from.AdvanceTo(bytes.GetPosition(passed));
                    isWriting = true;
                    await to.FlushAsync();
                    Finish(RelayEnd.Withheld);
                    return;
                }
                if (!bytes.IsEmpty)
                {
                    from.AdvanceTo(bytes.End);
                    isWriting = true;
                    var flushed = await to.FlushAsync();
                    if (!isUp)
                    {
                        // A fence: else a stop could find the client busy, and this find no stop.
                        Interlocked.Exchange(ref _clientBusy, 0);
                    }
                    if (flushed.IsCompleted)
                    {
                        Finish(isUp ? RelayEnd.ServerBroke : RelayEnd.ClientBroke);
                        return;
                    }
                    CheckStop();
                }
                else
                {
                    from.AdvanceTo(bytes.End);
                }
                if (result.IsCompleted && isUp)
                {
                    _hasClientEnded = true;
                    isWriting = true;
                    await server.EndSendingAsync();
                    return;   // the answers go on
                }
                if (result.IsCompleted)
                {
                    Finish(RelayEnd.ServerClosed);
                    return;
                }
            }
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException
            or InvalidOperationException)
        {
            // The connection broke, or an abort ended the pipe: an ending like any other.
            Finish(isUp ^ isWriting ? RelayEnd.ClientBroke : RelayEnd.ServerBroke);
        }
    }

    // False: they are not taken, for the relay is over, or stops where it is. Fewer than all: the rest is withheld, and
    // nothing is taken from the client any more.
    private bool TryPass(in ReadOnlySequence<byte> bytes, PipeWriter to, bool isUp, out long passed)
    {
        passed = 0;
        lock (_lock)   // the tap is not made for two directions at once; and none is passed on once it was seen at rest
        {
            if (IsOver || (isUp && (_stopping == Stopping.AtBoundary || _hasWithheld)))
            {
                return false;
            }
            if (bytes.IsEmpty)
            {
                return true;
            }
            Interlocked.Exchange(ref _lastActivity, time.GetTimestamp());
            if (!isUp)
            {
                Volatile.Write(ref _clientBusy, 1);
            }
            foreach (var segment in bytes)
            {
                var length = segment.Length;
                if (isUp)
                {
                    tap?.FromClient(segment.Span);
                }
                else
                {
                    length = tap?.FromServer(segment.Span) ?? length;
                }
                to.Write(segment.Span[..length]);
                passed += length;
                if (length < segment.Length)
                {
                    _hasWithheld = true;
                    break;
                }
            }
        }
        Interlocked.Add(ref isUp ? ref _fromClient : ref _fromServer, passed);
        return true;
    }

    private void CheckStop()
    {
        if (_stopping == Stopping.No || Volatile.Read(ref _clientBusy) != 0)
        {
            return;
        }
        bool isEnd;
        lock (_lock)
        {
            isEnd = (_stopping == Stopping.AtRest
                ? tap is { MayStop: true }
                : tap is null or { ClientAtBoundary: true })
                && TryEnd(RelayEnd.Stopped);
        }
        if (isEnd)
        {
            WakePumps();   // not under the lock: what waits for the end may go on right here
        }
    }

    private void Finish(RelayEnd end)
    {
        if (TryEnd(end))
        {
            WakePumps();
        }
    }

    private bool TryEnd(RelayEnd end)
    {
        if (_hasClientEnded && end is RelayEnd.ServerClosed or RelayEnd.ClientBroke)
        {
            end = RelayEnd.ClientClosed;
        }
        return Interlocked.CompareExchange(ref _end, (int)end, -1) == -1;
    }

    private void WakePumps()
    {
        client.Input.CancelPendingRead();
        server.Input.CancelPendingRead();
        client.Output.CancelPendingFlush();
        server.Output.CancelPendingFlush();
    }
}
