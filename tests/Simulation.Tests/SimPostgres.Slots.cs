using System.Collections.Immutable;
using Routing.Agent.Postgres;
using Routing.Ha.Slots;

namespace Routing.Simulation.Tests;

// Replication slots, where the schedule has them.
internal sealed partial class SimPostgres
{
    public async Task<StepResult> MaintainSlotsAsync(
        ImmutableArray<SlotAction> actions, CancellationToken cancellationToken)
    {
        if (!options.HasSlots)
        {
            return StepResult.Done("has its slots");
        }
        await Delay(1, 30, cancellationToken);
        if (options.DropsUnusedSlots)
        {
            foreach (var slot in server.SlotRows().Where(slot => !slot.IsLogical && !slot.Active))
            {
                server.DropSlot(slot.Name);
            }
        }
        foreach (var action in actions)
        {
            switch (action)
            {
                case SlotAction.CreatePhysical create:
                    server.MakePhysicalSlot(create.Name);
                    break;
                case SlotAction.Advance advance:
                    server.AdvanceSlot(advance.Name, advance.To.Value);
                    break;
                case SlotAction.Drop drop:
                    server.DropSlot(drop.Name);
                    break;
                default:
                    break;
            }
        }
        return StepResult.Done("has its slots");
    }

    public async Task<LogicalSlotOutcome> WorkOnLogicalSlotsAsync(
        LogicalSlotJob job, CancellationToken cancellationToken)
    {
        var outcome = new LogicalSlotOutcome();
        if (!options.HasSlots)
        {
            return outcome;
        }
        foreach (var action in job.Actions)
        {
            await Delay(5, 500, cancellationToken);   // it decodes WAL, or waits for running transactions
            if (action is SlotAction.CreateLogical && !options.MakesNoLogicalSlots)
            {
                server.MakeLogicalSlot(action.Name);
            }
            else if (action is SlotAction.Advance advance
                && !server.AdvanceSlot(action.Name, options.AdvancesToReplay ? ulong.MaxValue : advance.To.Value))
            {
                outcome = outcome with { Broken = outcome.Broken.Add(action.Name) };
            }
        }
        return job.Question is { } question
            ? outcome with { Answer = await AskLeaderAsync(question, cancellationToken) }
            : outcome;
    }

    private async Task<LeaderSlotAnswer?> AskLeaderAsync(
        LeaderSlotQuestion question, CancellationToken cancellationToken)
    {
        await Delay(2, 100, cancellationToken);
        var xmins = ImmutableSortedDictionary.CreateBuilder<string, uint>(StringComparer.Ordinal);
        if (options.AssumesFeedback)
        {
            xmins.AddRange(question.Names.Select(name => KeyValuePair.Create(name, 3u)));
            return new LeaderSlotAnswer(question.Ground, true, 3, xmins.ToImmutable());
        }
        if (network.ServerAt(question.Address.Port) is not { Life: Life.Up } leader || !Reaches(leader))
        {
            return null;
        }
        foreach (var name in question.Names)
        {
            if (leader.Slot(name) is { IsLogical: true, CatalogXmin: { } xmin })
            {
                xmins[name] = xmin;
            }
        }
        var kept = question.PhysicalSlot is { } own ? leader.Slot(own) : null;
        return new LeaderSlotAnswer(question.Ground, kept is not null, kept?.CatalogXmin, xmins.ToImmutable());
    }

    public async Task<StepResult> CopySlotsAsync(
        SlotCopyPlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (!options.HasSlots)
        {
            return StepResult.Failed("has no logical slots");
        }
        LongVerbBegins?.Invoke("a copy of slots");
        await Delay(2, 100, cancellationToken);
        if (plan.Leader.Address is not { } address
            || network.ServerAt(address.Port) is not { } source || !Reaches(source)
            || !(source.AcceptsWrites || plan.SourceIsStandby))
        {
            return StepResult.Failed($"{plan.Leader.Name} cannot be reached");
        }
        var copies = plan.Slots.Keys.Select(source.Slot).OfType<SimSlot>()
            .Select(slot => (slot.Name, slot.Restart, slot.Confirmed, slot.CatalogXmin)).ToList();
        await StopAsync(new StopPlan(StopMode.Fast, EscalateAfter: TimeSpan.FromSeconds(60)), cancellationToken);
        foreach (var (name, restart, confirmed, catalogXmin) in copies)
        {
            server.LoadSlot(name, restart, confirmed, catalogXmin);
        }
        return await StartAsync(new StartPlan(false, plan.Upstream, null), cancellationToken) == StartOutcome.Running
            ? StepResult.Done("has the slots of its leader")
            : StepResult.Failed("PostgreSQL did not start");
    }
}
