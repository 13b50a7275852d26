using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Routing.Hosting.Logging;

/// <summary>
/// A program's log: a bounded queue, and one task that writes it to the console or to rotating files.
/// </summary>
/// <remarks>Logging never waits for a disk: a line that finds the queue full is dropped and counted.</remarks>
internal sealed class ProgramLog : ILoggerProvider, ILogQueue, IAsyncDisposable
{
    private static readonly TimeSpan s_patienceAtExit = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time;
    private readonly TextWriter _console;
    private readonly Task _writing;
    private readonly Channel<LogRecord> _queue;
    private Setup _setup;
    private long _lost;
    private string? _lastHeartbeat;
    private bool _isFailing;

    /// <param name="settings">The <c>log</c> section.</param>
    /// <param name="time">The clock; its time zone is that of the lines.</param>
    /// <param name="console">Where lines go without <c>log.dir</c>: standard error.</param>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public ProgramLog(LogSettings settings, TimeProvider time, TextWriter console)
    {
        _time = time;
        _console = console;
        _setup = Setup.From(settings, time.LocalTimeZone, console);
        _queue = Channel.CreateBounded<LogRecord>(Math.Max(1, settings.MaximumQueueLength));
        _writing = Task.Run(WriteAllAsync);
    }

    /// <inheritdoc/>
    public int Length => _queue.Reader.Count;

    /// <inheritdoc/>
    public long LostRecords => Interlocked.Read(ref _lost);

    /// <summary>Loggers over this log, without any further filter.</summary>
    public LoggerFactory CreateFactory() => new([this], new LoggerFilterOptions { MinLevel = LogLevel.Trace });

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new CategoryLogger(this, categoryName);

    /// <summary>Takes changed settings for the lines said from now on; the length of the queue stays.</summary>
    /// <exception cref="IOException">The new file cannot be opened: the old settings hold.</exception>
    public void Reload(LogSettings settings) =>
        Volatile.Write(ref _setup, Setup.From(settings, _time.LocalTimeZone, _console));

    /// <summary>Writes what waits and closes the file; gives up after 2 s.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        try
        {
            await _writing.WaitAsync(s_patienceAtExit, _time);
        }
        catch (TimeoutException)
        {
            // A disk that hangs must not keep the process from ending: the lines are lost, as they would be in a crash.
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _queue.Writer.TryComplete();

    private void Say(LogRecord record)
    {
        if (!_queue.Writer.TryWrite(record))
        {
            Interlocked.Increment(ref _lost);
        }
    }

    private async Task WriteAllAsync()
    {
        var open = Volatile.Read(ref _setup);
        while (await _queue.Reader.WaitToReadAsync())
        {
            while (_queue.Reader.TryRead(out var record))
            {
                var setup = Volatile.Read(ref _setup);
                if (!ReferenceEquals(open, setup))
                {
                    open.Target.Close();
                    open = setup;
                }
                Write(open, record);
            }
            Try(open.Target.Flush);
        }
        Try(open.Target.Close);
    }

    private void Write(Setup setup, LogRecord record)
    {
        if (setup.Settings.DeduplicateHeartbeat && record.Event.Id == LogRecord.Heartbeat)
        {
            if (record.Message == _lastHeartbeat)
            {
                return;
            }
            _lastHeartbeat = record.Message;
        }
        var line = setup.Format.Line(record);
        if (!Try(() => setup.Target.Write(line)))
        {
            Interlocked.Increment(ref _lost);
        }
    }

    /// <summary>A full disk costs lines, never the agent; the console is told once.</summary>
    private bool Try(Action write)
    {
        try
        {
            write();
            _isFailing = false;
            return true;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException
            or ObjectDisposedException)
        {
            if (!_isFailing)
            {
                _isFailing = true;
                _console.WriteLine($"The log cannot be written: {problem.Message}");
            }
            return false;
        }
    }

    /// <summary>Settings made usable.</summary>
    private sealed record Setup(LogSettings Settings, LogFormat Format, LogTarget Target)
    {
        public static Setup From(LogSettings settings, TimeZoneInfo zone, TextWriter console) => new(
            settings,
            LogFormat.From(settings, zone),
            settings.Directory is { } directory
                ? new LogTarget.RotatingFile(Path.Combine(directory, settings.FileName), settings.FileSizeBytes,
                    settings.FileCount, settings.FileMode)
                : new LogTarget.Console(console));

        public LogLevel LevelOf(string category)
        {
            for (var name = category; name.Length > 0; name =
                name.Contains('.', StringComparison.Ordinal) ? name[..name.LastIndexOf('.')] : "")
            {
                if (Settings.Loggers.TryGetValue(name, out var level))
                {
                    return level;
                }
            }
            // The web server's own log is of interest only when something is wrong.
            return category.StartsWith("Microsoft.", StringComparison.Ordinal) && Settings.Level < LogLevel.Warning
                && Settings.Level > LogLevel.Debug
                ? LogLevel.Warning
                : Settings.Level;
        }
    }

    private sealed class CategoryLogger(ProgramLog log, string category) : ILogger
    {
        private Known? _known;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel)
        {
            var setup = Volatile.Read(ref log._setup);
            if (_known is not { } known || !ReferenceEquals(known.Setup, setup))
            {
                _known = known = new Known(setup, setup.LevelOf(category));
            }
            return logLevel != LogLevel.None && logLevel >= known.Level;
        }

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                log.Say(new LogRecord(log._time.GetLocalNow(), logLevel, category, eventId, formatter(state, exception),
                    exception,
                    Environment.CurrentManagedThreadId));
            }
        }

        private sealed record Known(Setup Setup, LogLevel Level);
    }
}
