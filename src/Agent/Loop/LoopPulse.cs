using Routing.Cluster;

namespace Routing.Agent.Loop;

/// <summary>
/// Whether the loop lives: it finishes a run within loop_wait and the time of its two longest requests.
/// </summary>
internal sealed class LoopPulse(TimeProvider time)
{
    private long _lastRunAt = time.GetTimestamp();
    private long _bound = BoundOf(Timing.Default.Corrected(Timing.CommonMinimum));

    /// <summary>Whether the last run ended within the bound. May be asked by any thread.</summary>
    public bool IsAlive =>
        time.GetElapsedTime(Volatile.Read(ref _lastRunAt)).Ticks < Volatile.Read(ref _bound);

    /// <summary>Adopts the times in force.</summary>
    public void Adopt(Timing timing) => Volatile.Write(ref _bound, BoundOf(timing));

    /// <summary>A run has ended.</summary>
    public void Beat() => Volatile.Write(ref _lastRunAt, time.GetTimestamp());

    private static long BoundOf(Timing timing) => (timing.LoopWait + (2 * timing.RetryTimeout)).Ticks;
}
