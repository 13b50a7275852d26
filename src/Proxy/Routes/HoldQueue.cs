namespace Routing.Proxy.Routes;

/// <summary>
/// Sessions of one listener that wait for a target, in the order of their arrival. Guarded by the room's lock.
/// </summary>
internal sealed class HoldQueue
{
    private readonly LinkedList<Waiter> _waiting = [];
    private double _credit;
    private long _creditAt;

    /// <summary>How many clients wait in this queue.</summary>
    public int Count => _waiting.Count;

    /// <summary>How many are let through in a second; a tenth of it may come at once.</summary>
    public int PerSecond { get; set; } = 1;

    /// <summary>Puts one at the end.</summary>
    public Waiter Add(long deadline, IReadOnlyCollection<string> tried)
    {
        var waiter = new Waiter(deadline, tried);
        waiter.Node = _waiting.AddLast(waiter);
        return waiter;
    }

    /// <summary>Takes one out that gave up.</summary>
    /// <returns>False: the session has just been let through.</returns>
    public bool Remove(Waiter waiter)
    {
        if (waiter.Node is not { List: not null } node)
        {
            return false;
        }
        _waiting.Remove(node);
        return true;
    }

    /// <summary>The one that has waited longest.</summary>
    public Waiter? First => _waiting.First?.Value;

    /// <summary>May one be let through now, by the pace?</summary>
    /// <param name="now">The timestamp.</param>
    /// <param name="frequency">Timestamps in a second.</param>
    public bool TryTakeTurn(long now, long frequency)
    {
        var most = Math.Max(1, PerSecond / 10.0);
        _credit = Math.Min(most, _creditAt == 0 ? most : _credit + ((double)(now - _creditAt) / frequency * PerSecond));
        _creditAt = now;
        if (_credit < 1)
        {
            return false;
        }
        _credit--;
        return true;
    }

    /// <summary>One that waits.</summary>
    internal sealed class Waiter(long deadline, IReadOnlyCollection<string> tried)
    {
        public LinkedListNode<Waiter>? Node { get; set; }

        public long Deadline => deadline;

        public IReadOnlyCollection<string> Tried => tried;

        public TaskCompletionSource<RouteChoice> Result { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
