using System.Globalization;
using System.Text.Json;
using Routing.Cli.Checks;
using Routing.Cluster;
using Routing.Cluster.Text;
using Routing.Settings.Review;

namespace Routing.Cli.Migration;

/// <summary>What the keys of a running cluster tell of its migration. Pure.</summary>
internal static class ClusterReview
{
    private const int KnowsQuorum = 4;
    private const int OldestTried = 3;

    /// <summary>The findings.</summary>
    /// <param name="snapshot">The keys.</param>
    /// <param name="cluster">The cluster's name.</param>
    /// <param name="names">The members whose files were given.</param>
    public static IEnumerable<Finding> Of(
        ClusterSnapshot snapshot, string cluster, IReadOnlyCollection<string> names) =>
        State(snapshot, cluster)
            .Concat(snapshot.Config is { } config ? Configuration(config, snapshot, cluster) : [])
            .Concat(snapshot.Members.Values.SelectMany(member => OfMember(member, snapshot, names)))
            .Concat(names.Where(name => !snapshot.Members.ContainsKey(name)).Order(StringComparer.Ordinal)
                .Select(name => Finding.Warning(name, "has a file and no member key: it does not run, or elsewhere")));

    private static IEnumerable<Finding> State(ClusterSnapshot snapshot, string cluster)
    {
        foreach (var problem in snapshot.Problems)
        {
            yield return Finding.Warning(cluster, $"has a key that can't be read: {problem.Key}: {problem.Problem}");
        }
        if (snapshot.Config is null)
        {
            yield return Finding.Error(
                cluster, "has no dynamic configuration in etcd: is the name right, and the store?");
        }
        if (snapshot.Leader is null)
        {
            yield return Finding.Error(cluster, "has no leader: bring it to rest before a node changes over");
        }
        if (snapshot.Failover is { } request)
        {
            yield return Finding.Warning(
                cluster,
                request.ScheduledAt is null
                    ? "has a switchover under way: wait for its end"
                    : "has a scheduled switchover: it happens while nodes change over, unless it is flushed");
        }
    }

    private static IEnumerable<Finding> Configuration(DynamicConfig config, ClusterSnapshot snapshot, string cluster)
    {
        var review = ConfigReview.Of(JsonElement.Parse("{}"), config.Raw);
        foreach (var problem in review.Problems)
        {
            yield return Finding.Warning(cluster, $"has a setting of which only the default holds: {problem}");
        }
        foreach (var remark in review.Remarks.Where(
            remark => !remark.StartsWith("A ttl below", StringComparison.Ordinal)))
        {
            yield return Finding.Warning(cluster, $"has what is ignored: {remark}");
        }
        var common = config.Timing.Corrected(Timing.CommonMinimum);
        if (common != config.Timing.Corrected(Timing.FencedMinimum))
        {
            yield return Finding.Note(cluster, string.Create(
                CultureInfo.InvariantCulture,
                $"has times below Patroni's minimums: {Text(common)} hold until every member runs routing-agent and "
                    + $"has its fence, then {Text(config.Timing.Corrected(Timing.FencedMinimum))}"));
        }
        if (config.Pause)
        {
            yield return Finding.Warning(
                cluster, "is paused: nobody takes over from a node that fails meanwhile (routingctl resume ends it)");
        }
        if (config.StandbyCluster is not null)
        {
            yield return Finding.Note(
                cluster, "is a standby cluster: Patroni asks no remote server before it promotes the leader, and has "
                    + "no logical slots there; routing-agent does both (docs/standby-cluster.md)");
        }
        if (Dynamic(config, "remove_data_directory_on_rewind_failure")
            || Dynamic(config, "remove_data_directory_on_diverged_timelines"))
        {
            yield return Finding.Note(
                cluster, "removes data that have diverged: they stay until the copy is whole, where there is room");
        }
        if (config.FailsafeMode)
        {
            yield return Finding.Note(
                cluster, "has failsafe mode: routing-agent writes a consent to the data directory, so that a restart "
                    + "does not forget it; Patroni forgets it");
        }
        if (config.SynchronousMode == SynchronousMode.Quorum
            && snapshot.Members.Values.Where(member => Major(member) is < KnowsQuorum).Select(member => member.Name)
                .ToArray() is { Length: > 0 } old)
        {
            yield return Finding.Error(
                cluster, $"is in quorum mode, which Patroni knows from 4.0 on: {string.Join(", ", old)} may lead "
                    + "without what was acknowledged");
        }
    }

    /// <summary>Whether a setting of the dynamic configuration's section <c>postgresql</c> is there, and on.</summary>
    private static bool Dynamic(DynamicConfig config, string key) =>
        config.Raw.TryGetProperty("postgresql", out var section) && section.ValueKind == JsonValueKind.Object
        && section.TryGetProperty(key, out var value) && Scalars.TryBoolean(value.ToString(), out var isOn) && isOn;

    private static IEnumerable<Finding> OfMember(
        Member member, ClusterSnapshot snapshot, IReadOnlyCollection<string> names)
    {
        if (!names.Contains(member.Name))
        {
            yield return Finding.Warning(member.Name, "is a member, and its file was not given");
        }
        if (member.Routing is null && Major(member) is < OldestTried)
        {
            yield return Finding.Warning(
                member.Name, $"runs Patroni {member.Version}: mixed clusters were tried from 3.0 on");
        }
        if (member.State != PostgresState.Running)
        {
            yield return Finding.Error(
                member.Name, $"has a PostgreSQL that does not run ({member.State.ToWire()}): mend it first");
        }
        else if (snapshot.Leader?.Holder != member.Name && snapshot.LeaderMember?.Timeline is { } leading
            && member.Timeline is { } timeline && timeline != leading)
        {
            yield return Finding.Error(member.Name, string.Create(
                CultureInfo.InvariantCulture,
                $"is on timeline {timeline}, the leader on {leading}: mend it first"));
        }
        if (member.PendingRestart)
        {
            yield return Finding.Note(
                member.Name, "waits for a restart, which happens when its agent changes: its settings change then");
        }
        if (member.ScheduledRestart is not null)
        {
            yield return Finding.Warning(member.Name, "has a scheduled restart, which ends with its agent");
        }
    }

    private static int? Major(Member member) =>
        int.TryParse(member.Version.Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major)
            ? major
            : null;

    private static string Text(Timing timing) => string.Create(
        CultureInfo.InvariantCulture,
        $"ttl {timing.Ttl.TotalSeconds}, loop_wait {timing.LoopWait.TotalSeconds}, retry_timeout "
            + $"{timing.RetryTimeout.TotalSeconds}");
}
