namespace Routing.Proxy.Tests.Sessions;

/// <summary>Writes byte by byte.</summary>
internal sealed class DripStream(Stream below) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Flush() => below.Flush();

    public override int Read(byte[] buffer, int offset, int count) => below.Read(buffer, offset, count);

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        below.ReadAsync(buffer, cancellationToken);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count)
    {
        for (var at = 0; at < count; at++)
        {
            below.Write(buffer, offset + at, 1);
        }
    }

    public override async ValueTask WriteAsync(
        ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (var at = 0; at < buffer.Length; at++)
        {
            await below.WriteAsync(buffer.Slice(at, 1), cancellationToken);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            below.Dispose();
        }
        base.Dispose(disposing);
    }
}
