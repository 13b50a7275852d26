using Routing.Agent.Loop;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>The fence of a node: a process of its own, which outlives the agent and kills the postmaster at its deadline.</summary>
internal sealed class SimFence(SimWorld world, SimServer server, TimeProvider time)
{
    private ITimer? _timer;
    private long _deadline;

    public int ArmedPid { get; private set; }

    /// <summary>A planted bug: it never acts.</summary>
    public bool IsDead { get; set; }

    public void Arm(int pid, long deadline)
    {
        ArmedPid = pid;
        SetDeadline(deadline);
    }

    public void SetDeadline(long deadline)
    {
        if (ArmedPid == 0)
        {
            return;
        }
        _deadline = deadline;
        _timer?.Dispose();
        var left = time.GetElapsedTime(time.GetTimestamp(), deadline);
        _timer = time.CreateTimer(_ => Act(), null, left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    public void BringForward(long deadline)
    {
        if (deadline < _deadline)
        {
            SetDeadline(deadline);
        }
    }

    public void Disarm()
    {
        ArmedPid = 0;
        _timer?.Dispose();
    }

    private void Act()
    {
        var pid = ArmedPid;
        if (IsDead || pid == 0)
        {
            return;
        }
        ArmedPid = 0;
        if (server.Pid == pid)
        {
            world.At(world.Between(1, 20), () =>
            {
                if (server.Pid == pid)
                {
                    server.Kill("the fence");
                }
            });
        }
    }
}

/// <summary>The fence as one agent's life sees it: the arithmetic of the agent's own guard.</summary>
internal sealed class SimGuard(SimFence fence, SimOptions options, TimeProvider time) : IPrimaryGuard
{
    private int _pid;
    private long _deadline;

    public string? WatchdogProblem => null;

    public int ArmedPid => fence.ArmedPid;

    public bool IsFenced => true;

    public bool Prepare(Timing timing) => true;

    public TimeSpan ReserveOf(TimeSpan ttl) => TimeSpan.Zero;

    public void Arm(int postmasterPid)
    {
        if (_pid == postmasterPid && fence.ArmedPid == postmasterPid)
        {
            return;
        }
        _pid = postmasterPid;
        fence.Arm(postmasterPid, _deadline);
    }

    public void Adopt(Conviction conviction)
    {
        var deadline = options.CountsFromTheAnswer
            ? time.GetTimestamp() + conviction.Ttl.Ticks - (Observation.SafetyMarginOf(conviction.Ttl).Ticks / 2)
            : conviction.Deadline;
        if (options.KeepsLongerDeadlines && deadline <= _deadline)
        {
            return;
        }
        _deadline = deadline;
        if (_pid != 0)
        {
            fence.SetDeadline(deadline);
        }
    }

    public void BringForward(long deadline) => fence.BringForward(deadline);

    public void Disarm()
    {
        if (_pid != 0 || fence.ArmedPid != 0)
        {
            _pid = 0;
            fence.Disarm();
        }
    }
}
