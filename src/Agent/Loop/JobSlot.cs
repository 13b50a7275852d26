using Microsoft.Extensions.Logging;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Where a job tells how far it is: in a sentence, and in numbers.</summary>
internal interface IJobProgress : IProgress<string>, IProgress<CopyProgress>;

/// <summary>The one long job that runs beside the loop.</summary>
internal sealed partial class JobSlot(Func<TimeSpan> now, Action wake, ILogger<JobSlot> logger) : IDisposable
{
    private readonly Lock _lock = new();
    private JobView? _current;
    private JobEnd? _ended;
    private CancellationTokenSource? _cancel;
    private Task _task = Task.CompletedTask;

    /// <summary>The running job.</summary>
    public JobView? Current
    {
        get
        {
            lock (_lock)
            {
                return _current;
            }
        }
    }

    /// <summary>Completes with the running job; completed while there is none.</summary>
    public Task Completion
    {
        get
        {
            lock (_lock)
            {
                return _task;
            }
        }
    }

    /// <summary>
    /// The running job, and the one that ended since the last call: of one moment, or one that ends in between would be
    /// neither.
    /// </summary>
    public (JobView? Running, JobEnd? Ended) Take()
    {
        lock (_lock)
        {
            var ended = _ended;
            _ended = null;
            return (_current, ended);
        }
    }

    /// <summary>Starts a job, unless one runs.</summary>
    /// <param name="kind">What it is.</param>
    /// <param name="source">The member that it reads from; null: from none.</param>
    /// <param name="work">Does it; gets where to tell its progress, and a token that asks it to end.</param>
    /// <param name="demotion">How a demotion stops PostgreSQL; null for every other job.</param>
    /// <param name="restartsPrimary">A restart that starts a primary again.</param>
    public bool TryStart(
        JobKind kind, string? source,
        Func<IJobProgress, CancellationToken, Task<(JobResult Result, string Detail)>> work,
        DemoteMode? demotion = null, bool restartsPrimary = false)
    {
        lock (_lock)
        {
            if (_current is not null)
            {
                return false;
            }
            _current = new JobView(kind, now(), "started") { Source = source, Demotion = demotion,
                RestartsPrimary = restartsPrimary };
            _ended = null;
            _cancel = new CancellationTokenSource();
            _task = RunAsync(kind, work, _cancel);
            return true;
        }
    }

    /// <summary>Asks the running job to end.</summary>
    public void Cancel()
    {
        CancellationTokenSource? cancel;
        lock (_lock)
        {
            cancel = _cancel;
        }
        cancel?.Cancel();
    }

    public void Dispose() => Cancel();

    private TimeSpan Now() => now();

    private async Task RunAsync(
        JobKind kind, Func<IJobProgress, CancellationToken, Task<(JobResult, string)>> work,
        CancellationTokenSource cancel)
    {
        await Task.Yield();
        var name = HaLoop.Name(kind);
        LogStarted(name);
        JobResult result;
        string detail;
        try
        {
            (result, detail) = await work(new Progress(this), cancel.Token);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            (result, detail) = (JobResult.Cancelled, "cancelled");
        }
        catch (Exception problem)
        {
            // Something outside failed: the loop observes again and decides anew.
            LogBroken(problem, name);
            (result, detail) = (JobResult.Failed, problem.Message);
        }
        if (result is JobResult.Done or JobResult.Cancelled)
        {
            LogEnded(name, result, detail);
        }
        else
        {
            LogFailed(name, result, detail);
        }
        lock (_lock)
        {
            var endedAt = now();
            _ended = new JobEnd(kind, result, detail, endedAt) { StartedAt = _current?.StartedAt ?? endedAt };
            _current = null;
            _cancel = null;
        }
        // The source has no timer, so it needs no disposal, and may be cancelled at any time.
        wake();
    }

    private sealed class Progress(JobSlot slot) : IJobProgress
    {
        public void Report(CopyProgress value)
        {
            lock (slot._lock)
            {
                slot._current = slot._current is { } current
                    ? current with { Copied = value, ProgressedAt = slot.Now() }
                    : null;
            }
        }

        public void Report(string value)
        {
            lock (slot._lock)
            {
                slot._current =
                    slot._current is { } current ? current with { Progress = value, ProgressedAt = slot.Now() } : null;
            }
        }
    }

    [LoggerMessage(EventId = 1201, Level = LogLevel.Information, Message = "Job: {Job}: started")]
    private partial void LogStarted(string job);

    [LoggerMessage(EventId = 1202, Level = LogLevel.Information, Message = "Job: {Job}: {Result}: {Detail}")]
    private partial void LogEnded(string job, JobResult result, string detail);

    [LoggerMessage(EventId = 1203, Level = LogLevel.Warning, Message = "Job: {Job}: {Result}: {Detail}")]
    private partial void LogFailed(string job, JobResult result, string detail);

    [LoggerMessage(EventId = 1204, Level = LogLevel.Error, Message = "Job: {Job}: failed with an error")]
    private partial void LogBroken(Exception problem, string job);
}
