using Routing.Cluster;

namespace Routing.Agent.Status;

/// <summary>Something that changed, in the agent's diary.</summary>
/// <param name="Id">Counts up from 1, so that a reader can ask for what came after.</param>
/// <param name="Time">When.</param>
/// <param name="Kind">What kind of change: <c>reason</c>, <c>role</c>, <c>leader</c>, <c>job</c>…</param>
/// <param name="Code">The machine-readable code.</param>
/// <param name="Text">One sentence.</param>
/// <param name="Term">The term it happened in.</param>
/// <param name="Timeline">The local timeline; 0 when unknown.</param>
internal sealed record AgentEvent(
    long Id, DateTimeOffset Time, string Kind, string Code, string Text, Term Term, uint Timeline);

/// <summary>The last events, in a ring of fixed size. Written by the loop, read by REST.</summary>
internal sealed class AgentEvents(TimeProvider time, int capacity = 256)
{
    private readonly Lock _lock = new();
    private readonly AgentEvent?[] _ring = new AgentEvent?[capacity];
    private long _last;
    private TaskCompletionSource _appended = NewSignal();

    /// <summary>The number of the newest event; 0 before the first.</summary>
    public long LastId
    {
        get
        {
            lock (_lock)
            {
                return _last;
            }
        }
    }

    /// <summary>Adds an event; the oldest one goes when the ring is full.</summary>
    public AgentEvent Append(string kind, string code, string text, Term term, uint timeline)
    {
        AgentEvent added;
        TaskCompletionSource signal;
        lock (_lock)
        {
            added = new AgentEvent(++_last, time.GetUtcNow(), kind, code, text, term, timeline);
            _ring[(int)(_last % _ring.Length)] = added;
            signal = _appended;
            _appended = NewSignal();
        }
        signal.SetResult();
        return added;
    }

    /// <summary>The events that are still known with a number above <paramref name="after"/>, oldest first.</summary>
    public IReadOnlyList<AgentEvent> After(long after)
    {
        lock (_lock)
        {
            var first = Math.Max(Math.Max(after, 0) + 1, _last - _ring.Length + 1);
            var events = new List<AgentEvent>();
            for (var id = first; id <= _last; id++)
            {
                if (_ring[(int)(id % _ring.Length)] is { } known && known.Id == id)
                {
                    events.Add(known);
                }
            }
            return events;
        }
    }

    /// <summary>Completes when there is an event with a number above <paramref name="after"/>.</summary>
    public Task WaitAsync(long after, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return _last > after ? Task.CompletedTask : _appended.Task.WaitAsync(cancellationToken);
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
