using Prometheus;
using Routing.Agent.Backups;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Health;

namespace Routing.Agent.Metrics;

/// <summary>The agent's own instruments, beside those that Patroni has too (see <see cref="StatusMetrics"/>).</summary>
internal sealed class AgentMetrics
{
    private static readonly string[] s_labels = ["scope", "name"];

    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly string[] _self;
    private readonly Counter _decisions;
    private readonly Histogram.Child _loopDuration;
    private readonly Counter.Child _dcsReconnects;
    private readonly Gauge.Child _term;
    private readonly Gauge.Child _leaseLeft;
    private readonly Gauge.Child _fence;
    private readonly Gauge.Child _storeLife;
    private readonly Gauge _unhealthy;
    private readonly Gauge _failoverPhases;
    private readonly Gauge _site;
    private readonly Counter.Child _eventsDropped;
    private readonly Gauge.Child _eventStreams;
    private readonly Gauge _restorePhase;
    private readonly BackupMetrics _backups;

    public AgentMetrics(string scope, string name)
    {
        _self = [scope, name];
        var factory = Prometheus.Metrics.WithCustomRegistry(_registry);
        _term = factory.CreateGauge("routing_term",
            "Term of the leader key as last seen; it only grows within one life of the store.", s_labels)
            .WithLabels(_self);
        _leaseLeft = factory.CreateGauge(
            "routing_lease_left_seconds", "Time until this member stops believing that it leads; 0 while it does not.",
            s_labels)
            .WithLabels(_self);
        _fence = factory.CreateGauge("routing_fence_state", "The fence: 0 none, 1 idle, 2 armed.", s_labels)
            .WithLabels(_self);
        _storeLife = factory.CreateGauge(
            "routing_store_life", "How often this agent has seen the DCS set up anew or restored.", s_labels)
                .WithLabels(_self);
        _unhealthy = factory.CreateGauge(
            "routing_postgres_unhealthy", "1 for what is wrong with PostgreSQL though its process runs.",
            ["scope", "name", "problem"]);
        _decisions = factory.CreateCounter(
            "routing_decisions_total", "Runs of the loop by the code of their decision.", ["scope", "name", "code"]);
        _loopDuration = factory.CreateHistogram(
            "routing_loop_duration_seconds", "Time that one run of the loop took.", s_labels,
            new HistogramConfiguration { Buckets = [.0001, .001, .005, .025, .1, .5, 1, 2, 5, 10, 30] })
            .WithLabels(_self);
        _dcsReconnects = factory.CreateCounter(
            "routing_dcs_reconnects_total", "Times that the connection to the DCS was found dead and made anew.",
            s_labels)
            .WithLabels(_self);
        _eventsDropped = factory.CreateCounter(
            "routing_events_dropped_total", "Events that could not be kept on disk since the agent began.", s_labels)
            .WithLabels(_self);
        _eventStreams = factory.CreateGauge(
            "routing_event_streams", "Readers that have a stream of events open now.", s_labels).WithLabels(_self);
        _site = factory.CreateGauge(
            "routing_site", "1 for the site that this member stands in; none without one.", ["scope", "name", "site"]);
        _restorePhase = factory.CreateGauge(
            "routing_restore_phase", "1 for how far a restore of the living cluster is; 0 for all without one.",
            ["scope", "name", "phase"]);
        _backups = new BackupMetrics(factory, _self);
        _failoverPhases = factory.CreateGauge(
            "routing_last_failover_phase_seconds", "Duration of each phase of the last change of leader seen here.",
            ["scope", "name", "phase"]);
    }

    /// <summary>One run of the loop ended.</summary>
    public void LoopRan(TimeSpan duration, string reasonCode)
    {
        _loopDuration.Observe(duration.TotalSeconds);
        _decisions.WithLabels(_self[0], _self[1], reasonCode).Inc();
    }

    /// <summary>The DCS was lost and found again.</summary>
    public void DcsReconnected() => _dcsReconnects.Inc();

    /// <summary>How the diary fares.</summary>
    /// <param name="dropped">The number of events so far that were not written to disk.</param>
    /// <param name="streams">The number of readers that have a stream open now.</param>
    public void Diary(long dropped, int streams)
    {
        _eventsDropped.IncTo(dropped);
        _eventStreams.Set(streams);
    }

    /// <summary>What the repository holds, and how the archiver does; null: not known.</summary>
    public void Backups(BackupReport? report, DateTimeOffset now) => _backups.Set(report, now);

    /// <summary>Writes every instrument in the text form of Prometheus.</summary>
    public Task WriteAsync(Stream stream, AgentStatus status, TimeProvider time, CancellationToken cancellationToken)
    {
        var now = time.GetTimestamp();
        _term.Set(status.Term.Revision);
        _leaseLeft.Set(status.IsLeader(now) ? time.GetElapsedTime(now, status.LeaderUntil!.Value).TotalSeconds : 0);
        _fence.Set((int)status.Fence);
        foreach (var labels in _site.GetAllLabelValues().Where(labels => labels[2] != status.Site))
        {
            _site.RemoveLabelled(labels);   // a reload has changed it
        }
        if (status.Site is { } site)
        {
            _site.WithLabels(_self[0], _self[1], site).Set(1);
        }
        _storeLife.Set(status.Cluster?.Life.Number ?? 0);
        foreach (var problem in Enum.GetValues<HealthProblem>().Where(one => one != HealthProblem.None))
        {
            _unhealthy.WithLabels(_self[0], _self[1], HealthRules.Name(problem)).Set(problem == status.Health ? 1 : 0);
        }
        foreach (var phase in Enum.GetValues<RestorePhase>())
        {
            _restorePhase.WithLabels(_self[0], _self[1], phase.ToWire()).Set(
                phase == status.Cluster?.Restore?.Phase ? 1 : 0);
        }
        foreach (var phase in status.LastFailover)
        {
            _failoverPhases.WithLabels(_self[0], _self[1], phase.Name).Set(phase.Duration.TotalSeconds);
        }
        return _registry.CollectAndExportAsTextAsync(stream, cancellationToken);
    }
}
