namespace Routing.Agent.Loop;

/// <summary>Monotonic time since the agent started, the time of observations and of what the loop remembers.</summary>
internal sealed class LoopClock(TimeProvider time)
{
    private readonly long _startedAt = time.GetTimestamp();

    /// <summary>The time now.</summary>
    public TimeSpan Now => time.GetElapsedTime(_startedAt);
}
