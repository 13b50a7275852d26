using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Events;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Ha;
using Routing.Ha.Slots;

namespace Routing.Agent.Loop;

/// <summary>Keeps this server's replication slots as the members and their consumers need them.</summary>
internal sealed partial class SlotTender(
    IPostgres postgres, LogicalSlotWorker worker, ConfigApplier applier, AgentEvents events,
    ILogger<SlotTender> logger)
{
    private SlotMemory _memory = SlotMemory.Empty;
    private ImmutableSortedSet<string> _unready = SlotMemory.Empty.Ready;
    private bool? _feedback;
    private readonly ToldOnce _problems = new();

    /// <summary>
    /// Takes note of what was decided: a job needs the server for itself, and a promotion makes slots usable that may
    /// not be safe.
    /// </summary>
    public void See(Observation o, Decision decision)
    {
        if (o.Ended is { Kind: JobKind.CopySlots })
        {
            worker.ForgetBroken();
        }
        if (decision.Actions.Any(action => action.IsJob))
        {
            worker.Cancel();
        }
        if (decision.Actions.Any(action => action is HaAction.Promote) && !_unready.IsEmpty)
        {
            var slots = string.Join(", ", _unready);
            LogUnsafe(slots);
            events.Append(EventKind.Warning, "slots_unsafe",
                $"logical replication slots might be unsafe to use after the promotion: {slots}", o.Lease.Term,
                o.Local.Timeline);
        }
    }

    /// <summary>Creates, advances and drops slots.</summary>
    public async Task TendAsync(Observation o, CancellationToken cancellationToken)
    {
        if (o.Local.Server != ServerState.Running || SlotBasis.Of(o) is not { } basis)
        {
            return;
        }
        var plan = Plan(o, basis);
        NoteFeedback(o, plan);
        NoteReadiness(o, plan);
        var problems = new List<string>(plan.Problems);
        var quick = plan.Actions.Where(action => !action.MayTakeLong).ToImmutableArray();
        if (quick.Length > 0)
        {
            try
            {
                var result = await postgres.MaintainSlotsAsync(quick, cancellationToken);
                if (!result.Ok)
                {
                    problems.Add(result.Detail);
                }
            }
            catch (OperationCanceledException)
            {
                problems.Add("the lease left no more time");
            }
        }
        TellProblems(problems);
        var rest = plan.Actions.Where(action => action.MayTakeLong).ToImmutableArray();
        if (rest.Length > 0 || plan.Question is not null)
        {
            worker.Begin(new LogicalSlotJob(rest, plan.Question));
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
            (plan.RetainSlots ?? seen.RetainSlots).Add(ReplicationSlotName.FromMember(o.Self)))
        {
            CurrentSite = o.Options.Site,
        };
    }

    private SlotPlan Plan(Observation o, SlotBasis basis)
    {
        var plan = SlotPlanner.Plan(basis.Observe(o, _memory));
        _memory = plan.Memory;
        return plan;
    }

    /// <summary>Without logical slots the configuration alone tells, and nothing is applied a second time.</summary>
    private void NoteFeedback(Observation o, SlotPlan plan)
    {
        if (plan.NeedsHotStandbyFeedback != _feedback
            && (_feedback is not null || o.Config.PermanentSlots.Values.Any(slot => slot.IsLogical)))
        {
            _feedback = plan.NeedsHotStandbyFeedback;
            postgres.NeedFeedback(plan.NeedsHotStandbyFeedback);
            applier.Again();
        }
    }

    private void NoteReadiness(Observation o, SlotPlan plan)
    {
        foreach (var name in _unready.Where(name => !o.Local.IsPrimary && plan.Memory.Ready.Contains(name)))
        {
            LogSafe(name);
        }
        _unready = plan.Unready;
    }

    private void TellProblems(List<string> problems)
    {
        if (_problems.News(problems) is { } news)
        {
            LogSlots(news);
        }
    }

    [LoggerMessage(EventId = 1006, Level = LogLevel.Warning, Message = "Replication slots: {Problem}")]
    private partial void LogSlots(string problem);

    [LoggerMessage(EventId = 1023, Level = LogLevel.Information,
        Message = "The logical slot {Slot} is safe to be used after a failover")]
    private partial void LogSafe(string slot);

    [LoggerMessage(EventId = 1024, Level = LogLevel.Warning,
        Message = "Logical replication slots that might be unsafe to use after promote: {Slots}. The leader before may "
            + "have removed catalog rows that they need; if decoding fails, drop them and set their consumers up anew")]
    private partial void LogUnsafe(string slots);
}
