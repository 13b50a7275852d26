using System.Diagnostics.Metrics;
using Routing.Driver.Members;

namespace Routing.Driver.Diagnostics;

/// <summary>Every measure of the driver; documented in docs/driver.md.</summary>
/// <remarks>Process-wide instruments; the clusters that are in use report themselves for the observable ones.</remarks>
internal static class DriverMetrics
{
    private static readonly Meter s_meter = new(RoutingDataSource.MeterName);
    private static readonly Lock s_gate = new();
    private static readonly List<ClusterRouter> s_routers = [];

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

    public static void Add(ClusterRouter router)
    {
        lock (s_gate)
        {
            s_routers.Add(router);
        }
    }

    public static void Remove(ClusterRouter router)
    {
        lock (s_gate)
        {
            s_routers.Remove(router);
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

    private static ClusterRouter[] Routers()
    {
        lock (s_gate)
        {
            return [.. s_routers];
        }
    }

    private static IEnumerable<Measurement<long>> Terms() =>
        Routers()
            .Select(router => new Measurement<long>(router.Current.HighestTerm.Revision, Tag("cluster", router.Name)));

    private static IEnumerable<Measurement<int>> Leaders() =>
        Routers().Select(
            router => new Measurement<int>(router.Current.LeaderPool is null ? 0 : 1, Tag("cluster", router.Name)));

    private static IEnumerable<Measurement<int>> Stale() =>
        Routers()
            .Select(router => new Measurement<int>(router.Current.View.IsLive ? 0 : 1, Tag("cluster", router.Name)));

    private static IEnumerable<Measurement<int>> BusyConnections() =>
        from router in Routers()
        from pool in router.Pools
        select new Measurement<int>(pool.InUse, Tag("cluster", router.Name), Tag("member", pool.Member),
            Tag("purpose", PurposeName(pool)));

    private static string PurposeName(MemberPool pool) => pool.Purpose == PoolPurpose.Write ? "write" : "read";
}
