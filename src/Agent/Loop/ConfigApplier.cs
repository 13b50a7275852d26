using Microsoft.Extensions.Logging;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Applies a changed configuration to PostgreSQL, and the settings that its role needs.</summary>
internal sealed partial class ConfigApplier(
    IPostgres postgres, JobSlot jobs, LoopClock clock, ILogger<ConfigApplier> logger)
{
    private (int Life, long Revision)? _applied;
    private Role? _appliedAs;
    private TimeSpan? _failedAt;
    private string? _problem;
    private string? _replayNote;
    private bool _reload;

    /// <summary>
    /// The local configuration has changed: it is applied with the next run. May be called by any thread.
    /// </summary>
    public void Reload() => Volatile.Write(ref _reload, true);

    /// <summary>What PostgreSQL needs has changed: the configuration is applied again with the next run.</summary>
    public void Again() => _applied = null;

    /// <summary>Applies a change ahead of every job that uses it: a start, a copy, a bootstrap.</summary>
    public async Task ApplyChangeAsync(Observation o, CancellationToken cancellationToken)
    {
        if (jobs.Current is not null || o.Cluster is null)
        {
            return;
        }
        postgres.LeadStandbyCluster(LeadsStandbyCluster(o));
        var revision = (o.Cluster.Life.Number, o.Config.ModRevision);
        if ((!Volatile.Read(ref _reload) && _applied == revision)
            || (_failedAt is { } failedAt && !Volatile.Read(ref _reload) && !MayApplyAgain(failedAt, o)))
        {
            return;
        }
        var reload = Interlocked.Exchange(ref _reload, false);   // a request that comes at this moment is not lost
        var result = await postgres.ApplyConfigurationAsync(o.Config, reload, cancellationToken);
        if (result.Ok)
        {
            (_applied, _failedAt, _problem) = (revision, null, null);
        }
        else
        {
            _applied = null;
            NoteFailure(result.Detail);
        }
        if (reload && o.Local.HasProcess)
        {
            postgres.RunCallback("on_reload", Published.Role(o));
        }
    }

    /// <summary>Applies what this role needs, and lets a standby replay that was left paused.</summary>
    /// <param name="o">What was seen.</param>
    /// <param name="cancellationToken">
    /// Ends it when the lease reaches its margin: then only the next run counts.
    /// </param>
    public async Task TendAsync(Observation o, CancellationToken cancellationToken)
    {
        var role = o.Local.IsPrimary ? Role.Primary : LeadsStandbyCluster(o) ? Role.StandbyLeader : Role.Replica;
        if (o.Local.Server == ServerState.Running && _appliedAs != role
            && (_failedAt is not { } failedAt || MayApplyAgain(failedAt, o)))
        {
            // A start has written the settings of its role; a promotion has no time for that, so they are written now.
            _appliedAs = null;   // until the settings are applied
            postgres.LeadStandbyCluster(role == Role.StandbyLeader);
            try
            {
                var result = await postgres.ApplyConfigurationAsync(o.Config, force: false, cancellationToken);
                if (result.Ok)
                {
                    _appliedAs = role;
                }
                else
                {
                    NoteFailure(result.Detail);
                }
            }
            catch (OperationCanceledException)
            {
                NoteFailure("the configuration could not be applied: the lease left no more time");
            }
        }
        if (o.Local is { Server: ServerState.Running, IsPrimary: false, ReplayPaused: true } && !o.Paused)
        {
            var detail = await ResumeReplayAsync(cancellationToken);
            if (detail != _replayNote)
            {
                LogReplay(_replayNote = detail);
            }
        }
    }

    private async Task<string> ResumeReplayAsync(CancellationToken cancellationToken)
    {
        try
        {
            return (await postgres.ResumeReplayAsync(cancellationToken)).Detail;
        }
        catch (OperationCanceledException)
        {
            return "replay could not be resumed: the lease left no more time";
        }
    }

    private static bool LeadsStandbyCluster(Observation o) => o.IsStandbyCluster && o.Leader == o.Self;

    private void NoteFailure(string problem)
    {
        _failedAt = clock.Now;
        if (problem != _problem)
        {
            LogNotApplied(_problem = problem);
        }
    }

    /// <summary>Once per loop_wait, and of a server that answers.</summary>
    private bool MayApplyAgain(TimeSpan failedAt, Observation o) =>
        clock.Now - failedAt >= o.Timing.LoopWait
        && (!o.Local.HasProcess || o.Local.Server == ServerState.Running);

    [LoggerMessage(EventId = 1010, Level = LogLevel.Warning,
        Message = "The configuration could not be applied to PostgreSQL, and will be tried again: {Problem}")]
    private partial void LogNotApplied(string problem);

    [LoggerMessage(EventId = 1019, Level = LogLevel.Warning, Message = "Replay is paused: {Detail}")]
    private partial void LogReplay(string detail);
}
