using System.Collections.Concurrent;
using Prometheus;
using Routing.Proxy.Configuration;
using Routing.Proxy.Members;
using Routing.Proxy.Routes;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Refusals;

namespace Routing.Proxy.Metrics;

/// <summary>
/// The proxy's instruments, by the names of docs/proxy.md. Labels are listeners, members and reasons, never users or
/// addresses.
/// </summary>
internal sealed class ProxyMetrics : ISessionEvents, IDisposable
{
    private static readonly double[] s_loginBuckets = [.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5,
        10];

    // One at a time: a scrape sets the gauges of what there is no more to zero first, and another would read that.
    private readonly SemaphoreSlim _scraping = new(1, 1);
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly Counter _accepted;
    private readonly Counter _refused;
    private readonly Histogram _held;
    private readonly Counter _heldVain;
    private readonly Counter _attemptsFailed;
    private readonly Histogram _login;
    private readonly Counter _closed;
    private readonly Counter _moved;
    private readonly Counter _notMoved;
    private readonly Counter _repeated;
    private readonly Counter _notRepeated;
    private readonly Histogram _sessionHeld;
    private readonly Histogram _move;
    private readonly Counter _takenOver;
    private readonly Counter _left;
    private readonly Counter _cancelled;
    private readonly Counter _bytes;
    private readonly Gauge _sessions;
    private readonly Gauge _movable;
    private readonly Gauge _sessionBytes;
    private readonly Gauge _pending;
    private readonly Gauge _starting;
    private readonly Gauge _waiting;
    private readonly Gauge _term;
    private readonly Gauge _age;
    private readonly Gauge _stale;
    private readonly Gauge _registered;
    private readonly Gauge _holds;
    private readonly Gauge _hasTarget;
    private readonly Histogram _route;
    private readonly ConcurrentDictionary<(string, string), (Counter.Child Up, Counter.Child Down)> _byteChildren =
        new();

