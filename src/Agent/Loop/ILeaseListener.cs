namespace Routing.Agent.Loop;

/// <summary>What the lease keeper tells the rest of the agent, and asks of it. Called from any thread.</summary>
internal interface ILeaseListener
{
    /// <summary>
    /// Whether the loop has finished a run within its bound. An agent whose loop is stuck must lose its lease.
    /// </summary>
    bool IsLoopAlive { get; }

    /// <summary>
    /// The last part of a lease of this ttl, in which a hardware watchdog may reset the machine; zero: none runs. The
    /// keeper asks while it holds its lock: the answer waits for nothing.
    /// </summary>
    TimeSpan ReserveOf(TimeSpan ttl);

    /// <summary>
    /// The leader key was won or lost, or is believed in for another time; null: it is not ours. One call at a time.
    /// </summary>
    void ConvictionChanged(Conviction? conviction);

    /// <summary>
    /// The key may come to hang on a lease although it is not known to be ours: an order of an earlier agent must not
    /// exceed this deadline from now on.
    /// </summary>
    void DeadlineForeseen(long deadline);

    /// <summary>Something happened that the loop should look at.</summary>
    void Wake();
}
