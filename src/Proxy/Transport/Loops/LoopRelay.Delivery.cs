using System.Buffers;
using System.Runtime.CompilerServices;

namespace Routing.Proxy.Transport.Loops;

/// <content>How what was received gets to the other side, in order, however slowly that takes it.</content>
internal sealed partial class LoopRelay
{
    private void Forward(ref Direction direction, ReadOnlySpan<byte> bytes)
    {
        var isUp = IsUp(ref direction);
        if (_tap is { } tap)
        {
            if (isUp)
            {
                tap.FromClient(bytes);
            }
            else if (tap.FromServer(bytes) is var passed && passed < bytes.Length)
            {
                Withhold(bytes, passed);
                return;
            }
        }
        Send(ref direction, isUp, bytes);
    }

    // The server's bytes from a message on are not the client's to see: they stand in the server's input again.
    private void Withhold(ReadOnlySpan<byte> bytes, int passed)
    {
        _server.GiveBack(bytes[passed..]);
        if (passed > 0)
        {
            Send(ref _down, isUp: false, bytes[..passed]);
        }
        Finish(RelayEnd.Withheld);
    }

    private void Send(ref Direction direction, bool isUp, ReadOnlySpan<byte> bytes)
    {
        Volatile.Write(ref direction.Bytes, direction.Bytes + bytes.Length);
        var to = isUp ? _server : _client;
        if (direction.Rest is null)
        {
            if (to.Owner.TrySendLater(to, bytes))
            {
                return;
            }
            SendAtOnce(ref direction, to);
        }
        if (direction.Rest is null && !TrySend(to, ref bytes))
        {
            Unsent += isUp ? bytes.Length : 0;
            Finish(isUp ? RelayEnd.ServerBroke : RelayEnd.ClientBroke);
        }
        else if (!bytes.IsEmpty)
        {
            Keep(ref direction, bytes, isAhead: false);
        }
    }

    // What the loop was to send later goes ahead of what is sent now. An error shows with the next send.
    private void SendAtOnce(ref Direction direction, LoopConnection to)
    {
        var bytes = to.Owner.TakeBack(to);
        if (!bytes.IsEmpty && !TrySend(to, ref bytes))
        {
            Unsent += IsUp(ref direction) ? bytes.Length : 0;
        }
        else if (!bytes.IsEmpty)
        {
            Keep(ref direction, bytes, isAhead: true);
        }
    }

    // Keeps what the receiver does not take yet, ahead of a rest that is there already or behind it.
    private void Keep(ref Direction direction, ReadOnlySpan<byte> bytes, bool isAhead)
    {
        var before = direction.Rest is null
            ? default
            : direction.Rest.AsSpan(direction.RestStart, direction.RestEnd - direction.RestStart);
        var rest = ArrayPool<byte>.Shared.Rent(before.Length + bytes.Length);
        bytes.CopyTo(rest.AsSpan(isAhead ? 0 : before.Length));
        before.CopyTo(rest.AsSpan(isAhead ? bytes.Length : 0));
        var length = before.Length + bytes.Length;
        if (direction.Rest is { } old)
        {
            ArrayPool<byte>.Shared.Return(old);
        }
        (direction.Rest, direction.RestStart, direction.RestEnd) = (rest, 0, length);
        _client.Owner.UnsentBytes += bytes.Length;
        Watch();
    }

    private void Resume(ref Direction direction, LoopConnection to)
    {
        if (direction.Rest is not { } rest)
        {
            Watch();
            return;
        }
        ReadOnlySpan<byte> bytes = rest.AsSpan(direction.RestStart, direction.RestEnd - direction.RestStart);
        var isTaken = TrySend(to, ref bytes);
        to.Owner.UnsentBytes -= direction.RestEnd - direction.RestStart - bytes.Length;
        direction.RestStart = direction.RestEnd - bytes.Length;
        if (!isTaken)
        {
            Finish(IsUp(ref direction) ? RelayEnd.ServerBroke : RelayEnd.ClientBroke);
            return;
        }
        if (bytes.IsEmpty)
        {
            ArrayPool<byte>.Shared.Return(rest);
            direction.Rest = null;
            Watch();
            if (_stopping != Stopping.No)
            {
                CheckStop();
            }
        }
    }

    // What is left of the bytes waits until the kernel takes more. False: the receiver is gone.
    private static unsafe bool TrySend(LoopConnection to, ref ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && !to.IsClosed)
        {
            nint count;
            fixed (byte* from = bytes)
            {
                count = Kernel.Send(to.Fd, from, bytes.Length);
            }
            if (count > 0)
            {
                var isShort = count < bytes.Length;
                bytes = bytes[(int)count..];
                if (isShort)
                {
                    return true;
                }
            }
            else if (count == -Kernel.EAGAIN)
            {
                return true;
            }
            else if (count != -Kernel.EINTR)
            {
                return false;
            }
        }
        return bytes.IsEmpty;
    }

    private bool IsUp(ref Direction direction) => Unsafe.AreSame(ref direction, ref _up);

    private struct Direction
    {
        public long Bytes;
        public byte[]? Rest;
        public int RestStart, RestEnd;
        public bool IsBusy, IsByClock;
    }
}
