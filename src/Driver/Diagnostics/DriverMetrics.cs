using System.Diagnostics.Metrics;

namespace Routing.Driver.Diagnostics;

/// <summary>Every measure of the driver; documented in docs/driver.md.</summary>
/// <remarks>Process-wide instruments; the clusters that are in use report themselves for the observable ones.</remarks>
internal static class DriverMetrics
{
    private static readonly Meter s_meter = new(RoutingDataSource.MeterName);
    private static readonly Lock s_gate = new();
    private static readonly List<ClusterMeasures> s_clusters = [];

    private static readonly Histogram<double> s_openDuration = s_meter.CreateHistogram<double>(
        "routing.driver.open.duration", "s", "Time to open a connection: from the pool, or with waiting and attempts.");

    private static readonly Counter<long> s_openWaits = s_meter.CreateCounter<long>(
        "routing.driver.open.waits", "{open}", "Opens that had to wait because no member was fit.");

    private static readonly Counter<long> s_openFailures = s_meter.CreateCounter<long>(
        "routing.driver.open.failures", "{open}", "Opens that ended without a connection.");

    private static readonly Counter<long> s_attemptFailures = s_meter.CreateCounter<long>(
        "routing.driver.attempt.failures", "{attempt}", "Attempts on a member that failed and were repeated unseen.");

    private static readonly Counter<long> s_leaderChanges = s_meter.CreateCounter<long>(
        "routing.driver.leader.changes", "{change}", "Changes of the member that writes go to.");

    private static readonly Counter<long> s_poolClears = s_meter.CreateCounter<long>(
        "routing.driver.pool.clears", "{clear}", "Pools whose idle connections were closed.");

    private static readonly Counter<long> s_units = s_meter.CreateCounter<long>(
        "routing.driver.units", "{unit}", "Units of work by outcome: done, repeated, ambiguous, failed.");

    private static readonly Counter<long> s_causalReads = s_meter.CreateCounter<long>(
        "routing.driver.causal.reads", "{read}",
        "Causal reads by where they went: replica, caught_up (after a wait), leader.");

    private static readonly ObservableUpDownCounter<int> s_busy = s_meter.CreateObservableUpDownCounter(
        "routing.driver.connections.busy", BusyConnections, "{connection}",
        "Connections in use, by member and purpose; counted from when somebody listens.");

    static DriverMetrics()
    {
        s_meter.CreateObservableGauge("routing.driver.term", Terms, "{term}", "The highest term that was seen.");
        s_meter.CreateObservableGauge("routing.driver.leader.known", Leaders, "{leader}",
            "1 while there is a member to write to.");
        s_meter.CreateObservableGauge("routing.driver.topology.stale", Stale, "{source}",
            "1 while the source of the topology is silent.");
    }

    public static bool MeasuresOpens => s_openDuration.Enabled;

    public static bool CountsConnections => s_busy.Enabled;

    /// <summary>A cluster is in use from now on: the observable instruments ask for its measures.</summary>
    public static void Add(ClusterMeasures cluster)
    {
        lock (s_gate)
        {
            s_clusters.Add(cluster);
        }
    }

    /// <summary>The cluster is not in use any more.</summary>
    public static void Remove(ClusterMeasures cluster)
    {
        lock (s_gate)
        {
            s_clusters.Remove(cluster);
        }
    }

    public static void Opened(string cluster, string target, string member, TimeSpan duration) =>
        s_openDuration.Record(duration.TotalSeconds, Tag("cluster", cluster), Tag("target", target),
            Tag("member", member));

    public static void Waited(string cluster, string target) =>
        s_openWaits.Add(1, Tag("cluster", cluster), Tag("target", target));

    public static void OpenFailed(string cluster, string target) =>
        s_openFailures.Add(1, Tag("cluster", cluster), Tag("target", target));

    public static void AttemptFailed(string cluster, string member) =>
        s_attemptFailures.Add(1, Tag("cluster", cluster), Tag("member", member));

    public static void LeaderChanged(string cluster) => s_leaderChanges.Add(1, Tag("cluster", cluster));

    public static void PoolCleared(string cluster, string member) =>
        s_poolClears.Add(1, Tag("cluster", cluster), Tag("member", member));

    public static void Unit(string cluster, string outcome) =>
        s_units.Add(1, Tag("cluster", cluster), Tag("outcome", outcome));

    public static void CausalRead(string cluster, string outcome) =>
        s_causalReads.Add(1, Tag("cluster", cluster), Tag("outcome", outcome));

    private static KeyValuePair<string, object?> Tag(string name, string value) => new(name, value);

    private static ClusterMeasures[] Clusters()
    {
        lock (s_gate)
        {
            return [.. s_clusters];
        }
    }

    private static IEnumerable<Measurement<long>> Terms() =>
        Clusters().Select(one => new Measurement<long>(one.Term(), Tag("cluster", one.Cluster)));

    private static IEnumerable<Measurement<int>> Leaders() =>
        Clusters().Select(one => new Measurement<int>(one.HasLeader() ? 1 : 0, Tag("cluster", one.Cluster)));

    private static IEnumerable<Measurement<int>> Stale() =>
        Clusters().Select(one => new Measurement<int>(one.IsLive() ? 0 : 1, Tag("cluster", one.Cluster)));

    private static IEnumerable<Measurement<int>> BusyConnections() =>
        from cluster in Clusters()
        from pool in cluster.Pools()
        select new Measurement<int>(pool.InUse, Tag("cluster", cluster.Cluster), Tag("member", pool.Member),
            Tag("purpose", pool.Purpose));
}
