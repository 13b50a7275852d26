namespace Routing.Driver;

/// <summary>Tells of a change of the topology.</summary>
/// <param name="previous">What was known before the change (or before several that came close together).</param>
/// <param name="current">What is known now.</param>
public sealed class TopologyChangedEventArgs(ClusterTopology previous, ClusterTopology current) : EventArgs
{
    /// <summary>What was known before.</summary>
    public ClusterTopology Previous { get; } = previous;

    /// <summary>What is known now.</summary>
    public ClusterTopology Current { get; } = current;

    /// <summary>Whether another member leads, no member leads any more, or one leads again.</summary>
    public bool LeaderChanged => Previous.Leader != Current.Leader || Previous.Term != Current.Term;
}
