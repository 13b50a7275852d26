namespace Routing.Simulation.Tests;

/// <summary>
/// One operating-system process: its continuations and timers run here, wait while it is frozen, and die with it.
/// </summary>
internal sealed class SimProcess(SimWorld world) : SynchronizationContext
{
    private readonly Queue<Action> _backlog = new();

    public bool IsAlive { get; private set; } = true;

    public bool IsFrozen { get; private set; }

    public override void Post(SendOrPostCallback d, object? state) => world.Post(this, () => d(state));

    public override void Send(SendOrPostCallback d, object? state) => d(state);

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs work in this process: now, when it thaws, or never.</summary>
    public void Run(Action work)
    {
        if (!IsAlive)
        {
            return;
        }
        if (IsFrozen)
        {
            _backlog.Enqueue(work);
            return;
        }
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            work();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    public void Kill()
    {
        IsAlive = false;
        _backlog.Clear();
    }

    public void Freeze() => IsFrozen = true;

    public void Thaw()
    {
        IsFrozen = false;
        while (_backlog.TryDequeue(out var work))
        {
            world.Post(this, work);
        }
    }
}
