using System.Runtime.InteropServices;
using System.Text;
using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>
/// The page of memory that agent and fence share: a small file, mapped by both. Each word has one writer and is read
/// and written whole; only the order (<see cref="Word"/>) has two, and is changed by compare-and-set.
/// </summary>
internal sealed unsafe class FencePage : IDisposable
{
    public const int Bytes = 4096;

    private const long Magic = 0x3145434E45465452;   // "RTFENCE1": the layout below

    private readonly string _path;
    private readonly int _descriptor;
    private readonly ulong _inode;
    private readonly uint _deviceMajor;
    private readonly uint _deviceMinor;
    private long* _words;

    private FencePage(string path, int descriptor, long* words, in Libc.Statx identity)
    {
        _path = path;
        _descriptor = descriptor;
        _words = words;
        _inode = identity.Inode;
        _deviceMajor = identity.DeviceMajor;
        _deviceMinor = identity.DeviceMinor;
    }

    // Places of the words, in units of 8 bytes. The agent writes the first line of the cache, the fence the second.
    private enum Place
    {
        Magic = 0, BootId = 1, Word = 2, PostmasterStart = 3, AgentPid = 4, AgentStart = 5, ExitWanted = 6,
        FencePid = 16, FenceStart = 17, Heartbeat = 18, GuardedPid = 19, Locked = 20,
        Fencings = 24, FencedAt = 25, Reason = 26, FencedPid = 27, LateBy = 28, Took = 29, Killed = 30, LeftOver = 31,
    }

    /// <summary>What the fence has to do, and until when it must not. Volatile.</summary>
    public FenceWord Word => new(Read(Place.Word));

    public ulong PostmasterStart
    {
        get => (ulong)Read(Place.PostmasterStart);
        set => Write(Place.PostmasterStart, (long)value);
    }

    public int AgentPid => (int)Read(Place.AgentPid);

    public ulong AgentStart => (ulong)Read(Place.AgentStart);

    public bool ExitWanted
    {
        get => Read(Place.ExitWanted) != 0;
        set => Write(Place.ExitWanted, value ? 1 : 0);
    }

    public int FencePid => (int)Read(Place.FencePid);

    public ulong FenceStart => (ulong)Read(Place.FenceStart);

    /// <summary>When the fence last looked around.</summary>
    public BootInstant Heartbeat
    {
        get => new(Read(Place.Heartbeat));
        set => Write(Place.Heartbeat, value.Nanoseconds);
    }

    /// <summary>The postmaster that the fence holds on to; 0 when none.</summary>
    public int GuardedPid
    {
        get => (int)Read(Place.GuardedPid);
        set => Write(Place.GuardedPid, value);
    }

    /// <summary>Whether the fence could lock itself into memory.</summary>
    public bool FenceIsLocked
    {
        get => Read(Place.Locked) != 0;
        set => Write(Place.Locked, value ? 1 : 0);
    }

    /// <summary>Written before the machine was last started: no process that it names lives.</summary>
    public bool IsOfEarlierBoot => Read(Place.BootId) != BootId();

    /// <summary>What the fence last did; null when it never had to.</summary>
    public FencingReport? LastFencing => Read(Place.Fencings) is var number and > 0
        ? new FencingReport(
            number,
            DateTimeOffset.FromUnixTimeMilliseconds(Read(Place.FencedAt)),
            (FencingReason)Read(Place.Reason),
            (int)Read(Place.FencedPid),
            new TimeSpan(Read(Place.LateBy) / 100),
            new TimeSpan(Read(Place.Took) / 100),
            (int)Read(Place.Killed),
            (int)Read(Place.LeftOver))
        : null;

    /// <summary>
    /// Opens or creates the file, for the agent: what an earlier boot left behind is cleared but for the last report.
    /// </summary>
    /// <exception cref="IOException">It can't be opened, or belongs to another user.</exception>
    public static FencePage OpenForAgent(string path)
    {
        var state = Open(path, create: true);
        var boot = BootId();
        if (state.Read(Place.Magic) != Magic || state.Read(Place.BootId) != boot)
        {
            state.Write(Place.Word, 0);
            foreach (var place in (Place[])
                [Place.PostmasterStart, Place.FencePid, Place.FenceStart, Place.Heartbeat, Place.GuardedPid,
                    Place.Locked])
            {
                state.Write(place, 0);
            }

            state.Write(Place.BootId, boot);
            state.Write(Place.Magic, Magic);
        }

        state.ExitWanted = false;
        return state;
    }

