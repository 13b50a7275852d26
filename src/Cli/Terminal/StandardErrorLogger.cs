using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Routing.Cli.Terminal;

/// <summary>
/// Log lines on standard error: time, level, message. A message that repeats the one before it is left out.
/// </summary>
internal sealed class StandardErrorLogger(TextWriter error, TimeProvider time, LogLevel minimum) : ILogger
{
    private static readonly (string Name, LogLevel Level)[] s_names =
    [
        ("DEBUG", LogLevel.Debug), ("INFO", LogLevel.Information), ("WARNING", LogLevel.Warning),
        ("WARN", LogLevel.Warning),
        ("ERROR", LogLevel.Error), ("CRITICAL", LogLevel.Critical), ("FATAL", LogLevel.Critical),
    ];

    private readonly Lock _lock = new();
    private string? _last;

    /// <summary>The level of the strongest variable that is set; warnings when none is.</summary>
    public static LogLevel LevelFrom(Func<string, string?> variable)
    {
        var name = Set("PATRONI_LOG_LEVEL") ?? Set("PATRONI_LOGLEVEL") ?? Set("LOGLEVEL");
        foreach (var (known, level) in s_names)
        {
            if (string.Equals(known, name, StringComparison.OrdinalIgnoreCase))
            {
                return level;
            }
        }
        return LogLevel.Warning;

        string? Set(string key) => variable(key) is { Length: > 0 } value ? value : null;
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= minimum && logLevel != LogLevel.None;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }
        var now = time.GetLocalNow().ToString("yyyy-MM-dd HH:mm:ss,fff", CultureInfo.InvariantCulture);
        var level = logLevel == LogLevel.Information ? "INFO" : logLevel.ToString().ToUpperInvariant();
        var cause = exception is null ? "" : $": {exception.Message}";
        var line = $"{level} - {formatter(state, exception)}{cause}";
        lock (_lock)
        {
            if (line != _last)
            {
                error.WriteLine($"{now} - {line}");
                _last = line;
            }
        }
    }

    /// <summary>Gives the same logger to every category.</summary>
    internal sealed class Factory(ILogger logger) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => logger;

        public void AddProvider(ILoggerProvider provider) =>
            throw new NotSupportedException("Everything is logged to standard error.");

        public void Dispose()
        {
        }
    }
}
