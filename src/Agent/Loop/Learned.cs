using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>
/// Effects of a run's actions that the next observation has to know of, and that no key or server tells.
/// </summary>
internal sealed record Learned
{
    /// <summary>The answers of peers; null: none were asked.</summary>
    public PeerAnswers? Peers { get; init; }

    /// <summary>The revision of the empty initialize key that is ours; 0: it was not won in this run.</summary>
    public long InitializeRevision { get; init; }

    /// <summary>The store refused to write the synchronous state: it is certain that it was not written.</summary>
    public bool SyncRefused { get; init; }

    /// <summary>When the members were asked for their consent; null: they were not.</summary>
    public TimeSpan? FailsafeAskedAt { get; init; }

    /// <summary>
    /// How far the members are that have consented; null: they were not asked, or not all of them have.
    /// </summary>
    public ImmutableSortedDictionary<string, Lsn>? FailsafePositions { get; init; }

    /// <summary>The clients in a transaction; null: it was not asked for.</summary>
    public ClientActivity? Activity { get; init; }

    /// <summary>The revision of the last write; 0: nothing was written.</summary>
    public long WrittenRevision { get; init; }

    /// <summary>The agent has to end with this exit code; null: it goes on.</summary>
    public int? ExitCode { get; init; }

    /// <summary>With what an earlier run has learned and this one has not learned anew.</summary>
    public Learned After(Learned earlier) => this with
    {
        Peers = Peers ?? earlier.Peers,
        FailsafeAskedAt = FailsafeAskedAt ?? earlier.FailsafeAskedAt,
        Activity = Activity ?? earlier.Activity,
        FailsafePositions = FailsafePositions ?? earlier.FailsafePositions,
    };

    /// <summary>The memory of the decision, with what performing it has shown.</summary>
    /// <param name="memory">What was decided to be remembered.</param>
    /// <param name="o">What was decided by.</param>
    public LoopMemory AddTo(LoopMemory memory, Observation o)
    {
        if (SyncRefused && memory.Sync is { } planned && o.Memory.Sync?.Unanswered(o.Cluster!.Sync) is null)
        {
            // Unless an earlier attempt had no answer, no write can take effect later: the planner may plan again.
            memory = memory with { Sync = planned with { Wrote = null } };
        }
        return InitializeRevision == 0 ? memory : memory with { InitializeRevision = InitializeRevision };
    }
}
