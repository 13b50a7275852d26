using Routing.Agent.Fence;

namespace Routing.Simulation.Tests;

/// <summary>
/// The fence of a node: a process of its own, which outlives the agent and kills the postmaster at its deadline.
/// </summary>
internal sealed class SimFence(SimWorld world, SimServer server, TimeProvider time)
{
    private ITimer? _timer;
    private long _deadline;
    private long _number;

    /// <summary>The postmaster of the order that stands; 0: none does.</summary>
    public int ArmedPid { get; private set; }

    /// <summary>The order stands in a file: it outlives the process that carries it out.</summary>
    public bool IsRunning { get; private set; }

    /// <summary>A planted bug: it never acts.</summary>
    public bool IsDead { get; init; }

    /// <summary>How late it acts; null: at once.</summary>
    public Func<TimeSpan>? Lateness { get; set; }

    public FencingReport? LastFencing { get; private set; }

    public void Start()
    {
        if (!IsRunning && !IsDead)
        {
            IsRunning = true;
            Wind();
        }
    }

    public void Kill() => IsRunning = false;

    public void Arm(int pid, long deadline)
    {
        ArmedPid = pid;
        _deadline = deadline;
        Wind();
    }

    /// <returns>False: nothing is armed.</returns>
    public bool Move(long deadline, bool onlyForward)
    {
        if (ArmedPid == 0 || (onlyForward && deadline >= _deadline))
        {
            return false;
        }
        _deadline = deadline;
        Wind();
        return true;
    }

    public void Disarm()
    {
        ArmedPid = 0;
        _timer?.Dispose();
    }

    private void Wind()
    {
        if (!IsRunning || ArmedPid == 0)
        {
            return;
        }
        _timer?.Dispose();
        var left = time.GetElapsedTime(time.GetTimestamp(), _deadline);
        _timer =
            time.CreateTimer(_ => Act(), null, left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private void Act()
    {
        var pid = ArmedPid;
        if (!IsRunning || pid == 0)
        {
            return;
        }
        ArmedPid = 0;
        if (server.Pid != pid)
        {
            return;
        }
        world.At(world.Between(1, 20) + (Lateness?.Invoke() ?? TimeSpan.Zero), () =>
        {
            if (server.Pid == pid)
            {
                server.Kill("the fence");
                LastFencing = new FencingReport(
                    ++_number, time.GetUtcNow(), FencingReason.AgentSilent, pid, TimeSpan.Zero, TimeSpan.Zero, 0, 0);
            }
        });
    }
}

/// <summary>One agent's hold on its node's fence.</summary>
internal sealed class SimFenceClient(SimWorld world, SimFence fence, TimeProvider time) : IFence
{
    private bool _isOpen;

    public bool IsGuarding => _isOpen && fence.IsRunning;

    public bool IsArmed => ArmedPid != 0;

    public int ArmedPid => _isOpen ? fence.ArmedPid : 0;

    public FencingReport? LastFencing => _isOpen ? fence.LastFencing : null;

    public async ValueTask EnsureRunningAsync(CancellationToken cancellationToken)
    {
        _isOpen = true;
        if (!fence.IsRunning)
        {
            await Task.Delay(world.Between(5, 100), time, cancellationToken);
            fence.Start();
        }
    }

    public void Arm(int postmasterPid, ulong postmasterStart, long deadline) => fence.Arm(postmasterPid, deadline);

    public bool ExtendUntil(long deadline) => fence.Move(deadline, onlyForward: false);

    public void BringForward(long deadline) => fence.Move(deadline, onlyForward: true);

    public void Disarm() => fence.Disarm();

    public ValueTask<bool> WaitUntilGuardingAsync(TimeSpan bound, CancellationToken cancellationToken) =>
        new(IsGuarding);

    public void Dismiss()
    {
        fence.Disarm();
        fence.Kill();
    }
}
