using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Files;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Tells how far a server has replayed while a job waits for it.</summary>
/// <param name="context">The server.</param>
/// <param name="doing">What the job does, for example <c>starting</c>.</param>
/// <param name="progress">Gets a sentence every second.</param>
/// <param name="onReplayed">Gets the numbers.</param>
internal sealed partial class ReplayWatch(
    ServerContext context, string doing, IProgress<string> progress, Action<CopyProgress>? onReplayed)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_betweenReports = TimeSpan.FromSeconds(10);

    private readonly ILogger _logger = context.Logger;
    private readonly ReplayMeter _meter = new(context.DataDirectory, context.Time);
    private long _looked = context.Time.GetTimestamp();
    private long _reported = context.Time.GetTimestamp();

    /// <summary>Takes the end from the recovery settings of the server.</summary>
    /// <param name="recovery">Its <c>recovery_target…</c>; a time without an offset tells nothing.</param>
    public ReplayWatch EndingAt(IReadOnlyDictionary<string, string> recovery)
    {
        _meter.EndAt(
            Lsn.TryParse(recovery.GetValueOrDefault("recovery_target_lsn"), out var lsn) ? lsn : null,
            TargetTime.Read(recovery.GetValueOrDefault("recovery_target_time")));
        return this;
    }

    /// <summary>Looks at a server that answers no question; at most every second.</summary>
    public void Look(PidFd process)
    {
        if (IsTime() && _meter.Look(process.Pid) is { } replayed)
        {
            Tell(replayed);
        }
    }

    /// <summary>Takes what a server says that answers; at most every second.</summary>
    public void Hear(Lsn at, DateTimeOffset? moment)
    {
        if (IsTime())
        {
            Tell(_meter.Told(at, moment));
        }
    }

    private bool IsTime()
    {
        if (context.Time.GetElapsedTime(_looked) < s_pause)
        {
            return false;
        }
        _looked = context.Time.GetTimestamp();
        return true;
    }

    private void Tell(CopyProgress replayed)
    {
        onReplayed?.Invoke(replayed);
        progress.Report($"{doing}: replayed {replayed}");
        if (context.Time.GetElapsedTime(_reported) >= s_betweenReports)
        {
            _reported = context.Time.GetTimestamp();
            LogReplayed(doing, replayed);
        }
    }

    [LoggerMessage(EventId = 2083, Level = LogLevel.Information, Message = "Replay: {Doing}: {Replayed}")]
    private partial void LogReplayed(string doing, CopyProgress replayed);
}
