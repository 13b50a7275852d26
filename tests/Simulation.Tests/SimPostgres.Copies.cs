using System.Collections.Immutable;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Rewind;

namespace Routing.Simulation.Tests;

// New databases, copies and rewinds. Each of them can be interrupted in the middle.
internal sealed partial class SimPostgres
{
    public async Task<StepResult> BootstrapAsync(
        IProgress<string> progress, Action<CopyProgress>? onCopied, CancellationToken cancellationToken)
    {
        LongVerbBegins?.Invoke("a bootstrap");
        if (!server.IsEmpty && !server.IsMarkedUnfinished)
        {
            return StepResult.Failed("the directory is not empty");
        }
        _isFilling = true;
        try
        {
            server.BeginFilling($"7{world.Random.NextInt64(100_000_000_000_000_000, 999_999_999_999_999_999)}");
            await Delay(200, 1000, cancellationToken);
            server.Initialize(server.SystemId!);
            server.Start(asPrimary: true, null);
            await UntilAsync(() => server.Life is not Life.Starting, null, cancellationToken);
            await Delay(50, 500, cancellationToken);   // roles and scripts
            if (!server.AcceptsWrites)
            {
                return StepResult.Failed("PostgreSQL did not start");
            }
            server.FinishFilling();
            return StepResult.Done("made a new cluster");
        }
        finally
        {
            _isFilling = false;
        }
    }

    public async Task<StepResult> MoveDataDirectoryAwayAsync(CancellationToken cancellationToken)
    {
        server.Kill("its bootstrap is abandoned");
        await Delay(5, 50, cancellationToken);
        server.Erase();
        server.FinishFilling();
        return StepResult.Done("moved away");
    }

    public async Task<StepResult> CloneAsync(
        ClonePlan plan, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var source = plan.Source;
        if (source?.Address is not { } address)
        {
            return StepResult.Failed("no source");
        }
        LongVerbBegins?.Invoke("a copy");
        if (server.IsDiskFull)
        {
            await Delay(5, 500, cancellationToken);
            return StepResult.Failed("no space left on device");
        }
        if (plan.Replaces && !server.IsEmpty)
        {
            return await ReplaceAsync(source, address, cancellationToken);
        }
        if (server.RewindObstacle is { } obstacle && !server.IsEmpty)
        {
            server.Corrupted?.Invoke($"{server.Name} removes its data because of a passing obstacle: {obstacle}");
        }
        if (server.IsKnownDiverged && options.MayRemoveDivergedData)
        {
            // remove_data_directory_on_diverged_timelines says so, whoever has put the data there.
            server.GiveUpByHand();
        }
        var from = network.ServerAt(address.Port);
        server.BeginFilling(from?.SystemId);
        if (await ReadFromAsync(from, options.CopyTime ?? server.Times.Copy(), cancellationToken) is { } problem)
        {
            server.Erase();
            return StepResult.Failed($"{source.Name}: {problem}");
        }
        server.CopyFrom(from!);
        return StepResult.Done("copied");
    }

    /// <summary>By an operator's order: the data are marked, and stay until the copy is whole.</summary>
    private async Task<StepResult> ReplaceAsync(Member source, HostPort address, CancellationToken cancellationToken)
    {
        if (server.AcceptsWrites)
        {
            server.Corrupted?.Invoke($"{server.Name}: the data of a running primary are replaced");
        }
        server.MarkToBeReplaced();
        var from = network.ServerAt(address.Port);
        if (await ReadFromAsync(from, options.CopyTime ?? server.Times.Copy(), cancellationToken) is { } problem)
        {
            return StepResult.Failed($"{source.Name}: {problem}");
        }
        server.CopyFrom(from!);
        return StepResult.Done("copied");
    }

    public async Task<DivergenceResult> CheckDivergenceAsync(Member primary, CancellationToken cancellationToken)
    {
        await Delay(2, 100, cancellationToken);
        if (primary.Address is not { } address || network.ServerAt(address.Port) is not { AcceptsWrites: true } source
            || !Reaches(source))
        {
            return new(Divergence.CannotTell, $"{primary.Name} could not be asked");
        }
        var seen = Look();
        if (seen.Control is not { } control)
        {
            return new(Divergence.CannotTell, "no pg_control");
        }
        var wasInRecovery = seen.HasProcess
            ? !seen.IsPrimary
            : control.State is ControlState.ShutDownInRecovery or ControlState.InArchiveRecovery;
        var decision = DivergenceCheck.Decide(new DivergenceObservation
        {
            LocalTimeline = seen.Timeline,
            LocalLsn =
                !wasInRecovery ? control.Checkpoint : seen.HasProcess ? seen.ReplayedLsn : control.MinimumRecoveryEnd,
            WasInRecovery = wasInRecovery,
            PrimaryTimeline = source.Timeline,
            PrimaryHistory = [
                .. source.History.Select(h => new TimelineSwitch(h.Timeline, new Lsn(h.SwitchPoint), ""))],
            ShutdownCheckpointEnd =
                !seen.HasProcess && control.State == ControlState.ShutDown ? new Lsn(server.End) : null,
        });
        server.IsKnownDiverged = decision.IsDiverged;
        world.Note(server.Name, $"compared with {source.Name}: {decision.Reason}");
        return new(decision.IsDiverged ? Divergence.Diverged : Divergence.None, decision.Reason);
    }

