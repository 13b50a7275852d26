using System.Collections.Immutable;

namespace Routing.Cluster.Events;

/// <summary>How the leader changed: which member led before, which one leads now, and when each step came.</summary>
public sealed record FailoverStory
{
    /// <summary>The names of the phases, in their order.</summary>
    public static readonly ImmutableArray<string> PhaseNames =
        ["detected", "lease_free", "elected", "promoted", "first_write"];

    /// <summary>
    /// <c>switchover</c> when an operator asked for one, <c>start</c> for the first leader that is known of, else
    /// <c>failover</c>.
    /// </summary>
    public required string Kind { get; init; }

    /// <summary>The member that led before; null: none is known.</summary>
    public string? From { get; init; }

    /// <summary>The member that leads now; null: the leader key is still free.</summary>
    public string? To { get; init; }

    /// <summary>The new term; 0 while there is none.</summary>
    public long Term { get; init; }

    /// <summary>The new leader's timeline; 0 when unknown.</summary>
    public uint Timeline { get; init; }

    /// <summary>The first sign of the change; null: the end of the lease itself was the first.</summary>
    public ClusterEvent? Cause { get; init; }

    /// <summary>The new leader's decision to take the leader key; null when unknown.</summary>
    public ClusterEvent? Rule { get; init; }

    /// <summary>The members that the new leader asked before, with their answers; null: it asked none.</summary>
    public ClusterEvent? Race { get; init; }

    /// <summary>One per name of <see cref="PhaseNames"/>, in that order.</summary>
    public required ImmutableArray<StoryPhase> Phases { get; init; }

    /// <summary>Every phase is known.</summary>
    public bool IsComplete => Phases.All(phase => phase.Time is not null);

    /// <summary>From the first phase that is known to the last one.</summary>
    public TimeSpan Total
    {
        get
        {
            var times = Phases.Where(phase => phase.Time is not null).Select(phase => phase.Time!.Value).ToList();
            return times.Count > 0 ? times[^1] - times[0] : TimeSpan.Zero;
        }
    }
}

/// <summary>One phase of a change of leader.</summary>
/// <param name="Name">One of <see cref="FailoverStory.PhaseNames"/>.</param>
/// <param name="Time">When it was reached; null: not yet, or not known.</param>
/// <param name="Took">The time since the phase before that is known; null with <paramref name="Time"/>.</param>
/// <param name="Member">The member that tells it; null with <paramref name="Time"/>.</param>
/// <param name="Text">What happened, in one sentence; null with <paramref name="Time"/>.</param>
public sealed record StoryPhase(string Name, DateTimeOffset? Time, TimeSpan? Took, string? Member, string? Text);
