using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Routing.Proxy.Transport;

/// <summary>The system calls of the event loop, as Linux numbers them on x86-64 (man sections 2 and 7).</summary>
internal static unsafe partial class Kernel
{
    public const int
        EPERM = 1, EINTR = 4, EAGAIN = 11, ENFILE = 23, EMFILE = 24, EPIPE = 32, ENOBUFS = 105, ECONNRESET =
            104, EINPROGRESS = 115,
        ECONNABORTED = 103, ENOMEM = 12, EBUSY = 16, ENOSYS = 38;

    public const uint EPOLLIN = 0x1, EPOLLOUT = 0x4, EPOLLERR = 0x8, EPOLLHUP = 0x10;
    public const int EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3, EPOLL_CLOEXEC = 0x80000;
    public const int EFD_CLOEXEC = 0x80000, EFD_NONBLOCK = 0x800;
    public const int SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000, SOCK_STREAM = 1;
    public const int AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10;
    public const int SOL_SOCKET = 1, SO_ERROR = 4, SO_KEEPALIVE = 9, SO_LINGER = 13;
    public const int IPPROTO_TCP = 6, TCP_NODELAY = 1, TCP_KEEPIDLE = 4, TCP_KEEPINTVL = 5, TCP_KEEPCNT =
        6, TCP_USER_TIMEOUT = 18;
    public const int MSG_NOSIGNAL = 0x4000, SHUT_WR = 1;

    /// <summary>An event; packed on x86-64.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    public struct EpollEvent
    {
        public uint Events;
        public nint Data;
    }

    /// <summary>
    /// Makes the calling thread one that interrupts no other when it is woken (SCHED_BATCH, man 7 sched). False:
    /// <see cref="Error"/> says why.
    /// </summary>
    public static bool Defer()
    {
        const int SystemSetScheduler = 144, Batch = 3;
        var priority = 0;
        return SystemCall(SystemSetScheduler, 0, Batch, (nint)(&priority), 0, 0, 0) == 0;
    }

    /// <summary>A length of time: struct timespec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public readonly struct TimeLimit(TimeSpan length)
    {
        private readonly long _seconds = length.Ticks / TimeSpan.TicksPerSecond;
        private readonly long _nanoseconds = length.Ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick;
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int EpollControl(int epoll, int operation, int fd, EpollEvent* what);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int EpollWait(int epoll, EpollEvent* events, int most, int milliseconds);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int fd, void* buffer, nint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int fd, void* buffer, nint length);

    /// <summary>Receives from a socket that does not block.</summary>
    /// <returns>The count of bytes, 0 at the end of the stream; an error as a negative number.</returns>
    public static nint Receive(int fd, byte* buffer, nint length)
    {
        var count = ReceiveUnguarded(fd, buffer, length, 0);
        return count >= 0 ? count : -Marshal.GetLastSystemError();
    }

    /// <summary>Sends on a socket that does not block; a connection that is gone raises no signal.</summary>
    /// <returns>The count of bytes that the kernel took; an error as a negative number.</returns>
    public static nint Send(int fd, byte* buffer, nint length)
    {
        var count = SendUnguarded(fd, buffer, length, MSG_NOSIGNAL);
        return count >= 0 ? count : -Marshal.GetLastSystemError();
    }

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    public static partial int Accept(int fd, byte* address, int* length, int flags);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    public static partial int Socket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    public static partial int Connect(int fd, byte* address, int length);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int SetOption(int fd, int level, int name, void* value, int length);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    public static partial int GetOption(int fd, int level, int name, void* value, int* length);

    [LibraryImport("libc", EntryPoint = "getpeername", SetLastError = true)]
    public static partial int GetPeerName(int fd, byte* address, int* length);

    [LibraryImport("libc", EntryPoint = "getsockname", SetLastError = true)]
    public static partial int GetSocketName(int fd, byte* address, int* length);

    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    public static partial int Shutdown(int fd, int how);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial void* Map(void* at, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(void* at, nuint length);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    public static partial nint SystemCall(
        nint number, nint first, nint second, nint third, nint fourth, nint fifth, nint sixth);

    /// <summary>The error of the call that was just made on this thread.</summary>
    public static int Error => Marshal.GetLastPInvokeError();

    /// <summary>What an error number means as an exception.</summary>
    public static SocketException Exception(int error) => new(error switch
    {
        EAGAIN => (int)SocketError.WouldBlock,
        EPIPE => (int)SocketError.Shutdown,
        ECONNRESET => (int)SocketError.ConnectionReset,
        ECONNABORTED => (int)SocketError.ConnectionAborted,
        111 => (int)SocketError.ConnectionRefused,
        110 => (int)SocketError.TimedOut,
        113 => (int)SocketError.HostUnreachable,
        101 => (int)SocketError.NetworkUnreachable,
        98 => (int)SocketError.AddressAlreadyInUse,
        99 => (int)SocketError.AddressNotAvailable,
        2 => (int)SocketError.ConnectionRefused,   // ENOENT: a Unix domain socket whose file is not there
        13 or EPERM => (int)SocketError.AccessDenied,
        EMFILE or ENFILE => (int)SocketError.TooManyOpenSockets,
        ENOBUFS or ENOMEM => (int)SocketError.NoBufferSpaceAvailable,
        _ => (int)SocketError.SocketError,
    }, $"error {error} of the system");

    /// <summary>Sets an integer option; one that the socket's family does not have is passed over.</summary>
    public static void SetOption(int fd, int level, int name, int value) =>
        _ = SetOption(fd, level, name, &value, sizeof(int));

    /// <summary>Applies the options, TCP_NODELAY among them.</summary>
    public static void Tune(int fd, SocketTuning options)
    {
        SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        if (options.KeepAliveIdle > TimeSpan.Zero)
        {
            SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
            SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, Seconds(options.KeepAliveIdle));
            if (options.KeepAliveInterval > TimeSpan.Zero)
            {
                SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, Seconds(options.KeepAliveInterval));
            }
            if (options.KeepAliveCount > 0)
            {
                SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, options.KeepAliveCount);
            }
        }
        if (options.UserTimeout > TimeSpan.Zero)
        {
            SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)options.UserTimeout.TotalMilliseconds);
        }

        static int Seconds(TimeSpan time) => Math.Max(1, (int)Math.Round(time.TotalSeconds));
    }

    /// <summary>One end's address; null for a Unix domain socket or a socket that is gone.</summary>
    public static EndPoint? AddressOf(int fd, bool peer)
    {
        const int Longest = 128;
        var bytes = stackalloc byte[Longest];
        var length = Longest;
        if ((peer ? GetPeerName(fd, bytes, &length) : GetSocketName(fd, bytes, &length)) != 0)
        {
            return null;
        }
        var port = (bytes[2] << 8) | bytes[3];
        return *(ushort*)bytes switch
        {
            AF_INET => new IPEndPoint(new IPAddress(new ReadOnlySpan<byte>(bytes + 4, 4)), port),
            AF_INET6 =>
                new IPEndPoint(new IPAddress(new ReadOnlySpan<byte>(bytes + 8, 16), *(uint*)(bytes + 24)), port),
            _ => null,
        };
    }

    // Without the garbage collector's transition: they never block, and nothing runs between them and the look at their
    // error.
    [LibraryImport("libc", EntryPoint = "recv")]
    [SuppressGCTransition]
    private static partial nint ReceiveUnguarded(int fd, byte* buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "send")]
    [SuppressGCTransition]
    private static partial nint SendUnguarded(int fd, byte* buffer, nint length, int flags);
}
