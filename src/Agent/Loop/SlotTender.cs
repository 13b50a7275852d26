using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Slots;

namespace Routing.Agent.Loop;

/// <summary>Keeps this server's replication slots as the members need them.</summary>
internal sealed partial class SlotTender(IPostgres postgres, ILogger<SlotTender> logger)
{
    private SlotMemory _memory = SlotMemory.Empty;

    /// <summary>Creates, advances and drops slots.</summary>
    public async Task TendAsync(Observation o, CancellationToken cancellationToken)
    {
        if (o.Local.Server != ServerState.Running || !o.Config.UseSlots || SlotBasis.Of(o) is not { } basis)
        {
            return;
        }
        var plan = Plan(o, basis);
        if (plan.Actions.Length > 0)
        {
            try
            {
                var result = await postgres.MaintainSlotsAsync(plan, cancellationToken);
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
    public ImmutableSortedDictionary<string, Lsn> SlotsToTell(Observation o) =>
        (o.Local.Server == ServerState.Running
            ? Plan(o, new SlotBasis(o.Cluster!, DcsIsSilent: true)).PublishedSlots
            : null)
        ?? o.Cluster!.Status.Slots;

    /// <summary>What a leader publishes in the status key.</summary>
    public LeaderStatus StatusOf(Observation o)
    {
        var plan = Plan(o, new SlotBasis(o.Cluster!, DcsIsSilent: false));
        var seen = o.Cluster!.Status;
        return new LeaderStatus(o.Local.WalPosition, plan.PublishedSlots ?? seen.Slots,
            // Our own slot too: should we go, the next leader keeps the WAL that we need to come back.
            (plan.RetainSlots ?? seen.RetainSlots).Add(ReplicationSlotName.FromMember(o.Self)));
    }

    private SlotPlan Plan(Observation o, SlotBasis basis)
    {
        var plan = SlotPlanner.Plan(new SlotObservation
        {
            Self = o.Self,
            Cluster = basis.Cluster,
            Config = o.Config,
            Tags = o.Options.Tags,
            IsLeader = o.Lease.HoldsLeader,
            IsPrimary = o.Local.IsPrimary,
            ServerMajor = o.Local.ServerVersion / 10000,
            Slots = o.Local.Slots,
            Lsn = o.Local.WalPosition,
            ReplayLsn = o.Local.ReplayedLsn,
            DcsIsSilent = basis.DcsIsSilent,
            Now = o.Now,
            Memory = _memory,
        });
        _memory = plan.Memory;
        return plan;
    }

    [LoggerMessage(EventId = 1006, Level = LogLevel.Warning, Message = "Replication slots: {Problem}")]
    private partial void LogSlots(string problem);
}
