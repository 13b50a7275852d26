using System.Buffers;
using System.IO.Pipelines;

namespace Routing.Proxy.Transport.Loops;

/// <summary>
/// Reads from a connection on demand: the kernel's buffer is the pipe's back-pressure, ours exists only while it holds
/// bytes.
/// </summary>
/// <remarks>Used on the connection's loop; cancelling alone may come from any thread.</remarks>
internal sealed class LoopReader(LoopConnection connection) : PipeReader
{
    private const int FirstBuffer = 4 * 1024;
    private const int LargestBuffer = 1024 * 1024;

    private readonly LoopWait<ReadResult> _wait = new(connection.Owner);
    private byte[] _buffer = [];
    private int _start;
    private int _end;
    private bool _isExamined = true;   // the reader wants more than what is buffered
    private bool _isCancelled;
    private bool _isCompleted;
    private bool _isOver;
    private Exception? _error;

    /// <summary>Whether a read waits for bytes.</summary>
    public bool IsWaiting => _wait.IsWaiting;

    /// <summary>The bytes that were received and not taken.</summary>
    public ReadOnlySpan<byte> Buffered => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Whether the peer has ended its stream.</summary>
    public bool IsOver => _isOver;

    /// <summary>Why the connection broke; null while it did not.</summary>
    public Exception? Failure => _error;

    /// <inheritdoc/>
    public override bool TryRead(out ReadResult result)
    {
        ObjectDisposedException.ThrowIf(_isCompleted, this);
        if (_isCancelled || (!_isExamined && _end > _start) || _isOver)
        {
            result = Take();
            return true;
        }
        if (_error is { } error)
        {
            throw error;
        }
        result = default;
        return false;
    }

    /// <inheritdoc/>
    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (TryRead(out var result))
        {
            return new(result);
        }
        if (_wait.IsWaiting)
        {
            throw new InvalidOperationException("Only one read at a time.");
        }
        var wait = _wait.Begin(cancellationToken);
        connection.WantRead();
        return wait;
    }

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        var start = consumed.GetInteger();
        if (start < _start || start > _end || examined.GetInteger() > _end)
        {
            throw new InvalidOperationException("Not a position in what was read.");
        }
        _start = start;
        _isExamined = examined.GetInteger() >= _end;
        if (_start == _end)
        {
            Release();
        }
    }

    /// <inheritdoc/>
    public override void CancelPendingRead()
    {
        if (connection.Owner.IsCurrent)
        {
            Cancel();
        }
        else
        {
            connection.Post(static self => ((LoopReader)self!).Cancel(), this);
        }
    }

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null)
    {
        _isCompleted = true;
        Release();
    }

    /// <summary>Bytes are there, or the end is: receives once. On the loop.</summary>
    public unsafe void Receive()
    {
        if (!MakeRoom())
        {
            Fail(new InvalidDataException("The peer's message is larger than any that is read whole."));
            return;
        }
        nint count;
        fixed (byte* to = &_buffer[_end])
        {
            count = Kernel.Receive(connection.Fd, to, _buffer.Length - _end);
        }
        if (count > 0)
        {
            _end += (int)count;
            _isExamined = false;
            Wake();
            return;
        }
        if (_start == _end)
        {
            Release();
        }
        if (count == 0)
        {
            _isOver = true;
            Wake();
        }
        else if (-count is not (Kernel.EAGAIN or Kernel.EINTR))
        {
            Fail(Kernel.Exception((int)-count));
        }
    }

    /// <summary>
    /// Takes bytes that were received by others, behind those that it has: as many as there are. On the loop.
    /// </summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (_buffer.Length - _end < bytes.Length)
        {
            Grow(bytes.Length);
        }
        bytes.CopyTo(_buffer.AsSpan(_end));
        _end += bytes.Length;
        _isExamined = false;
        Wake();
    }

    /// <summary>Others have received the end of the stream. On the loop.</summary>
    public void End()
    {
        _isOver = true;
        Wake();
    }

    /// <summary>The connection broke, or is closed.</summary>
    public void Fail(Exception error)
    {
        _error ??= error;
        Wake();
    }

    /// <summary>Gives the buffer back and takes part in nothing any more.</summary>
    public void Drop()
    {
        _start = _end;
        Release();
    }

    private void Cancel()
    {
        _isCancelled = true;
        Wake();
    }

    private void Wake()
    {
        if (!_wait.IsWaiting)
        {
            return;
        }
        if (_error is { } error && _start == _end && !_isCancelled)
        {
            _wait.SetException(error);
        }
        else
        {
            _wait.SetResult(Take());
        }
    }

    private ReadResult Take()
    {
        var isCancelled = _isCancelled;
        _isCancelled = false;
        return new(new ReadOnlySequence<byte>(_buffer, _start, _end - _start), isCancelled, _isOver);
    }

    private bool MakeRoom()
    {
        if (_end < _buffer.Length)
        {
            return true;
        }
        var held = _end - _start;
        if (held < _buffer.Length)
        {
            // The reader has no slice of this buffer while it waits, so the remainder can be moved.
            _buffer.AsSpan(_start, held).CopyTo(_buffer);
        }
        else
        {
            if (_buffer.Length >= LargestBuffer)
            {
                return false;
            }
            Grow(_buffer.Length);
        }
        (_start, _end) = (0, held);
        return true;
    }

    // A buffer that is larger by so many bytes at least. The reader may have a slice of the old one, and so has its
    // positions; it is then not given back, and the bytes keep their places.
    private void Grow(int more)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstBuffer, _buffer.Length + more));
        _buffer.AsSpan(_start, _end - _start).CopyTo(larger.AsSpan(_start));
        if (_buffer.Length > 0 && _wait.IsWaiting)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }
        _buffer = larger;
    }

    private void Release()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }
        _start = _end = 0;
        _isExamined = true;
    }
}
