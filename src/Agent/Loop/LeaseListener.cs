using Routing.Agent.Status;

namespace Routing.Agent.Loop;

/// <summary>Takes what the lease keeper says to the guards, to the status board and to the loop.</summary>
internal sealed class LeaseListener(IPrimaryGuard guard, StatusBoard board, LoopSignal signal, LoopPulse pulse)
    : ILeaseListener
{
    /// <inheritdoc/>
    public bool IsLoopAlive => pulse.IsAlive;

    /// <inheritdoc/>
    public TimeSpan ReserveOf(TimeSpan ttl) => guard.ReserveOf(ttl);

    /// <inheritdoc/>
    public void ConvictionChanged(Conviction? conviction)
    {
        if (conviction is { } held)
        {
            guard.Adopt(held);
        }
        board.Update(status => status with { LeaderUntil = conviction?.Until });
    }

    /// <inheritdoc/>
    public void DeadlineForeseen(long deadline) => guard.BringForward(deadline);

    /// <inheritdoc/>
    public void Wake() => signal.Wake();
}
