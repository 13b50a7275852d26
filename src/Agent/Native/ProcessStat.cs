using System.Buffers.Text;

namespace Routing.Agent.Native;

/// <summary>
/// What /proc/PID/stat says of a process. Reading allocates nothing: the fence uses it when memory is short.
/// </summary>
/// <param name="Pid">Its number.</param>
/// <param name="State">
/// R running, S sleeping, D waiting for a disk, T stopped, t traced, Z ended but not collected, X gone.
/// </param>
/// <param name="ParentPid">Its parent; 1 or a subreaper once the parent has ended.</param>
/// <param name="StartTicks">
/// When it started, in clock ticks since boot: with the number, the identity of a process.
/// </param>
internal readonly unsafe record struct ProcessStat(int Pid, char State, int ParentPid, ulong StartTicks)
{
    private const int ClockTicksPerSecondName = 2;   // _SC_CLK_TCK

    private static readonly long s_ticksPerSecond = Libc.sysconf(ClockTicksPerSecondName);

    /// <summary>True while it runs or could run again; a zombie does neither.</summary>
    public bool IsAlive => State is not ('Z' or 'X' or 'x');

    /// <summary>True when it was stopped by SIGSTOP or a debugger and will not react to ordinary signals.</summary>
    public bool IsFrozen => State is 'T' or 't';

    /// <summary>
    /// When it started in seconds since 1970, by the wall clock of now. Line 3 of postmaster.pid holds the same, taken
    /// from the wall clock of then: compare with a tolerance of a few seconds.
    /// </summary>
    public long StartEpochSeconds
    {
        get
        {
            var boot = Libc.Nanoseconds(Libc.CLOCK_REALTIME) - Libc.Nanoseconds(Libc.CLOCK_BOOTTIME);
            return (boot / 1_000_000_000) + (long)(StartTicks / (ulong)s_ticksPerSecond);
        }
    }

    /// <summary>This process itself.</summary>
    public static ProcessStat Self => Read(Libc.getpid()) ?? throw new IOException("/proc is not mounted.");

    /// <summary>Reads it; null when there is no such process.</summary>
    public static ProcessStat? Read(int pid)
    {
        var path = stackalloc byte[32];
        ProcPath.Write(path, pid, "/stat"u8);
        var fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (fd < 0)
        {
            return null;
        }

        var buffer = stackalloc byte[1024];
        var length = Libc.read(fd, buffer, 1024);
        _ = Libc.close(fd);
        return length <= 0 ? null : Parse(pid, new ReadOnlySpan<byte>(buffer, (int)length));
    }

    /// <summary>The processes whose parent is <paramref name="parentPid"/>, zombies included.</summary>
    public static List<ProcessStat> ChildrenOf(int parentPid)
    {
        var children = new List<ProcessStat>();
        ForEach(ref children, (ref List<ProcessStat> list, in ProcessStat stat) =>
        {
            if (stat.ParentPid == parentPid)
            {
                list.Add(stat);
            }
        });
        return children;
    }

    internal delegate void Visitor<TState>(ref TState state, in ProcessStat process);

    /// <summary>Visits every process. Those that start meanwhile may be missed.</summary>
    internal static void ForEach<TState>(ref TState state, Visitor<TState> visit)
    {
        const int bufferBytes = 8192;
        var buffer = stackalloc byte[bufferBytes];
        int fd;
        fixed (byte* proc = "/proc\0"u8)
        {
            fd = Libc.open(proc, Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_DIRECTORY, 0);
        }

        if (fd < 0)
        {
            return;
        }

        nint length;
        while ((length = Libc.getdents64(fd, buffer, bufferBytes)) > 0)
        {
            for (nint offset = 0; offset < length;)
            {
                var entry = buffer + offset;
                var entryBytes = *(ushort*)(entry + 16);
                offset += entryBytes;
                var name = new ReadOnlySpan<byte>(entry + 19, entryBytes - 19);
                if (Utf8Parser.TryParse(name, out int pid, out var used) && name[used] == 0 && Read(pid) is { } stat)
                {
                    visit(ref state, stat);
                }
            }
        }

        _ = Libc.close(fd);
    }

    internal static ProcessStat? Parse(int pid, ReadOnlySpan<byte> text)
    {
        // The second field is the program's name in brackets; the name itself may hold brackets and spaces.
        var end = text.LastIndexOf((byte)')');
        if (end < 0 || end + 4 >= text.Length)
        {
            return null;
        }

        var state = (char)text[end + 2];
        var rest = text[(end + 4)..];
        if (!Utf8Parser.TryParse(rest, out int parent, out _))
        {
            return null;
        }

        for (var field = 4; field < 22; field++)
        {
            var space = rest.IndexOf((byte)' ');
            if (space < 0)
            {
                return null;
            }

            rest = rest[(space + 1)..];
        }

        return Utf8Parser.TryParse(rest, out ulong start, out _) ? new ProcessStat(pid, state, parent, start) : null;
    }
}
