using System.Buffers;
using System.IO.Pipelines;

namespace Routing.Proxy.Tls;

/// <summary>
/// The two pipes of a connection as the one stream that <see cref="System.Net.Security.SslStream"/> wants. Asynchronous
/// only.
/// </summary>
internal sealed class PipeStream(IDuplexPipe pipes) : Stream
{
    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Reads what there is; with an empty buffer it waits until there is something.</summary>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var result = await pipes.Input.ReadAsync(cancellationToken);
            var available = result.Buffer;
            if (result.IsCanceled)
            {
                pipes.Input.AdvanceTo(available.Start);
                throw new OperationCanceledException("The read was cancelled.");
            }
            var length = (int)Math.Min(available.Length, buffer.Length);
            available.Slice(0, length).CopyTo(buffer.Span);
            var isOver = length > 0 || buffer.IsEmpty || result.IsCompleted;
            pipes.Input.AdvanceTo(available.GetPosition(length));
            if (isOver)
            {
                return length;
            }
        }
    }

    public override async ValueTask WriteAsync(
        ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var result = await pipes.Output.WriteAsync(buffer, cancellationToken);
        if (result.IsCompleted)
        {
            throw new IOException("The connection takes no more bytes.");
        }
        if (result.IsCanceled)
        {
            throw new OperationCanceledException("The write was cancelled.");
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    // each write is flushed
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
