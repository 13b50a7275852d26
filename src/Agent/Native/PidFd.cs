using System.Runtime.InteropServices;

namespace Routing.Agent.Native;

/// <summary>A hold on one process that never turns into a hold on another one with the same number.</summary>
/// <remarks>Works for any process that we may signal, our child or not (Linux 5.4, see pidfd_open(2)).</remarks>
internal sealed unsafe class PidFd : IDisposable
{
    private readonly DescriptorHandle _handle;
    private readonly Lock _lock = new();
    private TaskCompletionSource<ProcessExit>? _exit;
    private long _watchKey;

    private PidFd(int pid, int descriptor)
    {
        Pid = pid;
        _handle = new DescriptorHandle(descriptor);
    }

    public int Pid { get; }

    /// <summary>Opens a hold on the process; null when no such process is there.</summary>
    /// <exception cref="IOException">The system refused for another reason.</exception>
    public static PidFd? TryOpen(int pid)
    {
        var descriptor = Libc.pidfd_open(pid);
        if (descriptor >= 0)
        {
            return new PidFd(pid, descriptor);
        }

        var errno = Marshal.GetLastPInvokeError();
        return errno == Libc.ESRCH ? null : throw Libc.Failure($"pidfd_open({pid})", errno);
    }

    /// <summary>
    /// Opens a hold on exactly that process: the one with the number that started at <paramref name="startTicks"/>
    /// (<see cref="ProcessStat.StartTicks"/>). Null when it is gone or the number belongs to another one by now.
    /// </summary>
    /// <remarks>
    /// A process whose main thread has ended counts as gone: a killed one whose other threads are still ending looks so
    /// for a moment, and <see cref="HasExited"/> is not true yet.
    /// </remarks>
    public static PidFd? TryOpen(int pid, ulong startTicks)
    {
        var process = TryOpen(pid);
        if (process is null)
        {
            return null;
        }

        // Read after the open: the descriptor then stands for the process that had the number at this moment.
        if (ProcessStat.Read(pid) is { IsAlive: true } stat && stat.StartTicks == startTicks && !process.HasExited)
        {
            return process;
        }

        process.Dispose();
        return null;
    }

    /// <summary>True once the process has ended, also while its parent has not collected it yet (a zombie).</summary>
    public bool HasExited => _handle.Use(0, static (fd, _) =>
    {
        var poll = new Libc.PollFd { Fd = fd, Events = Libc.POLLIN };
        return Libc.poll(&poll, 1, 0) > 0 && (poll.Revents & Libc.POLLIN) != 0;
    });

    /// <summary>Ends with the process, within about a millisecond; collects it when it is our child.</summary>
    public Task<ProcessExit> Exited
    {
        get
        {
            lock (_lock)
            {
                if (_exit is null)
                {
                    // First the call that may fail: a task that is not watched would never end.
                    _watchKey = _handle.Use(this, static (fd, self) => ExitWatcher.Shared.Add(self, fd));
                    _exit = new TaskCompletionSource<ProcessExit>(TaskCreationOptions.RunContinuationsAsynchronously);
                }

                return _exit.Task;
            }
        }
    }

    public Task<ProcessExit> WaitForExitAsync(CancellationToken cancellationToken) =>
        Exited.WaitAsync(cancellationToken);

    /// <summary>Sends the signal; false when the process has ended.</summary>
    /// <exception cref="IOException">The system refused, for example for lack of permission.</exception>
    public bool TrySignal(int signal)
    {
        var errno = _handle.Use(signal, static (fd, s) =>
            Libc.pidfd_send_signal(fd, s) == 0 ? 0 : Marshal.GetLastPInvokeError());
        return errno switch
        {
            0 => true,
            Libc.ESRCH => false,
            _ => throw Libc.Failure($"sending signal {signal} to process {Pid}", errno),
        };
    }

    /// <summary>
    /// Lets go of the process; it is not ended by this. <see cref="Exited"/> is cancelled if it still runs.
    /// </summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_handle.IsClosed)
            {
                return;
            }

            if (_watchKey != 0)
            {
                _handle.Use(_watchKey, static (fd, key) =>
                {
                    ExitWatcher.Shared.Remove(key, fd);
                    return 0;
                });
                _exit?.TrySetCanceled();
            }

            _handle.Dispose();
        }
    }

    /// <summary>Called by the watcher's thread.</summary>
    internal void OnExit(int epoll)
    {
        ProcessExit exit = default;
        lock (_lock)
        {
            if (!_handle.IsClosed)
            {
                exit = _handle.Use(epoll, static (fd, epollFd) =>
                {
                    _ = Libc.epoll_ctl(epollFd, Libc.EPOLL_CTL_DEL, fd, null);
                    return Reap(fd);
                });
            }
        }

        _exit!.TrySetResult(exit);
    }

    /// <summary>Collects our own child; the answer for any other process is empty.</summary>
    private static ProcessExit Reap(int descriptor)
    {
        Libc.SigInfo info = default;
        if (Libc.waitid(Libc.P_PIDFD, descriptor, &info, Libc.WEXITED | Libc.WNOHANG) != 0 || info.Pid == 0)
        {
            return default;
        }

        return info.Code == Libc.CLD_EXITED ? new ProcessExit(info.Status, null) : new ProcessExit(null, info.Status);
    }
}
