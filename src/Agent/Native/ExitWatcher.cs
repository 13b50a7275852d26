using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Routing.Agent.Native;

/// <summary>
/// One thread that sleeps in epoll on every watched pidfd and tells within a millisecond which process has ended.
/// </summary>
internal sealed unsafe class ExitWatcher
{
    private const int MaximumEvents = 16;

    // struct epoll_event is packed on x86-64 and padded elsewhere.
    private static readonly int s_eventBytes = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    private static readonly Lazy<ExitWatcher> s_lazy = new(() => new ExitWatcher());

    private readonly ConcurrentDictionary<long, PidFd> _watched = new();
    private readonly int _epoll;
    private long _lastKey;

    private ExitWatcher()
    {
        _epoll = Libc.epoll_create1(Libc.EPOLL_CLOEXEC);
        if (_epoll < 0)
        {
            throw Libc.Failure("epoll_create1", Marshal.GetLastPInvokeError());
        }

        new Thread(Run, maxStackSize: 256 * 1024) { IsBackground = true, Name = "process exits" }.Start();
    }

    public static ExitWatcher Shared => s_lazy.Value;

    /// <summary>Calls <see cref="PidFd.OnExit"/> once, soon after the process has ended.</summary>
    public long Add(PidFd process, int descriptor)
    {
        // The key, not the descriptor, names the process: a descriptor's number is used again after a close.
        var key = Interlocked.Increment(ref _lastKey);
        _watched[key] = process;
        var bytes = stackalloc byte[16];
        var span = new Span<byte>(bytes, s_eventBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(span, Libc.EPOLLIN);
        BinaryPrimitives.WriteInt64LittleEndian(span[(s_eventBytes - 8)..], key);
        if (Libc.epoll_ctl(_epoll, Libc.EPOLL_CTL_ADD, descriptor, bytes) != 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            _watched.TryRemove(key, out _);
            throw Libc.Failure($"watching the exit of process {process.Pid}", errno);
        }

        return key;
    }

    public void Remove(long key, int descriptor)
    {
        _watched.TryRemove(key, out _);
        // Fails harmlessly when the exit was seen already.
        _ = Libc.epoll_ctl(_epoll, Libc.EPOLL_CTL_DEL, descriptor, null);
    }

    private void Run()
    {
        var events = stackalloc byte[MaximumEvents * 16];
        while (true)
        {
            var count = Libc.epoll_wait(_epoll, events, MaximumEvents, -1);
            for (var i = 0; i < count; i++)
            {
                var key = BinaryPrimitives.ReadInt64LittleEndian(
                    new ReadOnlySpan<byte>(events + (i * s_eventBytes) + s_eventBytes - 8, 8));
                if (_watched.TryRemove(key, out var process))
                {
                    process.OnExit(_epoll);
                }
            }
        }
    }
}
