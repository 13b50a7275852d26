using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>One thing to do to a replication slot: data alone.</summary>
/// <param name="Name">The slot's name.</param>
/// <param name="Reason">Why, in a few words for the log.</param>
public abstract record SlotAction(string Name, string Reason)
{
    /// <summary>Create a physical slot that reserves WAL at once.</summary>
    public sealed record CreatePhysical(string Name, string Reason) : SlotAction(Name, Reason);

    /// <summary>Create a logical slot (on the primary).</summary>
    /// <param name="Name">The slot's name.</param>
    /// <param name="Database">The slot's database.</param>
    /// <param name="Plugin">The slot's output plugin.</param>
    /// <param name="Reason">Why, in a few words for the log.</param>
    public sealed record CreateLogical(string Name, string Database, string Plugin, string Reason)
        : SlotAction(Name, Reason);

    /// <summary>Advance a slot.</summary>
    /// <param name="Name">The slot's name.</param>
    /// <param name="Database">The database to connect to for a logical slot; null for a physical one.</param>
    /// <param name="To">The position; never beyond what is present locally.</param>
    /// <param name="Reason">Why, in a few words for the log.</param>
    public sealed record Advance(string Name, string? Database, Lsn To, string Reason) : SlotAction(Name, Reason);

    /// <summary>Drop a slot that no connection streams from.</summary>
    public sealed record Drop(string Name, string Reason) : SlotAction(Name, Reason);

    /// <summary>
    /// The action may take long, because it decodes WAL or waits for running transactions. The loop does not wait for
    /// it.
    /// </summary>
    public bool MayTakeLong => this is CreateLogical or Advance { Database: not null };
}

/// <summary>What to do about the local replication slots, and what to publish about them.</summary>
/// <param name="Actions">In order; a failed one is repeated by the next run.</param>
/// <param name="PublishedSlots">
/// The leader's slots: the <c>slots</c> field of the status key, and of what it tells the members in failsafe mode.
/// Null: nothing to publish, keep what is there.
/// </param>
/// <param name="RetainSlots">
/// The <c>retain_slots</c> field of the status key; null: nothing to publish, keep what is there.
/// </param>
/// <param name="NeedsHotStandbyFeedback">
/// Whether <c>hot_standby_feedback</c> has to be on for the sake of logical slots.
/// </param>
/// <param name="Problems">
/// What an operator should know, one sentence each, such as two members whose slot names collide.
/// </param>
/// <param name="Memory">To be handed in with the next observation.</param>
public sealed record SlotPlan(
    ImmutableArray<SlotAction> Actions,
    ImmutableSortedDictionary<string, Lsn>? PublishedSlots,
    ImmutableSortedSet<string>? RetainSlots,
    bool NeedsHotStandbyFeedback,
    ImmutableArray<string> Problems,
    SlotMemory Memory)
{
    /// <summary>
    /// Standby: logical slots that are not known to be safe, should it be promoted now: the leader may have removed
    /// catalog rows that they need.
    /// </summary>
    public ImmutableSortedSet<string> Unready { get; init; } =
        ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    /// <summary>What to ask the leader's server about them; null: nothing.</summary>
    public LeaderSlotQuestion? Question { get; init; }
}
