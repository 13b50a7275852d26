namespace Routing.Proxy.Routes;

/// <summary>
/// A leader is about to hand over: its sessions stay at rest, and nothing new goes to it. Begins with the intent, and
/// ends when another member leads, when the intent is called off, or when its time is over.
/// </summary>
/// <param name="id">The intent.</param>
/// <param name="leader">The leader.</param>
/// <param name="term">Its term.</param>
/// <param name="graceEnds">
/// The timestamp at which the leader waits no more; a listener holds for its hold time beyond that.
/// </param>
internal sealed class IntentHold(string id, string leader, long term, long graceEnds)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The intent.</summary>
    public string Id => id;

    /// <summary>The leader that hands over.</summary>
    public string Leader => leader;

    /// <summary>Its term.</summary>
    public long Term => term;

    /// <summary>The timestamp at which the leader waits no more.</summary>
    public long GraceEnds => graceEnds;

    /// <summary>Completes when it is over for all listeners. Never fails.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Ends it.</summary>
    public void End() => _ended.TrySetResult();
}
