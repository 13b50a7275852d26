using Routing.Agent.Loop;

namespace Routing.Simulation.Tests;

/// <summary>Hears a lease keeper that is alone, and answers as a test says.</summary>
internal sealed class FakeLeaseListener : ILeaseListener
{
    /// <inheritdoc/>
    public bool IsLoopAlive { get; set; } = true;

    /// <summary>The answer to <see cref="ReserveOf"/>.</summary>
    public TimeSpan Reserve { get; set; }

    /// <summary>What was believed last; null: nothing.</summary>
    public Conviction? Conviction { get; private set; }

    /// <summary>What was believed last while the key was held; null: it never was.</summary>
    public Conviction? LastHeld { get; private set; }

    /// <summary>Number of calls of <see cref="Wake"/>.</summary>
    public int Woken { get; private set; }

    /// <inheritdoc/>
    public TimeSpan ReserveOf(TimeSpan ttl) => Reserve;

    /// <inheritdoc/>
    public void ConvictionChanged(Conviction? conviction) =>
        (Conviction, LastHeld) = (conviction, conviction ?? LastHeld);

    /// <inheritdoc/>
    public void DeadlineForeseen(long deadline)
    {
    }

    /// <inheritdoc/>
    public void Wake() => Woken++;
}
