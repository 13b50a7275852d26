using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>
/// Copies logical slots from the leader to this standby: their state files, which a server reads when it starts.
/// </summary>
internal sealed partial class SlotCopy(
    ServerContext context, ServerStop stop, ServerStart start, Callbacks callbacks)
{
    /// <summary>A consumer that is quick is a moment ahead of every standby.</summary>
    private static readonly TimeSpan s_replayLimit = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_replayPoll = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromSeconds(60);

    private readonly ILogger _logger = context.Logger;
    private readonly SlotDirectory _directory = new(context.DataDirectory);

    /// <summary>
    /// Reads the slots from the leader, and restarts the standby with those that are fit; without one nothing restarts.
    /// </summary>
    public async Task<StepResult> CopyAsync(
        SlotCopyPlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        if (plan.Leader.Address is not { } address)
        {
            return StepResult.Failed($"{plan.Leader.Name} publishes no address");
        }
        try
        {
            progress.Report($"reads the slots of {plan.Leader.Name}");
            var notes = new List<string>();
            var fit = await FindFitAsync(plan, address, notes, cancellationToken);
            if (fit.Count == 0)
            {
                return notes.Count == 0
                    ? StepResult.Done("PostgreSQL's own slot synchronisation copies them")
                    : StepResult.Failed(string.Join("; ", notes));
            }
            return await LoadAsync(plan, fit, notes, progress, cancellationToken);
        }
        catch (Exception error) when (error is NpgsqlException or IOException or UnauthorizedAccessException
            or TimeoutException or InvalidDataException)
        {
            return StepResult.Failed($"could not copy slots of {plan.Leader.Name}: {error.Message}");
        }
    }

    /// <summary>The slots that this standby can have; why it can't have the others goes into the notes.</summary>
    private async Task<List<FitSlot>> FindFitAsync(
        SlotCopyPlan plan, HostPort address, List<string> notes, CancellationToken cancellationToken)
    {
        await using var local = await LocalSlots.OpenAsync(context, cancellationToken);
        if (local.Obstacle is { } obstacle)
        {
            notes.Add(obstacle);
            return [];
        }
        IReadOnlyList<LeaderSlot> found;
        await using (var leader = await LeaderSlots.OpenAsync(
            address, context.Users, context.Settings.Postgres.Database, cancellationToken))
        {
            if (leader.Major != local.Major)
            {
                notes.Add($"{plan.Leader.Name} has PostgreSQL {leader.Major} and this member {local.Major}: "
                    + "the files of slots differ");
                return [];
            }
            found = await leader.ReadAsync(plan.Slots.Keys, plan.SourceIsStandby, cancellationToken);
        }
        notes.AddRange(plan.Slots.Keys.Where(name => found.All(slot => slot.Name != name))
            .Select(name => $"{name}: {plan.Leader.Name} has no such logical slot"));
        var fit = new List<FitSlot>();
        foreach (var slot in found.Where(slot => !slot.IsSynced))
        {
            var (state, reason) = await RejectAsync(local, slot, plan.Slots[slot.Name], fit.Count, cancellationToken);
            if (reason is null)
            {
                fit.Add(new FitSlot(slot, state!, local.SegmentSize));
            }
            else
            {
                notes.Add($"{slot.Name}: {reason}");
            }
        }
        return fit;
    }

    /// <summary>Why this standby can't have the leader's slot; null: it can.</summary>
    private async Task<(SlotState? State, string? Reason)> RejectAsync(
        LocalSlots local, LeaderSlot slot, PermanentSlot wanted, int taken, CancellationToken cancellationToken)
    {
        if (Unfit(slot, wanted) is { } unfit)
        {
            return (null, unfit);
        }
        SlotState state;
        try
        {
            state = SlotState.Parse(slot.State);
        }
        catch (InvalidDataException damage)
        {
            return (null, damage.Message);
        }
        var reason = state.Name != slot.Name ? $"its state file belongs to {state.Name}"
            : !state.IsPersistent ? "the leader is still making it"
            : state.Database == 0 || state.RestartLsn == Lsn.Zero ? "its state file reserves no WAL"
            : await local.RejectAsync(slot, state, taken, cancellationToken);
        if (reason is null && !_directory.HasWal(state.RestartLsn, local.SegmentSize))
        {
            reason = $"the WAL from {state.RestartLsn} on is not here; it is copied when its consumer has gone on";
        }
        return (state, reason ?? await WaitForReplayAsync(local, slot, cancellationToken));
    }

    private static string? Unfit(LeaderSlot slot, PermanentSlot wanted) =>
        slot.IsLost ? "the leader's own slot is lost"
        : slot.Database != wanted.Database || slot.Plugin != wanted.Plugin
            ? $"the leader's slot is one of database {slot.Database} and plugin {slot.Plugin}, configured are "
                + $"{wanted.Database} and {wanted.Plugin}"
        : slot.State is null ? "the leader has no state file of it yet"
        : null;

    private async Task<string?> WaitForReplayAsync(
        LocalSlots local, LeaderSlot slot, CancellationToken cancellationToken)
    {
        var began = context.Time.GetTimestamp();
        while (await local.ReplayedAsync(cancellationToken) is var replayed && replayed < slot.Confirmed)
        {
            if (context.Time.GetElapsedTime(began) > s_replayLimit)
            {
                return $"its consumer has confirmed {slot.Confirmed}, and this standby has replayed {replayed} only";
            }
            await Task.Delay(s_replayPoll, context.Time, cancellationToken);
        }
        return null;
    }

    private async Task<StepResult> LoadAsync(
        SlotCopyPlan plan, List<FitSlot> fit, List<string> notes, IProgress<string> progress,
        CancellationToken cancellationToken)
    {
        progress.Report("stops PostgreSQL");
        var stopped = await stop.StopAsync(
            new StopPlan(StopMode.Fast, Checkpoint: true, EscalateAfter: s_stopLimit), cancellationToken);
        if (!stopped.Ok)
        {
            return stopped;
        }
        cancellationToken.ThrowIfCancellationRequested();
        if (!context.Files.HasRecoverySignal)
        {
            return StepResult.Failed("is no standby any more: its slots are its own");
        }
        var written = Write(fit, notes);
        progress.Report("starts PostgreSQL");
        var startPlan = new StartPlan(AsPrimary: false, plan.Upstream, null);
        var outcome = await start.StartAsync(startPlan, cancellationToken);
        if (outcome == StartOutcome.Failed)
        {
            var problem = context.Memory.StartProblem;
            written.ForEach(_directory.Remove);
            outcome = await start.StartAsync(startPlan, cancellationToken);
            return StepResult.Failed($"did not start with the copied slots ({problem}); they were removed, and it "
                + (outcome == StartOutcome.Failed ? "does not start without them either" : "runs without them"));
        }
        callbacks.Start("on_restart", plan.Role);
        return written.Count == 0
            ? StepResult.Failed(string.Join("; ", notes))
            : StepResult.Done(
                $"copied {string.Join(", ", written)} from {plan.Leader.Name}"
                + (notes.Count > 0 ? $"; not copied: {string.Join("; ", notes)}" : "")
                + (outcome == StartOutcome.StillStarting ? "; PostgreSQL is still starting" : ""));
    }

    private List<string> Write(List<FitSlot> fit, List<string> notes)
    {
        var written = new List<string>();
        foreach (var (slot, state, segmentSize) in fit)
        {
            try
            {
                // The stop may have removed WAL that nothing needed until then.
                if (!_directory.HasWal(state.RestartLsn, segmentSize))
                {
                    notes.Add($"{slot.Name}: the WAL from {state.RestartLsn} on is not here any more");
                    continue;
                }
                _directory.Write(slot.Name, slot.State!);
                written.Add(slot.Name);
                LogCopied(slot.Name, slot.Confirmed, state.RestartLsn, state.CatalogXmin);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                notes.Add($"{slot.Name}: {error.Message}");
            }
        }
        return written;
    }

    [LoggerMessage(EventId = 2091, Level = LogLevel.Information,
        Message = "Copied the logical slot {Slot} from the leader: confirmed {Confirmed}, needs WAL from {Restart} and "
            + "catalog rows from transaction {CatalogXmin} on")]
    private partial void LogCopied(string slot, Lsn confirmed, Lsn restart, uint catalogXmin);

    private sealed record FitSlot(LeaderSlot Slot, SlotState State, uint SegmentSize);
}
