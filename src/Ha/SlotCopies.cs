using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Slots;

namespace Routing.Ha;

/// <summary>
/// Decides which logical slots a standby has to copy: from its leader, and the leader of a standby cluster from the
/// remote primary.
/// </summary>
public static class SlotCopies
{
    /// <summary>
    /// Permanent logical slots that the leader has published, or the remote primary has told, and that this standby
    /// lacks, or can't advance; empty: none is due, or nothing may be copied now.
    /// </summary>
    public static ImmutableArray<string> Due(Observation observation)
    {
        if (observation.Local is not { Server: ServerState.Running, IsPrimary: false }
            || !observation.Config.PermanentSlots.Values.Any(slot => slot.IsLogical)
            || SlotBasis.Of(observation) is not { DcsIsSilent: false } basis)
        {
            return [];
        }
        var o = basis.Observe(observation, SlotMemory.Empty);
        if (SlotSource.Positions(o) is not { } positions)
        {
            return [];
        }
        var problems = ImmutableArray.CreateBuilder<string>();
        return
        [
            .. from want in WantedSlots.Find(o, [], problems).Values
               where want.IsLogical && positions.ContainsKey(want.Name)
                   && !o.Config.IgnoreSlots.Any(matcher => SlotPlanner.Matches(matcher, want))
               let present = o.Slots.FirstOrDefault(slot => slot.Name == want.Name)
               where present is null || IsBroken(o, present, want)
               select want.Name,
        ];
    }

    private static bool IsBroken(SlotObservation o, ReplicationSlot slot, WantedSlot want) =>
        slot.IsLogical && !slot.Active && slot.Database == want.Database && slot.Plugin == want.Plugin
        && !(slot.Failover && ServerFeatures.HasSlotSync(o.ServerMajor)) && o.Report.Broken.Contains(slot.Name);
}
