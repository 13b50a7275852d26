using Microsoft.Extensions.Logging;
using Routing.Ha;

namespace Routing.Agent.Loop;

// What a run does for a server besides its role: its settings. Its slots have a file of their own.
internal sealed partial class AgentLoop
{
    private string? _replayNote;

    /// <summary>The configuration comes before every job that uses it: a start, a copy, a bootstrap.</summary>
    private async Task ApplyConfigurationAsync(Observation o, CancellationToken cancellationToken)
    {
        if (_jobs.Current is not null || o.Cluster is null
            || (!_reload && _appliedConfigRevision == _config.ModRevision)
            || (_applyFailedAt is { } failedAt && !_reload && !MayApplyAgain(failedAt, o)))
        {
            return;
        }
        var (reload, revision) = (_reload, _config.ModRevision);
        _reload = false;
        var result = await _postgres.ApplyConfigurationAsync(_config, reload, cancellationToken);
        if (result.Ok)
        {
            (_appliedConfigRevision, _applyFailedAt, _applyProblem) = (revision, null, null);
        }
        else
        {
            _appliedConfigRevision = -1;
            NoteFailedApply(result.Detail);
        }
        if (reload && o.Local.HasProcess)
        {
            _postgres.RunCallback("on_reload", Published.Role(o));
        }
    }

    private void NoteFailedApply(string problem)
    {
        _applyFailedAt = Now();
        if (problem != _applyProblem)
        {
            LogConfigProblem(_applyProblem = problem);
        }
    }

    /// <summary>Once per loop_wait, and of a server that answers.</summary>
    private bool MayApplyAgain(TimeSpan failedAt, Observation o) =>
        Now() - failedAt >= _timing.LoopWait && (!o.Local.HasProcess || o.Local.Server == ServerState.Running);

    /// <summary>What the server needs besides its role: the settings of this role, and its slots.</summary>
    /// <param name="o">What was seen.</param>
    /// <param name="cancellationToken">
    /// Ends it when the lease reaches its margin: then only the next run counts.
    /// </param>
    private async Task TendServerAsync(Observation o, CancellationToken cancellationToken)
    {
        if (_jobs.Current is not null || o.Cluster is null)
        {
            return;
        }
        await TendSettingsAsync(o, cancellationToken);
        await TendSlotsAsync(o, cancellationToken);
    }

    private async Task TendSettingsAsync(Observation o, CancellationToken cancellationToken)
    {
        if (o.Local.Server == ServerState.Running && _appliedAsPrimary != o.Local.IsPrimary
            && (_applyFailedAt is not { } failedAt || MayApplyAgain(failedAt, o)))
        {
            // A start writes what its role needs; a promotion has no time for that, and is over now.
            _appliedAsPrimary = null;   // until it is done
            try
            {
                var result = await _postgres.ApplyConfigurationAsync(_config, force: false, cancellationToken);
                if (result.Ok)
                {
                    _appliedAsPrimary = o.Local.IsPrimary;
                }
                else
                {
                    NoteFailedApply(result.Detail);
                }
            }
            catch (OperationCanceledException)
            {
                NoteFailedApply("the configuration could not be applied: the lease left no more time");
            }
        }
        if (o.Local is { Server: ServerState.Running, IsPrimary: false, ReplayPaused: true } && !o.Paused)
        {
            var resumed = await _postgres.ResumeReplayAsync(cancellationToken);
            if (resumed.Detail != _replayNote)
            {
                LogReplay(_replayNote = resumed.Detail);
            }
        }
    }

    [LoggerMessage(EventId = 1019, Level = LogLevel.Warning, Message = "Replay is paused: {Detail}")]
    private partial void LogReplay(string detail);
}
