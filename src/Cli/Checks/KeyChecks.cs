using System.Globalization;
using Routing.Cluster;

namespace Routing.Cli.Checks;

/// <summary>What the keys of a cluster tell. Pure.</summary>
internal static class KeyChecks
{
    /// <summary>The findings, those of the whole cluster first.</summary>
    public static IEnumerable<Finding> Of(ClusterSnapshot snapshot, string cluster, CheckLimits limits) =>
        Configuration(snapshot, cluster)
            .Concat(Leadership(snapshot, cluster))
            .Concat(Slots(snapshot, cluster, limits))
            .Concat(snapshot.Members.Values.SelectMany(member => OfMember(snapshot, member, limits)));

    private static IEnumerable<Finding> Configuration(ClusterSnapshot snapshot, string cluster)
    {
        foreach (var problem in snapshot.Problems)
        {
            yield return Finding.Error(cluster, $"has a key that can't be read: {problem.Key}: {problem.Problem}");
        }
        if (snapshot.Config is not { } config)
        {
            yield return Finding.Error(cluster, "has no dynamic configuration");
            yield break;
        }
        foreach (var problem in config.Problems)
        {
            yield return Finding.Warning(cluster, $"has a wrong setting: {problem}");
        }
        if (config.Timing.Corrected(Timing.FencedMinimum) != config.Timing)
        {
            yield return Finding.Warning(
                cluster, "has times that do not fit: loop_wait + 2 × retry_timeout is more than ttl, so others hold");
        }
        if (config.Pause)
        {
            yield return Finding.Warning(cluster, "is paused: there is no automatic failover");
        }
        if (config.FailsafeMode && snapshot.Failsafe is { } failsafe
            && snapshot.Members.Keys.Where(name => !failsafe.ContainsKey(name)).ToArray() is { Length: > 0 } missing)
        {
            yield return Finding.Warning(cluster, $"does not count with {string.Join(", ", missing)} in failsafe mode");
        }
        if (snapshot.Members.Values.Select(member => member.Routing?.Version ?? $"Patroni {member.Version}").Distinct()
            .ToArray() is { Length: > 1 } versions)
        {
            yield return Finding.Warning(cluster, $"runs agents of different versions: {string.Join(", ", versions)}");
        }
    }

    private static IEnumerable<Finding> Leadership(ClusterSnapshot snapshot, string cluster)
    {
        if (snapshot.Leader is not { } leader)
        {
            yield return Finding.Error(cluster, "has no leader");
            yield break;
        }
        if (snapshot.LeaderMember is null)
        {
            yield return Finding.Error(leader.Holder, "holds the leader key and has no member key");
        }
        var standbys = snapshot.Members.Values.Where(member => member.Name != leader.Holder).ToArray();
        if (!standbys.Any(member => !member.Tags.NoFailover && member.State == PostgresState.Running))
        {
            yield return Finding.Warning(cluster, $"has no member that could take over from {leader.Holder}");
        }
        if (snapshot.Config is { SynchronousMode: not SynchronousMode.Off } config
            && !standbys.Any(member => snapshot.Sync.IsActive && snapshot.Sync.Includes(member.Name)))
        {
            yield return config.SynchronousModeStrict
                ? Finding.Error(cluster, "has no synchronous standby, and synchronous_mode_strict: commits wait")
                : Finding.Warning(cluster, "has no synchronous standby: what is committed now is on one server only");
        }
    }

    private static IEnumerable<Finding> Slots(ClusterSnapshot snapshot, string cluster, CheckLimits limits) =>
        from slot in snapshot.Status.Slots
        let bytes = snapshot.Status.Optime.BytesAheadOf(slot.Value)
        where bytes > (ulong)limits.SlotBytes
        orderby slot.Key
        select Finding.Warning(cluster, $"keeps {Size((long)bytes)} of WAL for the slot {slot.Key}");

    private static IEnumerable<Finding> OfMember(ClusterSnapshot snapshot, Member member, CheckLimits limits)
    {
        var isLeader = snapshot.Leader?.Holder == member.Name;
        if (member.State != PostgresState.Running)
        {
            yield return Finding.Error(member.Name, $"has a PostgreSQL that does not run: {member.State.ToWire()}");
        }
        else if (!isLeader && member.ReplicationState != "streaming" && !member.Tags.NoStream)
        {
            yield return Finding.Error(member.Name,
                $"does not stream{(member.ReplicationState is { } other ? $": it is {other}" : "")}");
        }
        if (!isLeader && member.Timeline is { } timeline && snapshot.LeaderMember?.Timeline is { } leading
            && timeline != leading)
        {
            yield return Finding.Error(
                member.Name,
                string.Create(CultureInfo.InvariantCulture, $"is on timeline {timeline}, the leader on {leading}"));
        }
        if (!isLeader && (member.ReplayLsn ?? member.XlogLocation) is { } position
            && snapshot.Status.Optime.BytesAheadOf(position) is var lag
            && lag > (ulong)limits.LagBytes)
        {
            yield return Finding.Warning(member.Name, $"lacks {Size((long)lag)} of WAL");
        }
        if (member.PendingRestart)
        {
            var reason =
                member.PendingRestartReason.IsEmpty ? "" : $": {string.Join(", ", member.PendingRestartReason.Keys)}";
            yield return Finding.Warning(member.Name, $"waits for a restart{reason}");
        }
        if (member.Routing is { Fence: false })
        {
            yield return Finding.Warning(member.Name, "has no fence: see event 1503 in its log");
        }
        if (member.Pause != (snapshot.Config?.Pause ?? false))
        {
            yield return Finding.Warning(
                member.Name, $"has not seen that the cluster is {(member.Pause ? "not " : "")}paused");
        }
    }

    /// <summary>A size as people read it.</summary>
    public static string Size(long bytes) => bytes switch
    {
        >= 1 << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 30):0.#} GB"),
        >= 1 << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes >> 20} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes"),
    };
}
