using System.Buffers.Binary;
using System.Net.Sockets;
using System.Security.Cryptography;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Takeover;

/// <summary>What two processes say to each other while one takes over from the other.</summary>
internal enum TakeoverFrame : byte
{
    /// <summary>
    /// From the new process, first: the lowest and the highest version that it speaks, and its release.
    /// </summary>
    Hello = 1,

    /// <summary>From the old process: the version, and its release.</summary>
    Welcome,

    /// <summary>From the old process: why not.</summary>
    Refusal,

    /// <summary>From the old process: a listening socket.</summary>
    Listener,

    /// <summary>From the old process: there are no more listening sockets.</summary>
    ListenersEnd,

    /// <summary>From the new process: it accepts at these listening sockets, by their places from 0.</summary>
    Ready,

    /// <summary>From the old process: a session with a number, its state and its two sockets.</summary>
    Session,

    /// <summary>From the new process: it has the session, and waits for the word to begin.</summary>
    Have,

    /// <summary>From the new process: it can't take the session, with the reason.</summary>
    Refuse,

    /// <summary>From the old process: it will never use the sockets again, and the new one begins.</summary>
    Go,

    /// <summary>From the old process: it keeps the session after all.</summary>
    Keep,

    /// <summary>From the old process, last: how many sessions it keeps, by reason.</summary>
    End,
}

/// <summary>One message.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Body">Its fields; zeroed by <see cref="Dispose"/>.</param>
/// <param name="Descriptors">What came with it; the receiver's.</param>
/// <param name="HasLost">Descriptors came that this process may not have.</param>
internal readonly record struct TakeoverMessage(
    TakeoverFrame Type, byte[] Body, int[] Descriptors, bool HasLost) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => CryptographicOperations.ZeroMemory(Body);

    /// <summary>Closes what came with it and is not wanted.</summary>
    public void CloseDescriptors()
    {
        foreach (var one in Descriptors)
        {
            _ = Kernel.Close(one);
        }
    }
}

/// <summary>
/// Messages with descriptors over a Unix domain socket. Any thread may send; one receives. Both wait on their thread.
/// </summary>
/// <remarks>
/// A message is its length and its type (5 bytes), and its body. Descriptors come with the first byte of the message
/// that they belong to, and no read goes beyond the end of a message, so that they can't be mixed up.
/// </remarks>
internal sealed class TakeoverChannel : IDisposable
{
    private const int HeaderLength = 5;
    private const int LongestBody = 16 * 1024 * 1024;

    private readonly Socket _socket;
    private readonly int _fd;
    private readonly int _patience;
    private readonly Lock _sending = new();

    /// <summary>Takes a connected socket.</summary>
    /// <param name="socket">The socket; this owns it.</param>
    /// <param name="patience">How long the other side may take nothing that is sent to it.</param>
    public TakeoverChannel(Socket socket, TimeSpan patience)
    {
        (_socket, _patience) = (socket, (int)patience.TotalMilliseconds);
        _fd = (int)socket.SafeHandle.DangerousGetHandle();
    }

    /// <summary>Sends a message.</summary>
    /// <exception cref="IOException">
    /// The other side is gone, or takes nothing: it never gets this message, nor any that would follow.
    /// </exception>
    public void Send(TakeoverFrame type, ReadOnlySpan<byte> body = default, ReadOnlySpan<int> descriptors = default)
    {
        Span<byte> header = stackalloc byte[HeaderLength];
        BinaryPrimitives.WriteInt32BigEndian(header, body.Length);
        header[^1] = (byte)type;
        lock (_sending)
        {
            try
            {
                SendAll(header, descriptors);
                SendAll(body, default);
            }
            catch (IOException)
            {
                Break();   // half a message may be there: nothing can follow it
                throw;
            }
        }
    }

    /// <summary>Receives a message.</summary>
    /// <param name="patience">How long to wait for its first byte.</param>
    /// <returns>Null: the other side has ended, or <see cref="Break"/> was called.</returns>
    /// <exception cref="IOException">Nothing came in time, or it was cut off.</exception>
    /// <exception cref="InvalidDataException">It is no message.</exception>
    public TakeoverMessage? Receive(TimeSpan patience)
    {
        Span<byte> header = stackalloc byte[HeaderLength];
        Span<int> room = stackalloc int[UnixMessages.MostDescriptors];
        if (!ReceiveAll(header, room, out var count, out var hasLost, patience))
        {
            return null;
        }
        int[] descriptors = [.. room[..count]];
        var length = BinaryPrimitives.ReadInt32BigEndian(header);
        if (length is >= 0 and <= LongestBody)
        {
            var body = GC.AllocateUninitializedArray<byte>(length, pinned: true);
            var message = new TakeoverMessage((TakeoverFrame)header[^1], body, descriptors, hasLost);
            if (length == 0 || ReceiveAll(body, default, out _, out _, patience))
            {
                return message;
            }
            message.CloseDescriptors();
            throw new EndOfStreamException("The other process has ended in the middle of a message.");
        }
        new TakeoverMessage(default, [], descriptors, hasLost).CloseDescriptors();
        throw new InvalidDataException("The other process sends a message of an impossible length.");
    }

    /// <summary>Ends the conversation: nothing more is sent, and a waiting receiver is told so. Any thread.</summary>
    public void Break()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception over) when (over is SocketException or ObjectDisposedException)
        {
            // it has ended already
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Break();
        _socket.Dispose();
    }

    private void SendAll(ReadOnlySpan<byte> bytes, ReadOnlySpan<int> descriptors)
    {
        while (!bytes.IsEmpty)
        {
            var count = UnixMessages.Send(_fd, bytes, descriptors);
            if (count > 0)
            {
                bytes = bytes[(int)count..];
                descriptors = default;
            }
            else if (-count is not (Kernel.EAGAIN or Kernel.EINTR))
            {
                throw new IOException(Kernel.Exception((int)-count).Message);
            }
            else if (!UnixMessages.Wait(_fd, isWriting: true, _patience))
            {
                throw new IOException("The other process takes nothing.");
            }
        }
    }

    // False: the stream has ended ahead of the first byte.
    private bool ReceiveAll(
        Span<byte> room, Span<int> descriptors, out int count, out bool hasLost, TimeSpan patience)
    {
        (count, hasLost) = (0, false);
        for (var at = 0; at < room.Length;)
        {
            var length = UnixMessages.Receive(
                _fd, room[at..], at == 0 ? descriptors : default, out var came, out var lost);
            if (length > 0)
            {
                (count, hasLost) = at == 0 ? (came, lost) : (count, hasLost || lost);
                at += (int)length;
            }
            else if (length == 0)
            {
                return at == 0 ? false : throw new EndOfStreamException("The other process has ended.");
            }
            else if (-length is not (Kernel.EAGAIN or Kernel.EINTR))
            {
                throw new IOException(Kernel.Exception((int)-length).Message);
            }
            else if (!UnixMessages.Wait(_fd, isWriting: false, (int)patience.TotalMilliseconds))
            {
                throw new IOException("The other process says nothing.");
            }
        }
        return true;
    }
}
