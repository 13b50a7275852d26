using System.Runtime.CompilerServices;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Simulation.Tests;

/// <summary>A planted bug: a store whose watch goes back in time now and then.</summary>
internal sealed class ForgetfulStore(IClusterStore store, SimWorld world) : IClusterStore
{
    public async IAsyncEnumerable<ClusterView> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ClusterView? old = null;
        await foreach (var view in store.WatchAsync(cancellationToken))
        {
            yield return view;
            if (old is not null && world.Chance(0.1))
            {
                yield return old;
            }
            if (old is null || world.Chance(0.05))
            {
                old = view;
            }
        }
    }

    public ValueTask<ClusterSnapshot> ReadAsync(CancellationToken cancellationToken) =>
        store.ReadAsync(cancellationToken);

    public ValueTask<LeaseGrant> GrantLeaseAsync(TimeSpan ttl, CancellationToken cancellationToken) =>
        store.GrantLeaseAsync(ttl, cancellationToken);

    public ValueTask<TimeSpan?> ReadLeaseAsync(long leaseId, CancellationToken cancellationToken) =>
        store.ReadLeaseAsync(leaseId, cancellationToken);

    public ValueTask<RenewOutcome> RenewLeaseAsync(long leaseId, CancellationToken cancellationToken) =>
        store.RenewLeaseAsync(leaseId, cancellationToken);

    public ValueTask<LeaderWrite> TryAcquireLeaderAsync(
        string member, long leaseId, RaceBasis? basis, CancellationToken cancellationToken) =>
        store.TryAcquireLeaderAsync(member, leaseId, basis, cancellationToken);

    public ValueTask<LeaderWrite> TryKeepLeaderAsync(
        string member, long leaseId, CancellationToken cancellationToken) =>
        store.TryKeepLeaderAsync(member, leaseId, cancellationToken);

    public ValueTask<LeaderWrite> TryCarryLeaderAsync(
        string member, long leaseId, CancellationToken cancellationToken) =>
        store.TryCarryLeaderAsync(member, leaseId, cancellationToken);

    public ValueTask<WriteOutcome> ReleaseLeaderAsync(string member, CancellationToken cancellationToken) =>
        store.ReleaseLeaderAsync(member, cancellationToken);

    public ValueTask<WriteOutcome> PutAsync(
        string key, string value, WriteCondition condition, long leaseId, CancellationToken cancellationToken) =>
        store.PutAsync(key, value, condition, leaseId, cancellationToken);

    public ValueTask<WriteOutcome> DeleteAsync(
        string key, WriteCondition condition, CancellationToken cancellationToken) =>
        store.DeleteAsync(key, condition, cancellationToken);

    public ValueTask DeleteClusterAsync(CancellationToken cancellationToken) =>
        store.DeleteClusterAsync(cancellationToken);

    public ValueTask DisposeAsync() => store.DisposeAsync();
}
