using System.Net;
using Microsoft.Extensions.Logging;
using Routing.Proxy.Configuration;

namespace Routing.Proxy.Sessions.Refusals;

/// <summary>
/// Names clients that were turned away, at most one line for each listener and reason in ten seconds.
/// </summary>
/// <remarks>
/// A probe of a load balancer, and a client that went away by itself, are ordinary: only the metrics count them.
/// </remarks>
internal sealed partial class RefusalLog(TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<(string, RefusalReason), Entry> _entries = [];

    /// <summary>A client was turned away.</summary>
    /// <param name="listener">Its listener.</param>
    /// <param name="reason">Why.</param>
    /// <param name="client">Its address; null for a Unix domain socket.</param>
    /// <param name="sentence">What it was told, or what is known besides; null: nothing.</param>
    public void Note(string listener, RefusalReason reason, EndPoint? client, string? sentence)
    {
        if (reason is RefusalReason.Probe or RefusalReason.ClientGone)
        {
            return;
        }
        int unnamed;
        lock (_lock)
        {
            var now = time.GetTimestamp();
            if (_entries.TryGetValue((listener, reason), out var entry)
                && time.GetElapsedTime(entry.NamedAt, now) < s_pause)
            {
                entry.Unnamed++;
                return;
            }
            unnamed = entry?.Unnamed ?? 0;
            _entries[(listener, reason)] = new Entry { NamedAt = now };
        }
        LogRefused(
            client?.ToString() ?? "a Unix domain socket", listener, Words.Of(reason),
            (sentence is null ? "" : $": {sentence}") + (unnamed == 0 ? "" : $" ({unnamed} more like it before)"));
    }

    [LoggerMessage(EventId = 6012, Level = LogLevel.Warning,
        Message = "A client from {Client} was turned away on {Listener} ({Reason}){Sentence}")]
    private partial void LogRefused(string client, string listener, string reason, string sentence);

    private sealed class Entry
    {
        public required long NamedAt { get; init; }

        public int Unnamed { get; set; }
    }
}
