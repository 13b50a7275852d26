using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;
using Routing.Ha.Slots;
using Routing.Ha.Synchronous;

namespace Routing.Agent.Loop;

// The keys that a run keeps: the member's own, and the leader's.
internal sealed partial class AgentLoop
{
    /// <summary>
    /// The keys that this member keeps: its own, and as the leader the status and the failsafe members.
    /// </summary>
    private async Task TendKeysAsync(Observation o, CancellationToken cancellationToken)
    {
        if (o.Cluster is null || !o.IsDcsLive || _learned.ExitCode is not null)
        {
            return;
        }
        using var limit = TimedToken.After(_timing.RetryTimeout, _time, cancellationToken);
        try
        {
            // What the job that has just been started changes is told at once, not with the next run.
            var present = o with { Job = _jobs.Current, Ended = null, Memory = _memory };
            await _publisher.PublishAsync(
                MemberRecord(present), o.Cluster.Members.GetValueOrDefault(_member.Name), _timing.LoopWait,
                limit.Token);
            if (o.Lease.HoldsLeader && o.Local is { IsPrimary: true, Server: ServerState.Running }
                && _keeper.View.HoldsLeader)
            {
                await TendLeaderKeysAsync(o, limit.Token);
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

    private Member MemberRecord(Observation o)
    {
        var role = Published.Role(o);
        var state = Published.State(o);
        var running =
            state is PostgresState.Running or PostgresState.Starting or PostgresState.Restarting && o.Local.HasProcess;
        return new Member
        {
            Name = _member.Name,
            ConnUrl = _member.ConnUrl,
            ApiUrl = _member.ApiUrl,
            ProxyUrl = _member.ProxyUrl,
            State = state,
            Role = role,
            Version = RoutingVersion.Compatible,
            CheckpointAfterPromotePending =
                o.Lease.HoldsLeader && !(o.Local.IsPrimary && o.Local.CheckpointedSincePromotion),
            Tags = o.Memory.LeavingSince is null ? _member.Tags : LeaveSet.Publish(_member.Tags),
            PendingRestart = !o.Local.PendingRestart.IsEmpty,
            PendingRestartReason = o.Local.PendingRestart,
            XlogLocation =
                running && !o.Local.IsWalEndUnknown && o.Local.WalPosition > Lsn.Zero ? o.Local.WalPosition : null,
            ReceiveLsn = running && !o.Local.IsPrimary && o.Local.ReceivedLsn > Lsn.Zero ? o.Local.ReceivedLsn : null,
            ReplayLsn = running && !o.Local.IsPrimary && o.Local.ReplayedLsn > Lsn.Zero ? o.Local.ReplayedLsn : null,
            ReplicationState = running ? Published.ReplicationState(o) : null,
            Timeline = running && o.Local.Timeline > 0 ? o.Local.Timeline : null,
            ScheduledRestart = Orders.Scheduled,
            Pause = o.Paused,
            Routing = new RoutingExtension(RoutingVersion.Own, _guard.IsFenced),
        };
    }

    private async Task TendLeaderKeysAsync(Observation o, CancellationToken cancellationToken)
    {
        if (_time.GetElapsedTime(_statusWrittenAt) >= _timing.LoopWait * 0.9)
        {
            var plan = PlanSlots(o, new SlotBasis(o.Cluster!, DcsIsSilent: false));
            var seen = o.Cluster!.Status;
            var status = new LeaderStatus(o.Local.WalPosition, plan.PublishedSlots ?? seen.Slots,
                // Our own slot too: should we go, the next leader keeps the WAL that we need to come back.
                (plan.RetainSlots ?? seen.RetainSlots).Add(ReplicationSlotName.FromMember(_member.Name)));
            var outcome = await _status.PublishAsync(
                status, o.Cluster, o.Lease.Term, _memory.PromotedIn, cancellationToken);
            if (outcome is { IsDone: true, Revision: > 0 })
            {
                _statusWrittenAt = _time.GetTimestamp();
            }
        }
        // While others vouch, the list stays that of those who do: a member that is added now has not been asked.
        if (o.Config.FailsafeMode && _keeper.VouchedUntil is null)
        {
            var members = o.Cluster!.Members.Values.Where(m => m.ApiUrl is not null && m.Name != _member.Name)
                .Select(m => KeyValuePair.Create(m.Name, m.ApiUrl!))
                .Append(KeyValuePair.Create(_member.Name, _member.ApiUrl))
                .ToImmutableSortedDictionary(StringComparer.Ordinal);
            var failsafe = KeyWriter.Failsafe(members);
            if (failsafe != _failsafeWritten || o.Cluster.Failsafe is null)
            {
                _failsafeAttempt = members;
                _failsafePossible = (_failsafePossible ?? members).SetItems(members);
                var outcome =
                    await _store.PutAsync(ClusterKeys.Failsafe, failsafe, WriteCondition.Always, 0, cancellationToken);
                _failsafeWritten = outcome.IsDone ? failsafe : "";
            }
        }
    }

    [LoggerMessage(EventId = 1005, Level = LogLevel.Warning, Message = "Keys could not be written: {Problem}")]
    private partial void LogKeysNotWritten(string problem);
}
