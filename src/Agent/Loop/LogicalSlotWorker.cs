using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Postgres;
using Routing.Ha.Slots;

namespace Routing.Agent.Loop;

/// <summary>
/// Works on logical slots beside the loop: advancing one decodes WAL, and making one waits for running transactions.
/// One piece of work at a time; what comes meanwhile is planned again by a later run.
/// </summary>
internal sealed partial class LogicalSlotWorker(
    IPostgres postgres, TimeProvider time, ILogger<LogicalSlotWorker> logger) : IDisposable
{
    /// <summary>A server or a network that does not answer keeps the other slots waiting no longer than this.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);

    private readonly Lock _lock = new();
    private LogicalSlotReport _report = LogicalSlotReport.None;
    private CancellationTokenSource? _cancel;
    private readonly ToldOnce _problems = new();

    /// <summary>What it has found out.</summary>
    public LogicalSlotReport Report
    {
        get
        {
            lock (_lock)
            {
                return _report;
            }
        }
    }

    /// <summary>Begins, unless something is still being worked on.</summary>
    public void Begin(LogicalSlotJob job)
    {
        CancellationTokenSource cancel;
        lock (_lock)
        {
            if (_cancel is not null)
            {
                return;
            }
            cancel = _cancel = new CancellationTokenSource(s_limit, time);
        }
        _ = RunAsync(job, cancel);   // ends by itself, and logs each error
    }

    /// <summary>The server stops, or changes its role: what runs is ended, and its result counts no more.</summary>
    public void Cancel()
    {
        CancellationTokenSource? cancel;
        lock (_lock)
        {
            cancel = _cancel;
        }
        try
        {
            cancel?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The work has just ended.
        }
    }

    /// <summary>The slots were copied anew: the next advance tells how they are.</summary>
    public void ForgetBroken()
    {
        lock (_lock)
        {
            _report = _report with { Broken = LogicalSlotReport.None.Broken };
        }
    }

    public void Dispose() => Cancel();

    private async Task RunAsync(LogicalSlotJob job, CancellationTokenSource cancel)
    {
        await Task.Yield();
        LogicalSlotOutcome? outcome = null;
        try
        {
            outcome = await postgres.WorkOnLogicalSlotsAsync(job, cancel.Token);
            Tell(outcome.Problems);
        }
        catch (OperationCanceledException)
        {
            LogCancelled(job.Actions.Length);
        }
        catch (Exception problem)
        {
            LogBroken(problem);
        }
        lock (_lock)
        {
            _cancel = null;
            if (outcome is not null && !cancel.IsCancellationRequested)
            {
                _report = new LogicalSlotReport
                {
                    Broken = _report.Broken.Except(job.Actions.Select(action => action.Name)).Union(outcome.Broken),
                    Answer = outcome.Answer ?? _report.Answer,
                };
            }
        }
        cancel.Dispose();
    }

    private void Tell(ImmutableArray<string> problems)
    {
        if (_problems.News(problems) is { } news)
        {
            LogProblems(news);
        }
    }

    [LoggerMessage(EventId = 1020, Level = LogLevel.Warning, Message = "Logical replication slots: {Problem}")]
    private partial void LogProblems(string problem);

    [LoggerMessage(EventId = 1021, Level = LogLevel.Debug,
        Message = "The work on {Slots} logical replication slots was ended; a later run does the rest")]
    private partial void LogCancelled(int slots);

    [LoggerMessage(EventId = 1022, Level = LogLevel.Error,
        Message = "The work on logical replication slots failed with an error")]
    private partial void LogBroken(Exception problem);
}