    public async Task<ImmutableArray<RemoteServer>> AskRemoteAsync(
        ImmutableArray<HostPort> hosts, CancellationToken cancellationToken)
    {
        await Delay(2, 100, cancellationToken);
        return [.. hosts.Select(host => network.ServerAt(host.Port) is { } source && Reaches(source)
            ? new RemoteServer(host, null)
            {
                SystemId = source.SystemId,
                Timeline = source.Timeline,
                IsInRecovery = !source.AcceptsWrites,
                Position = new Lsn(source.End),
            }
            : new RemoteServer(host, "it cannot be reached"))];
    }

    public async Task<StepResult> RewindAsync(
        Member primary, IProgress<string> progress, CancellationToken cancellationToken)
    {
        LongVerbBegins?.Invoke("a rewind");
        server.RewindObstacle = null;
        await StopAsync(new StopPlan(StopMode.Fast, EscalateAfter: TimeSpan.FromSeconds(60)), cancellationToken);
        if (server.Control is not (ControlState.ShutDown or ControlState.ShutDownInRecovery))
        {
            if (!server.RecoverAlone(options.RecoveryIsSlow ? TimeSpan.FromSeconds(15) : server.Times.Recovery()))
            {
                server.RewindObstacle = "another process runs on the data";
                return Obstacle("lock file \"postmaster.pid\" already exists");
            }
            try
            {
                await UntilAsync(() => !server.IsAlone, null, cancellationToken);
            }
            catch (OperationCanceledException)
            {
                server.Kill("the recovery is cancelled");
                throw;
            }
            if (server.Control != ControlState.ShutDown)
            {
                return Obstacle("the server in single-user mode was killed");
            }
        }
        if (primary.Address is not { } address || network.ServerAt(address.Port) is not { AcceptsWrites: true } source
            || !Reaches(source))
        {
            return Obstacle($"{primary.Name} cannot be reached");
        }
        // pg_rewind goes by the source's pg_control: before the checkpoint it would find nothing to do.
        await UntilAsync(() => source.ControlTimeline == source.Timeline || !Reaches(source), TimeSpan.FromSeconds(60),
            cancellationToken);
        if (source.ControlTimeline != source.Timeline || !source.AcceptsWrites)
        {
            return Obstacle($"{primary.Name} has not written a checkpoint since its promotion");
        }
        if (server.IsDiskFull)
        {
            return Obstacle("no space left on device");
        }
        await Delay(10, 200, cancellationToken);   // it reads the WAL of both
        server.BeginRewind();
        if (await ReadFromAsync(source, options.CopyTime ?? server.Times.Copy(), cancellationToken) is { } problem)
        {
            return Obstacle($"{primary.Name}: {problem}");
        }
        server.CopyFrom(source);
        return StepResult.Done("rewound");
    }

    private static StepResult Obstacle(string detail) => StepResult.Failed(detail) with { IsObstacle = true };

    /// <summary>
    /// Reads from another server for a while. A source that goes dark is given up after its keepalives.
    /// </summary>
    /// <returns>What went wrong; null: nothing.</returns>
    private async Task<string?> ReadFromAsync(SimServer? source, TimeSpan takes, CancellationToken cancellationToken)
    {
        if (source is null || !Reaches(source))
        {
            await Delay(5, 500, cancellationToken);
            return "it cannot be reached";
        }
        var (pid, timeline) = (source.Pid, source.Timeline);
        var silentSince = (long?)null;
        for (var left = takes; left > TimeSpan.Zero;)
        {
            var step = left < s_step ? left : s_step;
            await Task.Delay(step, time, cancellationToken);
            if (network.CanTalk(server.Name, source.Name) && !source.IsFrozen)
            {
                silentSince = null;
                if (source.Pid != pid)
                {
                    return "it went away";
                }
                left -= step;
            }
            else
            {
                silentSince ??= time.GetTimestamp();
                if (options.GivesSilentSourcesUp && time.GetElapsedTime(silentSince.Value) > s_keepalive)
                {
                    return "it does not answer any more";
                }
            }
        }
        return source.Timeline == timeline && source.Pid == pid ? null : "it went away";
    }
}
