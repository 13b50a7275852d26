using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Routing.Proxy.Transport;

/// <summary>
/// What passes through a Unix domain socket beside bytes: descriptors, and the identity of the peer (man 7 unix).
/// </summary>
internal static unsafe partial class UnixMessages
{
    /// <summary>The most descriptors that pass with one message.</summary>
    public const int MostDescriptors = 2;

    private const int ScmRights = 1, SoPeerCred = 17;
    private const int MsgTruncated = 0x8, MsgDontWait = 0x40, MsgCloseOnExec = 0x40000000;
    private const short PollIn = 0x1, PollOut = 0x4;
    private const int DuplicateCloseOnExec = 1030;   // F_DUPFD_CLOEXEC
    private const int ControlHeader = 16;
    private const int Control = 32;   // CMSG_SPACE of two descriptors, with room to spare

    /// <summary>The process and the user at the other end, at the time when it connected.</summary>
    /// <exception cref="SocketException">It can't be told.</exception>
    public static (int Process, uint User) PeerOf(int fd)
    {
        var peer = default(Credentials);
        var length = sizeof(Credentials);
        return Kernel.GetOption(fd, Kernel.SOL_SOCKET, SoPeerCred, &peer, &length) == 0
            ? (peer.Process, peer.User)
            : throw Kernel.Exception(Kernel.Error);
    }

    /// <summary>The effective user of this process.</summary>
    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint OwnUser();

    /// <summary>Another descriptor of the same file.</summary>
    /// <exception cref="SocketException">There are too many.</exception>
    public static int Duplicate(int fd) => FileControl(fd, DuplicateCloseOnExec, 0) is var copy and >= 0
        ? copy
        : throw Kernel.Exception(Kernel.Error);

    /// <summary>Waits until a socket can be read or written, or its peer is gone.</summary>
    /// <returns>False: not in this time.</returns>
    public static bool Wait(int fd, bool isWriting, int milliseconds)
    {
        var what = new PollOrder { Descriptor = fd, Events = isWriting ? PollOut : PollIn };
        while (true)
        {
            var count = Poll(&what, 1, milliseconds);
            if (count >= 0 || Kernel.Error != Kernel.EINTR)
            {
                return count != 0;   // an error shows with the call that follows
            }
        }
    }

    /// <summary>Sends bytes, and descriptors with the first of them.</summary>
    /// <returns>How many bytes were taken; an error as a negative number, EAGAIN when none can be for now.</returns>
    public static nint Send(int fd, ReadOnlySpan<byte> bytes, ReadOnlySpan<int> descriptors)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MostDescriptors);
        var control = stackalloc long[Control / sizeof(long)];
        fixed (byte* first = bytes)
        {
            var part = new Part { Address = (nint)first, Length = (nuint)bytes.Length };
            var message = new Message { Parts = &part, PartCount = 1 };
            if (!descriptors.IsEmpty)
            {
                var header = (ControlMessage*)control;
                (header->Level, header->Type) = (Kernel.SOL_SOCKET, ScmRights);
                header->Length = (nuint)(ControlHeader + (descriptors.Length * sizeof(int)));
                descriptors.CopyTo(new Span<int>((byte*)control + ControlHeader, descriptors.Length));
                message.Control = control;
                message.ControlLength = (nuint)(ControlHeader + sizeof(long));
            }
            var count = SendMessage(fd, &message, Kernel.MSG_NOSIGNAL | MsgDontWait);
            return count >= 0 ? count : -Kernel.Error;
        }
    }

    /// <summary>Receives bytes, and the descriptors that came with them, which are the caller's.</summary>
    /// <param name="fd">The socket.</param>
    /// <param name="bytes">Room for the bytes.</param>
    /// <param name="descriptors">Room for <see cref="MostDescriptors"/>.</param>
    /// <param name="count">How many descriptors came.</param>
    /// <param name="hasLost">More were sent, and this process may not have them, or there was no room.</param>
    /// <returns>
    /// How many bytes came, 0 at the end; an error as a negative number: EAGAIN when there is nothing for now.
    /// </returns>
    public static nint Receive(
        int fd, Span<byte> bytes, Span<int> descriptors, out int count, out bool hasLost)
    {
        (count, hasLost) = (0, false);
        var control = stackalloc long[Control / sizeof(long)];
        fixed (byte* first = bytes)
        {
            var part = new Part { Address = (nint)first, Length = (nuint)bytes.Length };
            var message = new Message { Parts = &part, PartCount = 1, Control = control, ControlLength = Control };
            var length = ReceiveMessage(fd, &message, MsgDontWait | MsgCloseOnExec);
            if (length < 0)
            {
                return -Kernel.Error;
            }
            hasLost = (message.Flags & MsgTruncated) != 0;
            var header = (ControlMessage*)control;
            if (message.ControlLength >= ControlHeader
                && header->Level == Kernel.SOL_SOCKET && header->Type == ScmRights)
            {
                var came = new ReadOnlySpan<int>(
                    (byte*)control + ControlHeader, ((int)header->Length - ControlHeader) / sizeof(int));
                count = Math.Min(descriptors.Length, came.Length);
                came[..count].CopyTo(descriptors);
                foreach (var unwanted in came[count..])
                {
                    _ = Kernel.Close(unwanted);
                    hasLost = true;
                }
            }
            return length;
        }
    }

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessage(int fd, Message* message, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint ReceiveMessage(int fd, Message* message, int flags);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(PollOrder* orders, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FileControl(int fd, int command, nint argument);

    private struct Credentials   // struct ucred
    {
        public int Process;
        public uint User, Group;
    }

    private struct PollOrder   // struct pollfd
    {
        public int Descriptor;
        public short Events, Happened;
    }

    private struct Part   // struct iovec
    {
        public nint Address;
        public nuint Length;
    }

    private struct Message   // struct msghdr
    {
        public void* Name;
        public int NameLength;
        public Part* Parts;
        public nuint PartCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    private struct ControlMessage   // struct cmsghdr
    {
        public nuint Length;
        public int Level, Type;
    }
}
