using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Slots;

namespace Routing.Agent.Loop;

// The replication slots that a run looks after.
internal sealed partial class AgentLoop
{
    private SlotMemory _slotMemory = SlotMemory.Empty;

    private async Task TendSlotsAsync(Observation o, CancellationToken cancellationToken)
    {
        if (o.Local.Server != ServerState.Running || !o.Config.UseSlots || SlotBasis.Of(o) is not { } basis)
        {
            return;
        }
        var plan = PlanSlots(o, basis);
        if (plan.Actions.Length > 0)
        {
            try
            {
                var result = await _postgres.MaintainSlotsAsync(plan, cancellationToken);
                if (!result.Ok)
                {
                    LogSlots(result.Detail);
                }
            }
            catch (OperationCanceledException)
            {
                LogSlots("the lease left no more time");
            }
        }
    }

    /// <summary>
    /// What a leader without the DCS tells its members of its slots: as they are now, not as the status key had them.
    /// </summary>
    private ImmutableSortedDictionary<string, Lsn> SlotsToTell(Observation o) =>
        (o.Local.Server == ServerState.Running
            ? PlanSlots(o, new SlotBasis(o.Cluster!, DcsIsSilent: true)).PublishedSlots
            : null)
        ?? o.Cluster!.Status.Slots;

    private SlotPlan PlanSlots(Observation o, SlotBasis basis)
    {
        var plan = SlotPlanner.Plan(new SlotObservation
        {
            Self = _member.Name,
            Cluster = basis.Cluster,
            Config = o.Config,
            Tags = _member.Tags,
            IsLeader = o.Lease.HoldsLeader,
            IsPrimary = o.Local.IsPrimary,
            ServerMajor = o.Local.ServerVersion / 10000,
            Slots = o.Local.Slots,
            Lsn = o.Local.WalPosition,
            ReplayLsn = o.Local.ReplayedLsn,
            DcsIsSilent = basis.DcsIsSilent,
            Now = o.Now,
            Memory = _slotMemory,
        });
        _slotMemory = plan.Memory;
        return plan;
    }

    [LoggerMessage(EventId = 1006, Level = LogLevel.Warning, Message = "Replication slots: {Problem}")]
    private partial void LogSlots(string problem);
}
