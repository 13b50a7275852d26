using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;

namespace Routing.Proxy.Transport.Epoll;

/// <summary>Writes to a connection: a flush hands everything to the kernel, and waits only while that takes no more.</summary>
/// <remarks>Used on the connection's loop; cancelling alone may come from any thread.</remarks>
internal sealed class EpollWriter(EpollConnection connection) : PipeWriter, IValueTaskSource<FlushResult>
{
    private const int FirstBuffer = 4 * 1024;

    private ManualResetValueTaskSourceCore<FlushResult> _source;   // continuations run inline, on the loop
    private byte[] _buffer = [];
    private int _start;
    private int _end;
    private bool _isWaiting;
    private bool _isCancelled;
    private bool _isCompleted;
    private Exception? _error;
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;

    /// <summary>Whether bytes wait for the kernel.</summary>
    public bool IsWaiting => _isWaiting;

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
        if (_isWaiting)
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
        _source.Reset();
        _isWaiting = true;
        connection.WantWrite();
        if (cancellationToken.CanBeCanceled)
        {
            _token = cancellationToken;
            _registration = cancellationToken.UnsafeRegister(static self => ((EpollWriter)self!).PostCancel(), this);
        }
        return new(this, _source.Version);
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
            connection.Post(static self => ((EpollWriter)self!).Cancel(), this);
        }
    }

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null) => _isCompleted = true;

    /// <summary>The kernel takes bytes again. On the loop.</summary>
    public void Resume()
    {
        Send();
        if (_isWaiting && (_start == _end || _error is not null))
        {
            Wake();
        }
    }

    /// <summary>The connection broke, or is closed.</summary>
    public void Fail(Exception error)
    {
        _error ??= error;
        Drop();
        if (_isWaiting)
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

    FlushResult IValueTaskSource<FlushResult>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<FlushResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags & ~ValueTaskSourceOnCompletedFlags.UseSchedulingContext);

    private void PostCancel() => connection.Post(static self => ((EpollWriter)self!).CancelByToken(), this);

    private void CancelByToken()
    {
        if (_isWaiting && _token.IsCancellationRequested)
        {
            var token = _token;
            StopWaiting();
            _source.SetException(new OperationCanceledException(token));
        }
    }

    private void Cancel()
    {
        _isCancelled = true;
        if (_isWaiting)
        {
            Wake();
        }
    }

    private void Wake()
    {
        StopWaiting();
        if (_error is { } error)
        {
            _source.SetException(error);
        }
        else
        {
            _source.SetResult(Result());
        }
    }

    private void StopWaiting()
    {
        _isWaiting = false;
        _registration.Unregister();
        _registration = default;
        _token = default;
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
            int error;
            fixed (byte* from = &_buffer[_start])
            {
                count = connection.IsClosed ? -1 : Kernel.Send(connection.Fd, from, _end - _start, Kernel.MSG_NOSIGNAL);
                error = count >= 0 ? 0 : connection.IsClosed ? Kernel.EPIPE : Kernel.Error;
            }
            if (count >= 0)
            {
                _start += (int)count;
            }
            else if (error == Kernel.EAGAIN)
            {
                return;
            }
            else if (error != Kernel.EINTR)
            {
                _error = Kernel.Exception(error);
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