    public ProxyMetrics()
    {
        var factory = Prometheus.Metrics.WithCustomRegistry(_registry);
        _accepted = factory.CreateCounter("routing_proxy_connections_total", "Connections accepted.", ["listener"]);
        _refused = factory.CreateCounter("routing_proxy_refused_total",
            "Clients turned away before they had a session, by reason.", ["listener", "reason"]);
        _held = factory.CreateHistogram(
            "routing_proxy_hold_seconds", "Time that clients waited for a server, of those who had to wait.",
            ["listener"],
            new HistogramConfiguration { Buckets = [.01, .05, .1, .25, .5, 1, 2, 5, 10, 30] });
        _heldVain = factory.CreateCounter(
            "routing_proxy_held_in_vain_total", "Clients that waited and got no server.", ["listener"]);
        _attemptsFailed = factory.CreateCounter(
            "routing_proxy_connect_errors_total",
            "Attempts at a member that failed, by reason; most are repeated unseen.", ["listener", "member", "reason"]);
        _login = factory.CreateHistogram(
            "routing_proxy_login_seconds",
            "From the client's start-up message to the server's ReadyForQuery, waiting included.", ["listener"],
            new HistogramConfiguration { Buckets = s_loginBuckets });
        _closed = factory.CreateCounter(
            "routing_proxy_sessions_closed_total", "Sessions that ended, by how.", ["listener", "member", "end"]);
        _moved = factory.CreateCounter(
            "routing_proxy_sessions_moved_total", "Sessions that went on at another server, or anew at their own.",
            ["listener", "member"]);
        _notMoved = factory.CreateCounter(
            "routing_proxy_sessions_not_moved_total",
            "Sessions that lost their server and did not move although their listener lets sessions move, by reason.",
            ["listener", "reason"]);
        _repeated = factory.CreateCounter(
            "routing_proxy_statements_repeated_total",
            "Statements without effect that were sent again to the server that their session moved to, by reason.",
            ["listener", "reason"]);
        _notRepeated = factory.CreateCounter(
            "routing_proxy_statements_not_repeated_total",
            "Statements without effect that were not sent again although their listener repeats such, by reason.",
            ["listener", "reason"]);
        _sessionHeld = factory.CreateHistogram(
            "routing_proxy_session_hold_seconds",
            "Time that sessions were held at rest while their leader was about to hand over.", ["listener"],
            new HistogramConfiguration { Buckets = [.01, .05, .1, .25, .5, 1, 2, 5, 10, 30] });
        _move = factory.CreateHistogram(
            "routing_proxy_move_seconds", "From the loss of a session's server to the new one being ready.",
            ["listener"],
            new HistogramConfiguration { Buckets = [.01, .05, .1, .25, .5, 1, 2, 5, 10, 30] });
        _takenOver = factory.CreateCounter(
            "routing_proxy_sessions_taken_over_total", "Sessions that were taken over from another process.",
            ["listener", "member"]);
        _left = factory.CreateCounter(
            "routing_proxy_sessions_not_taken_over_total",
            "Sessions that stayed in the process that was taken over from, to be drained there, by reason.",
            ["reason"]);
        _cancelled = factory.CreateCounter(
            "routing_proxy_cancels_total", "Cancel requests, by outcome.", ["listener", "outcome"]);
        _bytes = factory.CreateCounter(
            "routing_proxy_bytes_total", "Bytes relayed in sessions that have ended.",
            ["listener", "member", "direction"]);
        _sessions = factory.CreateGauge("routing_proxy_sessions", "Open sessions.", ["listener", "member"]);
        _movable = factory.CreateGauge(
            "routing_proxy_sessions_movable", "Open sessions that would go on at another server now.",
            ["listener", "member"]);
        _sessionBytes = factory.CreateGauge(
            "routing_proxy_open_session_bytes", "Bytes relayed so far in sessions that are open.",
            ["listener", "member", "direction"]);
        _pending =
            factory.CreateGauge("routing_proxy_pending", "Connections that have not sent their start-up message yet.");
        _starting = factory.CreateGauge("routing_proxy_starting", "Clients that are being routed or log in.");
        _waiting = factory.CreateGauge("routing_proxy_waiting", "Clients that wait for a server.");
        _term = factory.CreateGauge("routing_proxy_term", "Highest term of the leader key that was seen.");
        _age = factory.CreateGauge("routing_proxy_topology_age_seconds", "Time since the store's last sign of life.");
        _stale = factory.CreateGauge("routing_proxy_topology_stale",
            "1 while the store is silent and the last known routes are used.");
        _registered = factory.CreateGauge("routing_proxy_registered",
            "1 while a leader that hands over waits for this proxy to be ready.");
        _holds = factory.CreateGauge("routing_proxy_holds", "1 while a leader is about to hand over.");
        _hasTarget = factory.CreateGauge(
            "routing_proxy_members_usable", "Members that a listener may send a new session to.", ["listener"]);
        _route = factory.CreateHistogram(
            "routing_proxy_route_seconds", "From an event of the topology to the routes that follow from it.", [],
            new HistogramConfiguration { Buckets = [.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5] });
    }

    /// <inheritdoc/>
    public void Dispose() => _scraping.Dispose();

    /// <inheritdoc/>
    public void Accepted(string listener) => _accepted.WithLabels(listener).Inc();

    /// <inheritdoc/>
    public void Refused(string listener, RefusalReason reason) => _refused.WithLabels(listener, Words.Of(reason)).Inc();

    /// <inheritdoc/>
    public void Held(string listener, TimeSpan waited, bool routed)
    {
        _held.WithLabels(listener).Observe(waited.TotalSeconds);
        if (!routed)
        {
            _heldVain.WithLabels(listener).Inc();
        }
    }

    /// <inheritdoc/>
    public void AttemptFailed(string listener, string member, LoginFailure failure) =>
        _attemptsFailed.WithLabels(listener, member, failure.Label).Inc();

    /// <inheritdoc/>
    public void Opened(string listener, string member, TimeSpan login) =>
        _login.WithLabels(listener).Observe(login.TotalSeconds);

    /// <inheritdoc/>
    public void Closed(string listener, string member, SessionEnd end, long bytesFromClient, long bytesFromServer)
    {
        _closed.WithLabels(listener, member, Words.Of(end)).Inc();
        CountBytes(listener, member, bytesFromClient, bytesFromServer);
    }

