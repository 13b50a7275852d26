using Routing.Agent.Postgres.Files;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Tells the two moments of a shutdown that others wait for, each once.</summary>
internal sealed class ShutdownWatch(string dataDirectory, StopPlan plan)
{
    private bool _safe;
    private bool _written;

    /// <summary>
    /// The server sets "shutting down" when its last session has ended, and "shut down" when its last record is
    /// written; it still waits then until its standbys have that record.
    /// </summary>
    public async ValueTask LookAsync(CancellationToken cancellationToken)
    {
        if (_written || plan is { OnSafepoint: null, OnShutdownCheckpoint: null })
        {
            return;
        }
        var control = DataDirectoryState.Look(dataDirectory, inUse: true).Control?.File;
        if (control is { State: ControlState.ShuttingDown or ControlState.ShutDown
            or ControlState.ShutDownInRecovery })
        {
            await TellSafeAsync(cancellationToken);
        }
        if (control is { State: ControlState.ShutDown })
        {
            _written = true;
            if (plan.OnShutdownCheckpoint is { } tell)
            {
                await tell(control.Checkpoint, cancellationToken);
            }
        }
    }

    /// <summary>The server has ended: tells what it has not told yet.</summary>
    public async ValueTask FinishAsync(CancellationToken cancellationToken)
    {
        await TellSafeAsync(cancellationToken);
        await LookAsync(cancellationToken);
    }

    private async ValueTask TellSafeAsync(CancellationToken cancellationToken)
    {
        if (!_safe)
        {
            _safe = true;
            if (plan.OnSafepoint is { } tell)
            {
                await tell(cancellationToken);
            }
        }
    }
}
