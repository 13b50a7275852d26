namespace Routing.Simulation.Tests;

/// <summary>
/// The monotonic time of one machine. It stands still while the whole machine is frozen, as that of a paused virtual
/// machine.
/// </summary>
/// <param name="world">True time.</param>
/// <param name="start">What it shows at the beginning.</param>
/// <param name="drift">0.0001: it gains 100 µs in a second.</param>
internal sealed class NodeTime(SimWorld world, TimeSpan start, double drift)
{
    private readonly List<Action> _waiting = [];
    private long _lost;
    private long _frozenAt;

    public SimWorld World => world;

    /// <summary>How wrong its wall time is.</summary>
    public TimeSpan WallError { get; set; }

    public bool IsFrozen { get; private set; }

    /// <summary>What it shows, in ticks of 100 ns.</summary>
    public long Now => start.Ticks + (long)(((IsFrozen ? _frozenAt : world.Now) - _lost) * (1 + drift));

    /// <summary>True time until it shows this, if nothing freezes it.</summary>
    public TimeSpan Until(long due) => TimeSpan.FromTicks((long)(Math.Max(0, due - Now) / (1 + drift)));

    public void Freeze()
    {
        if (!IsFrozen)
        {
            (IsFrozen, _frozenAt) = (true, world.Now);
        }
    }

    public void GoOn()
    {
        if (!IsFrozen)
        {
            return;
        }
        IsFrozen = false;
        _lost += world.Now - _frozenAt;
        Action[] waiting = [.. _waiting];
        _waiting.Clear();
        foreach (var action in waiting)
        {
            action();
        }
    }

    /// <summary>Does something as soon as it goes on.</summary>
    public void WhenItGoesOn(Action action) => _waiting.Add(action);
}
