namespace Routing.Simulation.Tests;

/// <summary>
/// One operating-system process: its continuations and timers run here, wait while it is frozen, and die with it.
/// </summary>
internal sealed class SimProcess(SimWorld world) : SynchronizationContext
{
    private readonly Queue<(SendOrPostCallback Work, object? State)> _backlog = new();

    public bool IsAlive { get; private set; } = true;

    public bool IsFrozen { get; private set; }

    public override void Post(SendOrPostCallback d, object? state) => world.Post(this, d, state);

    public override void Send(SendOrPostCallback d, object? state) => d(state);

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Runs work in this process: now, when it thaws, or never.</summary>
    public void Run(Action work) => Run(static state => ((Action)state!)(), work);

    /// <summary>Runs work in this process: now, when it thaws, or never.</summary>
    public void Run(SendOrPostCallback work, object? state)
    {
        if (!IsAlive)
        {
            return;
        }
        if (IsFrozen)
        {
            _backlog.Enqueue((work, state));
            return;
        }
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            work(state);
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
        while (_backlog.TryDequeue(out var held))
        {
            world.Post(this, held.Work, held.State);
        }
    }
}
