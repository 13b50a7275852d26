using System.Globalization;
using System.Text.Json;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Writes the keys that a decision names, each under the condition that its action carries.</summary>
internal sealed class KeyWrites(IClusterStore store, LeaseKeeper keeper)
{
    /// <summary>Writes or deletes the key of this action.</summary>
    /// <returns>The outcome; null: the action is about no key.</returns>
    public async ValueTask<WriteOutcome?> TryPerformAsync(
        HaAction action, PerformedRun run, CancellationToken cancellationToken)
    {
        switch (action)
        {
            case HaAction.WriteInitialize write:
                return await store.PutAsync(
                    ClusterKeys.Initialize, write.SystemId, UnchangedOrAlways(write.Revision), 0, cancellationToken);
            case HaAction.WriteConfig:
                var config = run.Config.Raw.EnumerateObject().Any() ? run.Config.Raw : run.Member.InitialConfig;
                return await store.PutAsync(
                    ClusterKeys.Config, JsonSerializer.Serialize(config, JsonContext.Default.JsonElement),
                    run.Observation.Cluster?.Config is null ? WriteCondition.Always : WriteCondition.Absent, 0,
                    cancellationToken);
            case HaAction.ClearFailover clear:
                return await store.PutAsync(
                    ClusterKeys.Failover, KeyWriter.NoFailover, UnchangedOrAlways(clear.Revision), 0,
                    cancellationToken);
            case HaAction.WriteSync sync:
                return await store.PutAsync(
                    ClusterKeys.Sync, KeyWriter.Sync(sync.State.Leader, sync.State.Standbys, sync.State.Quorum),
                    WriteCondition.Unchanged(sync.State.ModRevision), 0, cancellationToken);
            case HaAction.DeleteSync delete:
                return await store.DeleteAsync(
                    ClusterKeys.Sync, WriteCondition.Unchanged(delete.Revision), cancellationToken);
            case HaAction.ReserveTimeline reserve:
                return await store.PutAsync(
                    ClusterKeys.Timeline, reserve.Timeline.ToString(CultureInfo.InvariantCulture),
                    WriteCondition.Always, 0, cancellationToken);
            case HaAction.WriteHistory history:
                return await store.PutAsync(
                    ClusterKeys.History, KeyWriter.History(history.History), WriteCondition.Always, 0,
                    cancellationToken);
            case HaAction.WriteRestore restore:
                return await store.PutAsync(
                    ClusterKeys.Restore, KeyWriter.Restore(restore.Request),
                    WriteCondition.Unchanged(restore.Request.ModRevision), 0, cancellationToken);
            case HaAction.WriteIntent write:
                // On the lease that the leader key hangs on: they end together.
                return keeper.View.Leads || write.Intent.CalledOff is not null
                    ? await store.PutAsync(
                        ClusterKeys.Switchover, KeyWriter.Switchover(write.Intent), WriteCondition.Always,
                        await keeper.LeaseForKeysAsync(cancellationToken), cancellationToken)
                    : new WriteOutcome(WriteStatus.LeaseGone, Problem: "the leader key may be held no more");
            case HaAction.DeleteIntent delete:
                return await store.DeleteAsync(
                    ClusterKeys.Switchover, WriteCondition.Unchanged(delete.Revision), cancellationToken);
            case HaAction.DeleteRestore delete:
                return await store.DeleteAsync(
                    ClusterKeys.Restore, WriteCondition.Unchanged(delete.Revision), cancellationToken);
            default:
                return null;
        }
    }

    /// <summary>Takes the empty initialize key: the winner makes the cluster.</summary>
    /// <returns>The outcome; null: there is no lease to put the key on.</returns>
    public async ValueTask<WriteOutcome?> RaceInitializeAsync(CancellationToken cancellationToken)
    {
        var lease = await keeper.LeaseForKeysAsync(cancellationToken);
        // The key is on this agent's lease: when the agent dies while it bootstraps, the scope is free again.
        return lease == 0
            ? null
            : await store.PutAsync(ClusterKeys.Initialize, "", WriteCondition.Absent, lease, cancellationToken);
    }

    /// <summary>
    /// Gives the scope up that this member was making a cluster for: deletes the initialize key that it created.
    /// </summary>
    /// <returns>
    /// Whether the key surely names the data of this member neither now nor later; else why it may.
    /// </returns>
    public async ValueTask<(bool IsFree, string Detail)> FreeInitializeAsync(
        Observation o, CancellationToken cancellationToken)
    {
        var freed = await store.DeleteAsync(
            ClusterKeys.Initialize, WriteCondition.Unchanged(o.Memory.InitializeRevision), cancellationToken);
        if (freed.IsDone || !o.Memory.BootstrapDone)
        {
            return (true, "");   // before the bootstrap was done the key was never written
        }
        if (freed.Status != WriteStatus.Conflict)
        {
            return (false, $"the data stay, as the initialize key may name them: {freed.Problem}");
        }
        InitializeKey key;
        try
        {
            key = (await store.ReadAsync(cancellationToken)).Initialize;
        }
        catch (ClusterStoreException problem)
        {
            return (false, $"the data stay, as the initialize key may name them: {problem.Message}");
        }
        return key.SystemId is { } id && id == o.Local.Control?.SystemId
            ? (false, "the data stay, as the initialize key names them")
            : (true, "");
    }

    /// <summary>Publishes where the WAL of this cluster's last primary ends.</summary>
    public ValueTask<WriteOutcome> WriteDemotionAsync(CleanDemotion demotion, CancellationToken cancellationToken) =>
        store.PutAsync(ClusterKeys.Demotion, demotion.Write(), WriteCondition.Always, 0, cancellationToken);

    /// <summary>Drops the request for a switchover that was written at this revision.</summary>
    public ValueTask<WriteOutcome> DropRequestAsync(long revision, CancellationToken cancellationToken) =>
        store.PutAsync(
            ClusterKeys.Failover, KeyWriter.NoFailover, WriteCondition.Unchanged(revision), 0, cancellationToken);

    private static WriteCondition UnchangedOrAlways(long? revision) =>
        revision is { } seen ? WriteCondition.Unchanged(seen) : WriteCondition.Always;
}
