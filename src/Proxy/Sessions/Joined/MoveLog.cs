using Microsoft.Extensions.Logging;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// Tells of sessions that moved: at most one line for each listener and way in ten seconds. Any thread.
/// </summary>
internal sealed partial class MoveLog(TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Listener, string From, string To), Entry> _entries = [];

    /// <summary>A session has moved.</summary>
    /// <param name="listener">Its listener.</param>
    /// <param name="from">Where it ran.</param>
    /// <param name="to">Where it runs now.</param>
    public void Note(string listener, string from, string to)
    {
        int before;
        lock (_lock)
        {
            var now = time.GetTimestamp();
            if (_entries.TryGetValue((listener, from, to), out var entry)
                && time.GetElapsedTime(entry.ToldAt, now) < s_pause)
            {
                entry.Untold++;
                return;
            }
            before = entry?.Untold ?? 0;
            _entries[(listener, from, to)] = new Entry { ToldAt = now };
        }
        LogMoved(listener, from, to, before == 0 ? "" : $" ({before} more since the last line like this)");
    }

    [LoggerMessage(EventId = 6013, Level = LogLevel.Information,
        Message = "A session of {Listener} lost {From} at rest and goes on at {To}{More}")]
    private partial void LogMoved(string listener, string from, string to, string more);

    private sealed class Entry
    {
        public required long ToldAt { get; init; }

        public int Untold { get; set; }
    }
}
