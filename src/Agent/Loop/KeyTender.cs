using Microsoft.Extensions.Logging;
using Routing.Agent.Native;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;
using Routing.Ha.Synchronous;

namespace Routing.Agent.Loop;

/// <summary>Keeps the keys that are this member's to keep: its own, and the leader's while it leads.</summary>
internal sealed partial class KeyTender(
    MemberPublisher publisher, LeaderKeys leaderKeys, LeaseKeeper keeper, IPrimaryGuard guard, OrderDesk orders,
    TimeProvider time, ILogger<KeyTender> logger)
{
    /// <summary>Writes what differs from what was seen.</summary>
    /// <param name="o">What was seen, with what is remembered and done since.</param>
    /// <param name="member">This member, as its configuration says.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task TendAsync(Observation o, LocalMember member, CancellationToken cancellationToken)
    {
        if (o.Cluster is null || !o.IsDcsLive)
        {
            return;
        }
        using var limit = TimedToken.After(o.Timing.RetryTimeout, time, cancellationToken);
        try
        {
            await publisher.PublishAsync(
                RecordOf(o, member), o.Cluster, o.Timing.LoopWait, limit.Token);
            if (o.Lease.HoldsLeader && o.Local.Server == ServerState.Running && keeper.View.HoldsLeader
                && (o.Local.IsPrimary || o.IsStandbyCluster || HaLoop.IsHeldByRemote(o)))
            {
                await leaderKeys.TendAsync(o, member, limit.Token);
            }
        }
        catch (OperationCanceledException)
        {
            LogKeysNotWritten("no answer in time");
        }
        catch (ClusterStoreException problem)
        {
            LogKeysNotWritten(problem.Message);
        }
    }

    private Member RecordOf(Observation o, LocalMember member)
    {
        var role = Published.Role(o);
        var state = Published.State(o);
        var running =
            state is PostgresState.Running or PostgresState.Starting or PostgresState.Restarting && o.Local.HasProcess;
        return new Member
        {
            Name = member.Name,
            ConnUrl = member.ConnUrl,
            ApiUrl = member.ApiUrl,
            ProxyUrl = member.ProxyUrl,
            Site = member.Site,
            State = state,
            Role = role,
            Version = RoutingVersion.Compatible,
            CheckpointAfterPromotePending =
                o.Lease.HoldsLeader && !o.IsStandbyCluster && role != Role.StandbyLeader
                && !(o.Local.IsPrimary && o.Local.CheckpointedSincePromotion),
            Tags = o.Memory.LeavingSince is null ? member.Tags : LeaveSet.Publish(member.Tags),
            PendingRestart = !o.Local.PendingRestart.IsEmpty,
            PendingRestartReason = o.Local.PendingRestart,
            XlogLocation =
                running && !o.Local.IsWalEndUnknown && o.Local.WalPosition > Lsn.Zero ? o.Local.WalPosition : null,
            ReceiveLsn = running && !o.Local.IsPrimary && o.Local.ReceivedLsn > Lsn.Zero ? o.Local.ReceivedLsn : null,
            ReplayLsn = running && !o.Local.IsPrimary && o.Local.ReplayedLsn > Lsn.Zero ? o.Local.ReplayedLsn : null,
            ReplicationState = running ? Published.ReplicationState(o) : null,
            Timeline = running && o.Local.Timeline > 0 ? o.Local.Timeline : null,
            ScheduledRestart = orders.Scheduled,
            Pause = o.Paused,
            Routing = new RoutingExtension(RoutingVersion.Own, guard.IsFenced)
            {
                Upstream = running ? Published.Upstream(o) : null,
                CopiesFrom = Published.CopiesFrom(o),
            },
        };
    }

    [LoggerMessage(EventId = 1005, Level = LogLevel.Warning,
        Message = "The keys of this member could not be written to the DCS: {Problem}")]
    private partial void LogKeysNotWritten(string problem);
}
