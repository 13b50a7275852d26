using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha.Slots;

/// <summary>
/// What a check of a standby's logical slots holds for: another leader, another term or another start of the local
/// server, and it is made again.
/// </summary>
/// <param name="Leader">
/// The member that leads; for the leader of a standby cluster: the remote primary, in words.
/// </param>
/// <param name="Term">The leader's term; of the remote primary: none.</param>
/// <param name="PostmasterStart">When the local server was started.</param>
public sealed record SlotGround(string Leader, Term Term, DateTimeOffset? PostmasterStart);

/// <summary>
/// What a standby has to ask the leader's server before its copies of logical slots are known to be safe. The leader of
/// a standby cluster asks the remote primary, and goes on to ask, as nobody else tells it how far the consumers are.
/// </summary>
/// <param name="Ground">What the answer will hold for.</param>
/// <param name="Address">The leader's server.</param>
/// <param name="PhysicalSlot">
/// The slot on the leader that this standby streams from; of a cascading standby: the slot of its upstream. Null: it
/// streams without one.
/// </param>
/// <param name="Names">The logical slots whose state on the leader is not known yet.</param>
public sealed record LeaderSlotQuestion(
    SlotGround Ground, HostPort Address, string? PhysicalSlot, ImmutableArray<string> Names);

/// <summary>The leader's answer.</summary>
/// <param name="Ground">What it holds for.</param>
/// <param name="HasPhysicalSlot">The slot that this standby streams from exists.</param>
/// <param name="PhysicalCatalogXmin">
/// The oldest transaction whose catalog rows that slot keeps; null: it keeps none, because nothing has asked for it.
/// </param>
/// <param name="CatalogXmins">The same of each logical slot that was asked for and exists.</param>
public sealed record LeaderSlotAnswer(
    SlotGround Ground, bool HasPhysicalSlot, uint? PhysicalCatalogXmin,
    ImmutableSortedDictionary<string, uint> CatalogXmins)
{
    /// <summary>What the consumer of each of these logical slots has confirmed.</summary>
    public ImmutableSortedDictionary<string, Lsn> Confirmed { get; init; } =
        ImmutableSortedDictionary<string, Lsn>.Empty.WithComparers(StringComparer.Ordinal);
}

/// <summary>What the work beside the loop has found out about the logical slots of this member.</summary>
public sealed record LogicalSlotReport
{
    /// <summary>Nothing yet.</summary>
    public static readonly LogicalSlotReport None = new();

    /// <summary>Slots that can't be advanced here: their WAL is gone, or they are invalid. To be copied anew.</summary>
    public ImmutableSortedSet<string> Broken { get; init; } =
        ImmutableSortedSet.Create<string>(StringComparer.Ordinal);

    /// <summary>The leader's last answer; null: none yet.</summary>
    public LeaderSlotAnswer? Answer { get; init; }
}
