namespace Routing.Agent.Status;

/// <summary>Holds the newest status of the agent: the loop writes it, all others read it.</summary>
internal sealed class StatusBoard(AgentStatus first)
{
    private AgentStatus _current = first;

    /// <summary>The newest status.</summary>
    public AgentStatus Current => Volatile.Read(ref _current);

    /// <summary>Hangs up a new one.</summary>
    public void Publish(AgentStatus status) => Volatile.Write(ref _current, status);

    /// <summary>Changes a part of the newest status, also when another thread publishes at the same time.</summary>
    /// <param name="change">May be called more than once; must not have effects.</param>
    public void Update(Func<AgentStatus, AgentStatus> change)
    {
        while (true)
        {
            var seen = Current;
            if (ReferenceEquals(Interlocked.CompareExchange(ref _current, change(seen), seen), seen))
            {
                return;
            }
        }
    }
}