    /// <summary>Opens the file, for the fence; null when it is missing or not ours to understand.</summary>
    public static FencePage? OpenForFence(string path)
    {
        try
        {
            var state = Open(path, create: false);
            if (state.Read(Place.Magic) == Magic)
            {
                return state;
            }

            state.Dispose();
            return null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>
    /// Becomes the one fence of this file; false while another one lives. Lasts until the process ends.
    /// </summary>
    public bool TryLock() => Libc.flock(_descriptor, Libc.LOCK_EX | Libc.LOCK_NB) == 0;

    /// <summary>Whether a living fence holds the file.</summary>
    public bool IsLockedByAnother()
    {
        if (!TryLock())
        {
            return true;
        }

        _ = Libc.flock(_descriptor, Libc.LOCK_UN);
        return false;
    }

    public void SetAgent(in ProcessStat agent)
    {
        Write(Place.AgentPid, 0);
        Write(Place.AgentStart, (long)agent.StartTicks);
        Write(Place.AgentPid, agent.Pid);
    }

    public void SetFence(in ProcessStat fence)
    {
        Write(Place.FenceStart, (long)fence.StartTicks);
        Write(Place.FencePid, fence.Pid);
    }

    public void SetWord(FenceWord word) => Write(Place.Word, word.Value);

    /// <summary>Sets the order if it still is <paramref name="expected"/>.</summary>
    public bool TryReplaceWord(FenceWord expected, FenceWord word) =>
        Interlocked.CompareExchange(ref _words[(int)Place.Word], word.Value, expected.Value) == expected.Value;

    /// <summary>Notes what was done. The count comes last: a reader that sees it sees the rest.</summary>
    public void Report(FencingReason reason, int pid, long lateBy, long took, int killed, int leftOver)
    {
        Write(Place.FencedAt, Libc.Nanoseconds(Libc.CLOCK_REALTIME) / 1_000_000);
        Write(Place.Reason, (long)reason);
        Write(Place.FencedPid, pid);
        Write(Place.LateBy, lateBy);
        Write(Place.Took, took);
        Write(Place.Killed, killed);
        Write(Place.LeftOver, leftOver);
        Write(Place.Fencings, Read(Place.Fencings) + 1);
    }

    /// <summary>Whether the path still leads to this file; false when it was deleted or replaced.</summary>
    public bool IsStillAt(byte* path)
    {
        Libc.Statx now;
        return Libc.statx(Libc.AT_FDCWD, path, Libc.AT_SYMLINK_NOFOLLOW, 0x7FF, &now) == 0
            && now.Inode == _inode && now.DeviceMajor == _deviceMajor && now.DeviceMinor == _deviceMinor;
    }

    public void Dispose()
    {
        if (_words is not null)
        {
            _ = Libc.munmap((nint)_words, Bytes);
            _words = null;
            _ = Libc.close(_descriptor);
        }
    }

    public override string ToString() => _path;

    private static FencePage Open(string path, bool create)
    {
        var flags = Libc.O_RDWR | Libc.O_CLOEXEC | Libc.O_NOFOLLOW | (create ? Libc.O_CREAT : 0);
        var descriptor = Libc.open(path, flags, Convert.ToInt32("600", 8));
        if (descriptor < 0)
        {
            throw Libc.Failure($"opening the fence's state {path}", Marshal.GetLastPInvokeError());
        }

        Libc.Statx identity;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            _ = Libc.statx(Libc.AT_FDCWD, name, Libc.AT_SYMLINK_NOFOLLOW, 0x7FF, &identity);
        }

        if (identity.Uid != Libc.geteuid())
        {
            _ = Libc.close(descriptor);
            throw new IOException(
                $"The fence's state {path} belongs to the user with id {identity.Uid}, not to the agent's.");
        }

        // Grows a new file to its size; does nothing to an old one.
        if (Libc.ftruncate(descriptor, Bytes) != 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            _ = Libc.close(descriptor);
            throw Libc.Failure($"setting the size of {path}", errno);
        }

        var address = Libc.mmap(0, Bytes, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, descriptor, 0);
        if (address == -1)
        {
            var errno = Marshal.GetLastPInvokeError();
            _ = Libc.close(descriptor);
            throw Libc.Failure($"mapping {path}", errno);
        }

        return new FencePage(path, descriptor, (long*)address, identity);
    }

    /// <summary>A number for this boot: the boot clock and process numbers of another one mean nothing.</summary>
    private static long BootId()
    {
        var id = Guid.Parse(File.ReadAllText("/proc/sys/kernel/random/boot_id").AsSpan().Trim());
        Span<long> halves = stackalloc long[2];
        id.TryWriteBytes(MemoryMarshal.AsBytes(halves));
        return halves[0] ^ halves[1];
    }

    private long Read(Place place)
    {
        ObjectDisposedException.ThrowIf(_words is null, this);
        return Volatile.Read(ref _words[(int)place]);
    }

    private void Write(Place place, long value)
    {
        ObjectDisposedException.ThrowIf(_words is null, this);
        Volatile.Write(ref _words[(int)place], value);
    }
}
