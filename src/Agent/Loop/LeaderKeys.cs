using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Keeps the keys of a leader that is the primary: the status, and the members of failsafe mode.</summary>
internal sealed class LeaderKeys(
    IClusterStore store, StatusKey status, LeaseKeeper keeper, OwnWrites writes, SlotTender slots, TimeProvider time)
{
    private long _statusWrittenAt;
    private string _failsafeWritten = "";
    private int _failsafeLife;

    /// <summary>Writes what differs, positions at most once per <c>loop_wait</c>.</summary>
    /// <exception cref="ClusterStoreException">The store did not answer.</exception>
    public async Task TendAsync(Observation o, LocalMember member, CancellationToken cancellationToken)
    {
        if (time.GetElapsedTime(_statusWrittenAt) >= o.Timing.LoopWait * 0.9)
        {
            var outcome = await status.PublishAsync(
                slots.StatusOf(o), o.Cluster!, o.Lease.Term, o.Memory.PromotedIn, cancellationToken);
            if (outcome is { IsDone: true, Revision: > 0 })
            {
                _statusWrittenAt = time.GetTimestamp();
            }
        }
        // While members consent, the list stays that of these members: one that is added now has not been asked.
        if (o.Config.FailsafeMode && keeper.VouchedUntil is null)
        {
            await TendFailsafeAsync(o.Cluster!, member, cancellationToken);
        }
    }

    private async Task TendFailsafeAsync(
        ClusterSnapshot cluster, LocalMember member, CancellationToken cancellationToken)
    {
        var members = cluster.Members.Values.Where(m => m.ApiUrl is not null && m.Name != member.Name)
            .Select(m => KeyValuePair.Create(m.Name, m.ApiUrl!))
            .Append(KeyValuePair.Create(member.Name, member.ApiUrl))
            .ToImmutableSortedDictionary(StringComparer.Ordinal);
        var failsafe = KeyWriter.Failsafe(members);
        if (failsafe != _failsafeWritten || cluster.Life.Number != _failsafeLife || cluster.Failsafe is null)
        {
            writes.WritesFailsafe(members, cluster.Life.Number);
            var outcome =
                await store.PutAsync(ClusterKeys.Failsafe, failsafe, WriteCondition.Always, 0, cancellationToken);
            if (outcome.IsDone)
            {
                writes.HasWrittenFailsafe(outcome.Revision);
            }
            (_failsafeWritten, _failsafeLife) = (outcome.IsDone ? failsafe : "", cluster.Life.Number);
        }
    }
}
