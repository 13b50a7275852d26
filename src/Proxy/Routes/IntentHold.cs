using Routing.Cluster.HostChoice;

namespace Routing.Proxy.Routes;

/// <summary>
/// A leader is about to hand over: its sessions stay at rest, and nothing new goes to it. Begins with the intent, and
/// ends when another member leads, when the intent is called off, or when its time is over.
/// </summary>
/// <param name="rule">What holds; a listener holds for its hold time beyond the grace.</param>
internal sealed class IntentHold(LeaderHold rule)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What holds.</summary>
    public LeaderHold Rule => rule;

    /// <summary>The intent.</summary>
    public string Id => rule.Id;

    /// <summary>The leader that hands over.</summary>
    public string Leader => rule.Leader;

    /// <summary>The timestamp at which the leader waits no more.</summary>
    public long GraceEnds => rule.GraceEnds;

    /// <summary>Completes when it is over for all listeners. Never fails.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Ends it.</summary>
    public void End() => _ended.TrySetResult();
}