    /// <inheritdoc/>
    public void Moved(
        string listener, string from, string to, TimeSpan pause, long bytesFromClient, long bytesFromServer)
    {
        _moved.WithLabels(listener, to).Inc();
        _move.WithLabels(listener).Observe(pause.TotalSeconds);
        CountBytes(listener, from, bytesFromClient, bytesFromServer);
    }

    /// <inheritdoc/>
    public void SessionHeld(string listener, TimeSpan time) =>
        _sessionHeld.WithLabels(listener).Observe(time.TotalSeconds);

    /// <inheritdoc/>
    public void NotMoved(string listener, NotMoved reason) => _notMoved.WithLabels(listener, Words.Of(reason)).Inc();

    /// <inheritdoc/>
    public void Repeated(string listener, RepeatReason reason) =>
        _repeated.WithLabels(listener, Words.Of(reason)).Inc();

    /// <inheritdoc/>
    public void NotRepeated(string listener, NotRepeated reason) =>
        _notRepeated.WithLabels(listener, Words.Of(reason)).Inc();

    private void CountBytes(string listener, string member, long bytesFromClient, long bytesFromServer)
    {
        var (up, down) = _byteChildren.GetOrAdd(
            (listener, member),
            static (key, bytes) => (bytes.WithLabels(key.Item1, key.Item2, "up"),
                bytes.WithLabels(key.Item1, key.Item2, "down")), _bytes);
        up.Inc(bytesFromClient);
        down.Inc(bytesFromServer);
    }

    /// <inheritdoc/>
    public void TakenOver(string listener, string member) => _takenOver.WithLabels(listener, member).Inc();

    /// <summary>The process that was taken over from has kept sessions.</summary>
    public void NotTakenOver(KeptReason reason, int count) => _left.WithLabels(Words.Of(reason)).Inc(count);

    /// <inheritdoc/>
    public void Cancelled(string listener, CancelOutcome outcome) =>
        _cancelled.WithLabels(listener, Words.Of(outcome)).Inc();

    /// <summary>A view of the cluster has become routes.</summary>
    public void Routed(TimeSpan took) => _route.Observe(took.TotalSeconds);

    /// <summary>Writes every instrument in the text form of Prometheus.</summary>
    public async Task WriteAsync(
        Stream stream, SessionCounts counts, Router router, TimeSpan? age, bool isRegistered,
        CancellationToken cancellationToken)
    {
        await _scraping.WaitAsync(cancellationToken);
        try
        {
            Set(counts, router, age);
            _registered.Set(isRegistered ? 1 : 0);
            _holds.Set(router.Hold is null ? 0 : 1);
            await _registry.CollectAndExportAsTextAsync(stream, cancellationToken);
        }
        finally
        {
            _scraping.Release();
        }
    }

    private void Set(SessionCounts counts, Router router, TimeSpan? age)
    {
        foreach (var labels in _sessions.GetAllLabelValues())
        {
            _sessions.WithLabels(labels).Set(0);
            _movable.WithLabels(labels).Set(0);
            _sessionBytes.WithLabels(labels[0], labels[1], "up").Set(0);
            _sessionBytes.WithLabels(labels[0], labels[1], "down").Set(0);
        }
        foreach (var group in counts.Sessions)
        {
            _sessions.WithLabels(group.Listener, group.Member).Set(group.Open);
            _movable.WithLabels(group.Listener, group.Member).Set(group.Movable);
            _sessionBytes.WithLabels(group.Listener, group.Member, "up").Set(group.BytesFromClient);
            _sessionBytes.WithLabels(group.Listener, group.Member, "down").Set(group.BytesFromServer);
        }
        var table = router.Table;
        _pending.Set(counts.Pending);
        _starting.Set(counts.Starting);
        _waiting.Set(router.Waiting);
        _term.Set(table.View.HighestTerm.Revision);
        _stale.Set(table.View.IsLive ? 0 : 1);
        _age.Set(age?.TotalSeconds ?? 0);
        foreach (var listener in table.Listeners.Values)
        {
            _hasTarget.WithLabels(listener.Config.Name).Set(table.UsableOf(listener));
        }
    }
}
