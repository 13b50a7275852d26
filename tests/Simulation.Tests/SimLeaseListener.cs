using Routing.Agent.Loop;

namespace Routing.Simulation.Tests;

/// <summary>The agent's own listener, and a planted mistake of its node in the keeper's task.</summary>
internal sealed class SimLeaseListener(SimNode node, ILeaseListener agent) : ILeaseListener
{
    /// <inheritdoc/>
    public bool IsLoopAlive => node.KeeperBreaks is { } mistake ? throw mistake : agent.IsLoopAlive;

    /// <inheritdoc/>
    public TimeSpan ReserveOf(TimeSpan ttl) => agent.ReserveOf(ttl);

    /// <inheritdoc/>
    public void ConvictionChanged(Conviction? conviction) => agent.ConvictionChanged(conviction);

    /// <inheritdoc/>
    public void DeadlineForeseen(long deadline) => agent.DeadlineForeseen(deadline);

    /// <inheritdoc/>
    public void Wake() => agent.Wake();
}
