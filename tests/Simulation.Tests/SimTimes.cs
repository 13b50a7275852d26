namespace Routing.Simulation.Tests;

/// <summary>How long things take on one node. The weather changes it.</summary>
internal sealed class SimTimes(SimWorld world)
{
    /// <summary>What the operator's <c>before_stop</c> takes.</summary>
    public Func<TimeSpan> BeforeStop { get; set; } = () => TimeSpan.Zero;

    /// <summary>What a CHECKPOINT takes.</summary>
    public Func<TimeSpan> Checkpoint { get; set; } = () => world.Between(5, 300);

    /// <summary>What a copy or a rewind takes to read from its source.</summary>
    public Func<TimeSpan> Copy { get; set; } = () => world.Between(100, 2500);

    /// <summary>What crash recovery in single-user mode takes.</summary>
    public Func<TimeSpan> Recovery { get; set; } = () => world.Between(50, 800);

    /// <summary>Everything is quick again.</summary>
    public void Reset()
    {
        var quick = new SimTimes(world);
        (BeforeStop, Checkpoint, Copy, Recovery) = (quick.BeforeStop, quick.Checkpoint, quick.Copy, quick.Recovery);
    }
}
