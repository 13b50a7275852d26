using System.Collections.Concurrent;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Counts the sessions that did not move, for the status page. Any thread.</summary>
internal sealed class NotMovedCounts
{
    private readonly ConcurrentDictionary<(string Listener, NotMoved Reason), long> _counts = new();

    /// <summary>One did not.</summary>
    public void Note(string listener, NotMoved reason) =>
        _counts.AddOrUpdate((listener, reason), 1, static (_, before) => before + 1);

    /// <summary>Those of a listener since the start, by reason.</summary>
    public IEnumerable<(NotMoved Reason, long Count)> Of(string listener) =>
        _counts.Where(one => one.Key.Listener == listener).OrderBy(one => one.Key.Reason)
            .Select(one => (one.Key.Reason, one.Value));
}
