using System.Text.Json;
using Routing.Cluster;
using Routing.Cluster.Events;

namespace Routing.Agent.Events;

/// <summary>
/// The agent's diary: the last events, those of its earlier lives included. Written by the loop, read by REST.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="capacity">The number of events in memory; a new one takes the place of the oldest.</param>
/// <param name="member">The member whose diary this is.</param>
/// <param name="file">Where events outlive the agent; null: nowhere.</param>
internal sealed class AgentEvents(TimeProvider time, int capacity = 512, string member = "", EventFile? file = null)
{
    /// <summary>
    /// A new life of the agent numbers its events from the next multiple of this on: what the earlier life could not
    /// write to its file does not give numbers twice.
    /// </summary>
    public const int NumbersPerLife = 1000;

    private readonly Lock _lock = new();
    private readonly Queue<ClusterEvent> _ring = new(capacity);
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

    /// <summary>The number of the oldest event that is still known; 0 before the first.</summary>
    public long FirstId
    {
        get
        {
            lock (_lock)
            {
                return _ring.TryPeek(out var first) ? first.Id : 0;
            }
        }
    }

    /// <summary>Events that the disk did not take, since this life of the agent began.</summary>
    public long Dropped => file?.Dropped ?? 0;

    /// <summary>Takes over what earlier lives of the agent have kept. Before the first event.</summary>
    public void Recall()
    {
        if (file?.Recall(capacity) is not { Count: > 0 } earlier)
        {
            return;
        }
        lock (_lock)
        {
            foreach (var item in earlier)
            {
                _ring.Enqueue(item);
            }
            _last = ((earlier[^1].Id / NumbersPerLife) + 1) * NumbersPerLife - 1;
        }
    }

    /// <summary>Adds an event; the oldest one goes when the ring is full. Never waits for the disk.</summary>
    /// <param name="kind">One of <see cref="EventKind"/>.</param>
    /// <param name="code">What happened, for programs.</param>
    /// <param name="text">One sentence.</param>
    /// <param name="term">The term it happened in.</param>
    /// <param name="timeline">The local timeline; 0 when unknown.</param>
    /// <param name="figures">An object with what is known besides.</param>
    /// <param name="at">When; null: now.</param>
    public ClusterEvent Append(
        string kind, string code, string text, Term term, uint timeline, JsonElement? figures = null,
        DateTimeOffset? at = null)
    {
        ClusterEvent added;
        TaskCompletionSource signal;
        lock (_lock)
        {
            added = new ClusterEvent(
                ++_last, at ?? time.GetUtcNow(), member, kind, code, text, term.Revision, timeline, figures);
            if (_ring.Count == capacity)
            {
                _ring.Dequeue();
            }
            _ring.Enqueue(added);
            file?.Keep(added);
            signal = _appended;
            _appended = NewSignal();
        }
        signal.SetResult();
        return added;
    }

    /// <summary>
    /// The events that are still known with a number above <paramref name="after"/>, oldest first. A number that was
    /// never given: all of them, as the numbers have begun anew.
    /// </summary>
    public IReadOnlyList<ClusterEvent> After(long after)
    {
        lock (_lock)
        {
            return Behind(after);
        }
    }

    /// <summary>
    /// As <see cref="After"/>, with the numbers of the oldest and of the newest event that are known at this moment: a
    /// reader that goes on from the newest number has missed none.
    /// </summary>
    public (IReadOnlyList<ClusterEvent> Events, long First, long Last) Page(long after)
    {
        lock (_lock)
        {
            return (Behind(after), _ring.TryPeek(out var first) ? first.Id : 0, _last);
        }
    }

    /// <summary>Completes when there is an event with a number above <paramref name="after"/>.</summary>
    public Task WaitAsync(long after, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return _last != after && (_last > after || _ring.Count > 0)
                ? Task.CompletedTask
                : _appended.Task.WaitAsync(cancellationToken);
        }
    }

    private ClusterEvent[] Behind(long after) => [.. after > _last ? _ring : _ring.Where(item => item.Id > after)];

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
