using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>
/// What all processes of one running PostgreSQL have in common: they run the postmaster's program file in the data
/// directory. It finds those whose postmaster has died, too; each has a session and a process group of its own, so
/// these tell nothing. Allocates nothing: the fence works when memory is short.
/// </summary>
internal readonly unsafe record struct PostgresFamily(FileIdentity Program, FileIdentity Directory)
{
    public bool IsKnown => Program != default;

    /// <summary>Looks at a postmaster that runs; empty when it can't be read.</summary>
    public static PostgresFamily Of(int postmasterPid)
    {
        var program = Identity(postmasterPid, "/exe"u8);
        var directory = Identity(postmasterPid, "/cwd"u8);
        return program is null || directory is null ? default : new PostgresFamily(program.Value, directory.Value);
    }

    public bool Includes(int pid) => IsKnown && Of(pid) == this;

    /// <summary>
    /// Sends SIGKILL to all that belong to the family and to all children of <paramref name="postmasterPid"/>, once,
    /// but not to the postmaster itself. Returns how many there were.
    /// </summary>
    public int KillOnce(int postmasterPid)
    {
        var round = new Round(this, postmasterPid, 0);
        ProcessStat.ForEach(ref round, static (ref Round r, in ProcessStat process) =>
        {
            if (process.Pid != r.PostmasterPid && process.IsAlive && r.Wants(process) && Kill(process))
            {
                r = r with { Killed = r.Killed + 1 };
            }
        });
        return round.Killed;
    }

    private static bool Kill(in ProcessStat process)
    {
        var pidFd = Libc.pidfd_open(process.Pid);
        if (pidFd < 0)
        {
            return false;
        }

        // The number may have gone to another process since it was looked at.
        var isSame = ProcessStat.Read(process.Pid) is { } now && now.StartTicks == process.StartTicks;
        var killed = isSame && Libc.pidfd_send_signal(pidFd, Signals.Kill) == 0;
        _ = Libc.close(pidFd);
        return killed;
    }

    private static FileIdentity? Identity(int pid, ReadOnlySpan<byte> link)
    {
        var path = stackalloc byte[32];
        ProcPath.Write(path, pid, link);
        return FileIdentity.Of(path);
    }

    private readonly record struct Round(PostgresFamily Family, int PostmasterPid, int Killed)
    {
        public bool Wants(in ProcessStat process) =>
            (PostmasterPid > 0 && process.ParentPid == PostmasterPid) || Family.Includes(process.Pid);
    }
}
