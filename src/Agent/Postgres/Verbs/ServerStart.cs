using Routing.Agent.Native;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Starts the server.</summary>
internal sealed class ServerStart(
    ServerContext context, ServerFiles files, PostmasterLaunch launch, SingleUserRecovery singleUser)
{
    private static readonly IProgress<string> s_untold = new Progress<string>();

    /// <summary>Starts it in a role; waits for one that runs already.</summary>
    public async Task<StartOutcome> StartAsync(StartPlan plan, CancellationToken cancellationToken)
    {
        var role = plan.AsPrimary ? Role.Primary : Role.Replica;
        var effective = await context.Settings.ForAsync(role, cancellationToken);
        var timeout = plan.Timeout ?? effective.Config.StartStopTimeout;
        try
        {
            if (context.Postmaster.Find() is { } running)
            {
                plan.OnPostmaster?.Invoke(running.Pid);
                return await launch.WaitUntilReadyAsync(running, timeout, WatchOf(plan), cancellationToken);
            }
            await launch.ClearGroundAsync(cancellationToken);
            var process = await SpawnAsync(plan, effective, cancellationToken);
            plan.OnPostmaster?.Invoke(process.Pid);
            var outcome = await launch.WaitUntilReadyAsync(process, timeout, WatchOf(plan), cancellationToken);
            if (outcome == StartOutcome.Failed && PutAccessFilesBack())
            {
                process = await SpawnAsync(plan, effective, cancellationToken);
                plan.OnPostmaster?.Invoke(process.Pid);
                outcome = await launch.WaitUntilReadyAsync(process, timeout, WatchOf(plan), cancellationToken);
            }
            return outcome;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return launch.Fail(error.Message);
        }
    }

    /// <summary>Null: nobody wants to know, or nothing can be measured, which keeps no server from its start.</summary>
    private ReplayWatch? WatchOf(StartPlan plan)
    {
        try
        {
            return plan.Progress is { } progress
                ? new ReplayWatch(context, "starting", progress, plan.OnReplayed)
                : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return null;
        }
    }

    /// <summary>
    /// pg_hba.conf or pg_ident.conf keep the server from starting: the last ones that it accepted take their place. It
    /// must not stay down for a line about access.
    /// </summary>
    private bool PutAccessFilesBack()
    {
        var changed = false;
        foreach (var path in new[] { context.Files.Hba, context.Files.Ident }.Where(
            path => context.Memory.StartProblem.Contains(path, StringComparison.Ordinal)))
        {
            if (context.Files.Refuse(path, context.Files.LastGood(path)))
            {
                context.Notes.Refused(path, context.Memory.StartProblem);
                changed = true;
            }
        }
        return changed;
    }

    private async Task<PidFd> SpawnAsync(
        StartPlan plan, EffectiveSettings effective, CancellationToken cancellationToken)
    {
        context.Filling.MarkFinished();
        // A file that is gone comes back as PostgreSQL accepted it last; a new configuration directory gets what the
        // data directory has.
        context.Files.TakeOverFromDataDirectory();
        context.Files.RestoreCopies();
        if (plan is { AsPrimary: false, Upstream: null }
            && await singleUser.LeaveMinimalWalAsync(plan.Progress ?? s_untold, cancellationToken)
                is { Ok: false } failed)
        {
            throw new IOException(failed.Detail);
        }
        var raised = plan.AsPrimary ? [] : StandbyLimits.Raised(effective.Config, context.DataDirectory);
        await files.WriteAsync(effective, plan.AsPrimary, plan.Upstream, raised, cancellationToken);
        if (plan.AsPrimary)
        {
            context.Files.RemoveSignals();
        }
        else
        {
            TimelineReservations.Drop(context.DataDirectory);
            context.Files.SignalStandby();
        }
        return launch.Spawn(effective.Config, raised);
    }
}
