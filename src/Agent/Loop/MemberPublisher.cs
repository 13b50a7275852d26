using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;

namespace Routing.Agent.Loop;

/// <summary>Keeps this member's own key in step with what it is.</summary>
/// <remarks>
/// A change of state, role or anything else goes out at once; WAL positions alone only once per <c>loop_wait</c>.
/// </remarks>
internal sealed partial class MemberPublisher(
    IClusterStore store, LeaseKeeper keeper, TimeProvider time, ILogger<MemberPublisher> logger)
{
    private string? _written;
    private Member? _unmoved;
    private long _writtenLease;
    private long _writtenAt;
    private int _life;

    /// <summary>Puts the key if it differs from what stands there.</summary>
    /// <param name="member">What to publish.</param>
    /// <param name="cluster">The keys as the DCS has them.</param>
    /// <param name="loopWait">How often positions alone are published.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task PublishAsync(
        Member member, ClusterSnapshot cluster, TimeSpan loopWait, CancellationToken cancellationToken)
    {
        if (cluster.Life.Number != _life)
        {
            // The store was set up anew or restored: what stands there is not what was written last.
            (_writtenLease, _life) = (0, cluster.Life.Number);
        }
        var unmoved = member with { XlogLocation = null, ReceiveLsn = null, ReplayLsn = null };
        var lease = await keeper.LeaseForKeysAsync(cancellationToken);
        if (lease == 0)
        {
            return;   // there is no lease for the key: the keeper is trying to get one
        }
        var recently = time.GetElapsedTime(_writtenAt) < loopWait * 0.9;
        if (lease == _writtenLease && recently && unmoved == _unmoved)
        {
            return;   // only positions can differ: most runs end here, before any JSON is made
        }
        var value = KeyWriter.Member(member);
        var isMissing = cluster.Members.GetValueOrDefault(member.Name)?.LeaseId != lease;
        if (lease == _writtenLease && value == _written && (!isMissing || recently))
        {
            return;
        }
        if (lease == _writtenLease && recently && _unmoved is not null
            && KeyWriter.Member(unmoved) == KeyWriter.Member(_unmoved))
        {
            return;
        }
        var outcome = await store.PutAsync(
            ClusterKeys.Member(member.Name), value, WriteCondition.Always, lease, cancellationToken);
        switch (outcome.Status)
        {
            case WriteStatus.Done:
                (_written, _unmoved, _writtenLease, _writtenAt) = (value, unmoved, lease, time.GetTimestamp());
                break;
            case WriteStatus.LeaseGone:
                keeper.LeaseIsGone(lease);
                break;
            default:
                LogNotPublished(outcome.Status, outcome.Problem ?? "");
                break;
        }
    }

    [LoggerMessage(
        EventId = 1301, Level = LogLevel.Warning, Message = "The member key could not be written: {Status} {Problem}")]
    private partial void LogNotPublished(WriteStatus status, string problem);
}
