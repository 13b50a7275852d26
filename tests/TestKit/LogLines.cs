using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Routing.TestKit;

/// <summary>Keeps what our own code says, with the seconds since it was made.</summary>
/// <param name="least">The least level that is kept.</param>
public sealed class LogLines(LogLevel least = LogLevel.Warning) : ILoggerFactory, ILogger
{
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly long _began = Stopwatch.GetTimestamp();

    /// <summary>What was said, in its order.</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) =>
        categoryName is "rest" || categoryName.StartsWith("Routing", StringComparison.Ordinal)
            ? this
            : NullLogger.Instance;

    /// <inheritdoc/>
    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= least;

    /// <inheritdoc/>
    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter)
    {
        ArgumentNullException.ThrowIfNull(formatter);
        if (IsEnabled(logLevel))
        {
            _lines.Enqueue(
                $"{Stopwatch.GetElapsedTime(_began).TotalSeconds:0.000} {logLevel}: {formatter(state, exception)} "
                    + $"{exception}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // nothing is held
    }
}
