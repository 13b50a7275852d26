using Microsoft.Extensions.Logging;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Files;

/// <summary>
/// Knows where the WAL ended that a server in recovery found in its files: read once for each postmaster, beside the
/// loop.
/// </summary>
internal sealed partial class WalEndWatch(string dataDirectory, Action wakeUp, TimeProvider time, ILogger logger)
    : IDisposable
{
    private static readonly TimeSpan s_retryAfter = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _stop = new();
    private int _pid;
    private Task<WalEnd?> _reading = Task.FromResult<WalEnd?>(null);
    private long _readAt;
    private WalEnd? _known;
    private (uint Timeline, Lsn Position)? _within;

    /// <summary>The end of the WAL in the files, as far as it belongs to the history that the server is on.</summary>
    /// <param name="pid">The postmaster: each finds its own.</param>
    /// <param name="timeline">The timeline that it receives or has received.</param>
    /// <returns>Null while it is not known yet.</returns>
    public (Lsn Position, uint Timeline)? Of(int pid, uint timeline)
    {
        lock (_lock)
        {
            return Look(pid, timeline);
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private (Lsn Position, uint Timeline)? Look(int pid, uint timeline)
    {
        if (pid != _pid)
        {
            (_pid, _known, _within) = (pid, null, null);
            Begin();
        }
        if (_known is null && _reading.IsCompleted)
        {
            _known = _reading.Result;
            if (_known is null && time.GetElapsedTime(_readAt) >= s_retryAfter)
            {
                Begin();
            }
        }
        if (_known is not { } end)
        {
            return null;
        }
        if (timeline <= end.Timeline)
        {
            return (end.Position, end.Timeline);
        }
        if (_within is not { } within || within.Timeline != timeline)
        {
            try
            {
                _within = within = (timeline, end.Within(dataDirectory, timeline));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException)
            {
                LogNotRead(error.Message);
                return null;
            }
        }
        return (within.Position, timeline);
    }

    private void Begin()
    {
        var stop = _stop.Token;
        _reading = Task.Run(() => Read(stop));
        // After the end of the read: a waiter that is woken while it still runs finds nothing, and is not woken again.
        _ = _reading.ContinueWith(
            _ => wakeUp(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private WalEnd? Read(CancellationToken stop)
    {
        try
        {
            var began = time.GetTimestamp();
            var end = WalEnd.Read(dataDirectory, stop);
            var took = time.GetElapsedTime(began).TotalMilliseconds;
            LogRead(end.Position, end.Timeline, took);
            return end;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException
            or InvalidDataException)
        {
            LogNotRead(error.Message);
            return null;
        }
        finally
        {
            Volatile.Write(ref _readAt, time.GetTimestamp());
        }
    }

    [LoggerMessage(EventId = 2060, Level = LogLevel.Information,
        Message = "The local WAL ends at {Position} on timeline {Timeline}; read in {Milliseconds:0} ms")]
    private partial void LogRead(Lsn position, uint timeline, double milliseconds);

    [LoggerMessage(EventId = 2061, Level = LogLevel.Warning,
        Message = "The end of the local WAL is not known, so this member neither races nor votes: {Problem}")]
    private partial void LogNotRead(string problem);
}
