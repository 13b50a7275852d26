using System.Buffers;
using System.IO.Pipelines;

namespace Routing.Proxy.Transport.Loops;

/// <summary>
/// Writes to a connection: a flush hands everything to the kernel, and waits only while that takes no more.
/// </summary>
/// <remarks>Used on the connection's loop; cancelling alone may come from any thread.</remarks>
internal sealed class LoopWriter(LoopConnection connection) : PipeWriter
{
    private const int FirstBuffer = 4 * 1024;

    private readonly LoopWait<FlushResult> _wait = new(connection.Owner);
    private byte[] _buffer = [];
    private int _start;
    private int _end;
    private bool _isCancelled;
    private bool _isCompleted;
    private Exception? _error;

    /// <summary>Whether bytes wait for the kernel.</summary>
    public bool IsWaiting => _wait.IsWaiting;

    /// <inheritdoc/>
    public override bool CanGetUnflushedBytes => true;

    /// <inheritdoc/>
    public override long UnflushedBytes => _end - _start;

    /// <inheritdoc/>
    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        MakeRoom(Math.Max(1, sizeHint));
        return _buffer.AsMemory(_end);
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <inheritdoc/>
    public override void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, _buffer.Length - _end);
        _end += bytes;
    }

    /// <inheritdoc/>
    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_wait.IsWaiting)
        {
            throw new InvalidOperationException("Only one flush at a time.");
        }
        if (_isCompleted)
        {
            return new(new FlushResult(isCanceled: false, isCompleted: true));
        }
        Send();
        if (_error is { } error)
        {
            return ValueTask.FromException<FlushResult>(error);
        }
        if (_start == _end || _isCancelled)
        {
            return new(Result());
        }
        var wait = _wait.Begin(cancellationToken);
        connection.WantWrite();
        return wait;
    }

    /// <inheritdoc/>
    public override void CancelPendingFlush()
    {
        if (connection.Owner.IsCurrent)
        {
            Cancel();
        }
        else
        {
            connection.Post(static self => ((LoopWriter)self!).Cancel(), this);
        }
    }

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null) => _isCompleted = true;

    /// <summary>The kernel takes bytes again. On the loop.</summary>
    public void Resume()
    {
        Send();
        if (_wait.IsWaiting && (_start == _end || _error is not null))
        {
            Wake();
        }
    }

    /// <summary>The connection broke, or is closed.</summary>
    public void Fail(Exception error)
    {
        _error ??= error;
        Drop();
        if (_wait.IsWaiting)
        {
            Wake();
        }
    }

    /// <summary>Gives the buffer back.</summary>
    public void Drop()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }
        _start = _end = 0;
    }

    private void Cancel()
    {
        _isCancelled = true;
        if (_wait.IsWaiting)
        {
            Wake();
        }
    }

    private void Wake()
    {
        if (_error is { } error)
        {
            _wait.SetException(error);
        }
        else
        {
            _wait.SetResult(Result());
        }
    }

    private FlushResult Result()
    {
        var isCancelled = _isCancelled;
        _isCancelled = false;
        return new(isCancelled, _isCompleted);
    }

    private unsafe void Send()
    {
        while (_start < _end && _error is null)
        {
            nint count;
            fixed (byte* from = &_buffer[_start])
            {
                count = connection.IsClosed ? -Kernel.EPIPE : Kernel.Send(connection.Fd, from, _end - _start);
            }
            if (count >= 0)
            {
                _start += (int)count;
            }
            else if (count == -Kernel.EAGAIN)
            {
                return;
            }
            else if (count != -Kernel.EINTR)
            {
                _error = Kernel.Exception((int)-count);
                Drop();
            }
        }
        if (_start == _end)
        {
            Drop();
        }
    }

    private void MakeRoom(int wanted)
    {
        if (_buffer.Length - _end >= wanted)
        {
            return;
        }
        var held = _end - _start;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstBuffer, held + wanted));
        _buffer.AsSpan(_start, held).CopyTo(larger);
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }
        (_buffer, _start, _end) = (larger, 0, held);
    }
}
