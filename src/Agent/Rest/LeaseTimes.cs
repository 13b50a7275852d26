using System.Collections.Frozen;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Rest;

/// <summary>Asks the DCS what is left of the members' leases, for all that want to see it at the same time.</summary>
internal sealed class LeaseTimes(IAgentControl control, TimeProvider time)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_fresh = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private Task<FrozenDictionary<long, TimeSpan>>? _asked;
    private long _askedAt;

    /// <summary>
    /// What is left of the leases of a snapshot, by lease. One that has ended or is unknown is missing.
    /// </summary>
    /// <param name="snapshot">Names the leases.</param>
    /// <param name="cancellationToken">Gives up waiting; the question goes on for others.</param>
    public Task<FrozenDictionary<long, TimeSpan>> ReadAsync(
        ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_asked is null || time.GetElapsedTime(_askedAt) > s_fresh)
            {
                var leases = snapshot.Members.Values.Select(member => member.LeaseId)
                    .Append(snapshot.Leader?.LeaseId ?? 0).Where(lease => lease != 0).Distinct().ToList();
                (_asked, _askedAt) = (AskAsync(leases), time.GetTimestamp());
            }
            return _asked.WaitAsync(cancellationToken);
        }
    }

    private async Task<FrozenDictionary<long, TimeSpan>> AskAsync(List<long> leases)
    {
        using var limit = new CancellationTokenSource(s_patience, time);
        var answers = await Task.WhenAll(leases.Select(lease => AskAsync(lease, limit.Token)));
        return answers.Where(answer => answer.Left is not null)
            .ToFrozenDictionary(answer => answer.Lease, answer => answer.Left!.Value);
    }

    private async Task<(long Lease, TimeSpan? Left)> AskAsync(long lease, CancellationToken cancellationToken)
    {
        try
        {
            return (lease, await control.Store.ReadLeaseAsync(lease, cancellationToken));
        }
        catch (Exception problem) when (problem is ClusterStoreException or OperationCanceledException)
        {
            return (lease, null);   // the DCS is silent: the time is unknown
        }
    }
}
