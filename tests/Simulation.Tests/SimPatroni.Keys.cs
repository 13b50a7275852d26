using System.Collections.Immutable;
using Routing.Agent.Postgres;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Simulation.Tests;

// Its keys, the race for the leader key, and what it does as the leader.
internal sealed partial class SimPatroni
{
    /// <summary>It won its last race while a request stood: then Patroni does not ask how far it lags.</summary>
    public bool WonByRequest { get; private set; }

    /// <summary>Tries again for retry_timeout.</summary>
    private async Task<T> RetryAsync<T>(Func<CancellationToken, ValueTask<T>> request)
    {
        var began = _time.GetTimestamp();
        while (true)
        {
            try
            {
                return await request(CancellationToken.None);
            }
            catch (ClusterStoreException)
                when (_time.GetElapsedTime(began) + Store.RequestTimeout < _timing.RetryTimeout)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), _time);
            }
        }
    }

    /// <summary>A lease with a full life: renewed, or granted where there is none.</summary>
    private async Task RenewAsync()
    {
        if (_lease != 0 && _leaseTtl == _timing.Ttl)
        {
            switch (await Store.RenewLeaseAsync(_lease, CancellationToken.None))
            {
                case RenewOutcome.Renewed:
                    return;
                case RenewOutcome.Unknown:
                    throw new ClusterStoreException("no answer to a renewal");
            }
        }
        (_lease, _leaseTtl) = ((await Store.GrantLeaseAsync(_timing.Ttl, CancellationToken.None)).Id, _timing.Ttl);
    }

    private async Task TouchMemberAsync()
    {
        await RenewAsync();
        var runs = _local.Server == ServerState.Running;
        var member = new Member
        {
            Name = Self,
            ConnUrl = $"postgres://127.0.0.1:{_node.Server.Port}/postgres",
            ApiUrl = $"http://127.0.0.1:{_node.Server.Port + 1000}/patroni",
            State = runs ? PostgresState.Running
                : _local.Server == ServerState.Starting ? PostgresState.Starting : PostgresState.Stopped,
            Role = IsPrimary ? Role.Primary : Role.Replica,
            Version = "4.0.0",
            CheckpointAfterPromotePending = IsPrimary && !_local.CheckpointedSincePromotion,
            Tags = _tags,
            XlogLocation = runs && _local.WalPosition > Lsn.Zero ? _local.WalPosition : null,
            Timeline = runs && _local.Timeline > 0 ? _local.Timeline : null,
            ReplicationState = _local.IsStreaming ? "streaming" : null,
        };
        await Store.PutAsync(ClusterKeys.Member(Self), KeyWriter.Member(member), WriteCondition.Always, _lease,
            CancellationToken.None);
    }

    /// <returns>False: the DCS says that the key is not ours. Silence is an exception.</returns>
    private async Task<bool> UpdateLockAsync()
    {
        var outcome = await RetryAsync(async token =>
        {
            await RenewAsync();
            var write = await Store.TryKeepLeaderAsync(Self, _lease, token);
            return write.Outcome == LeaseOutcome.Unknown
                ? throw new ClusterStoreException("no answer to a leader update")
                : write.Outcome;
        });
        if (outcome != LeaseOutcome.Held)
        {
            return false;
        }
        if (IsPrimary)
        {
            await Store.PutAsync(
                ClusterKeys.Status, KeyWriter.Status(LeaderStatus.None with { Optime = _local.WalPosition }),
                WriteCondition.Always, 0,
                CancellationToken.None);
        }
        return true;
    }

    private async Task ReleaseIfHeldAsync(string? leader)
    {
        if (leader == Self)
        {
            Say("gives the leader key up");
            await Store.ReleaseLeaderAsync(Self, CancellationToken.None);
        }
    }

    private async Task RaceAsync(ClusterSnapshot cluster)
    {
        if (!await IsHealthiestAsync(cluster))
        {
            if (IsPrimary && !_config.Pause)
            {
                await DemoteAsync(StopMode.Immediate);
            }
            return;
        }
        Say("races");
        await RenewAsync();
        var write = await Store.TryAcquireLeaderAsync(Self, _lease, null, CancellationToken.None);
        if (write.Outcome == LeaseOutcome.Unknown)
        {
            throw new ClusterStoreException("no answer to the race");
        }
        if (write.Outcome == LeaseOutcome.Held)
        {
            WonByRequest = cluster.Failover is { ScheduledAt: null };
            if (WonByRequest)
            {
                await Store.PutAsync(ClusterKeys.Failover, "{}", WriteCondition.Always, 0, CancellationToken.None);
            }
            await LeadAsync(cluster);
        }
        else if (IsPrimary && !_config.Pause)
        {
            await DemoteAsync(StopMode.Immediate);
        }
    }

    private async Task<bool> IsHealthiestAsync(ClusterSnapshot cluster)
    {
        if (IsPrimary)
        {
            return _config.Pause || _local.Timeline >= cluster.Timeline;
        }
        var request = cluster.Failover;
        if (_local.Server != ServerState.Running || _tags.NoFailover || (_config.Pause && request?.Candidate != Self)
            || (_config.FailsafeMode && cluster.Failsafe is { Count: > 0 } failsafe && !failsafe.ContainsKey(Self)))
        {
            return false;
        }
        if (request?.Candidate == Self)
        {
            return true;
        }
        if ((request is null && IsLagging(cluster, _local.WalPosition))
            || (_config.CheckTimeline && _local.Timeline < cluster.Timeline && request?.Leader != Self))
        {
            return false;
        }
        var peers = (_locked?.Members.Values ?? []).Concat(cluster.Members.Values)
            .Where(m => m.Name != Self && m.ApiUrl is not null)
            .DistinctBy(m => m.Name).ToList();
        var answers =
            (await _peers.ProbeAsync(peers, s_restTimeout, CancellationToken.None)).Where(a => a.Reachable).ToList();
        if (request is not null && answers.Exists(a => !a.NoFailover && request.Candidate == a.Name))
        {
            return false;
        }
        if (request?.Leader == Self)
        {
            // It was asked to step down: it leads again only when no other member could.
            return !answers.Exists(a => a.Name != request.Candidate && !a.NoFailover
                && !IsLagging(cluster, a.Position)
                && (!_config.CheckTimeline || a.Timeline >= cluster.Timeline));
        }
        // The leader that was asked to step down is compared with no more.
        return answers.TrueForAll(a => a.Name == request?.Leader
            || (!a.IsPrimary && (a.NoFailover || a.Position <= _local.WalPosition)));
    }

    private bool IsLagging(ClusterSnapshot cluster, Lsn position) =>
        cluster.Status.Optime.BytesAheadOf(position) > (ulong)_config.MaximumLagOnFailoverBytes;

    private async Task LeadAsync(ClusterSnapshot cluster)
    {
        if (_config.Pause && !IsPrimary && cluster.Failover?.Candidate != Self)
        {
            await ReleaseIfHeldAsync(Self);
            return;
        }
        if (!await UpdateLockAsync())
        {
            Say("is not the leader: its update was refused");
            if (IsPrimary && !_config.Pause)
            {
                await DemoteAsync(StopMode.Immediate);
            }
            return;
        }
        if (!IsPrimary)
        {
            Begin("promotes",
                async () => (await _postgres.PromoteAsync(0, TimeSpan.FromSeconds(60), CancellationToken.None)).Ok);
            return;
        }
        Say("is the leader");
        _failsafePing = null;
        if (cluster.Failover is { ScheduledAt: null } request)
        {
            await HandOverAsync(cluster, request);
            return;
        }
        await TendHistoryAsync(cluster.History?.Lines ?? []);
        if (!_local.CheckpointedSincePromotion)
        {
            Begin("writes a checkpoint", async () => (await _postgres.CheckpointAsync(CancellationToken.None)).Ok);
        }
        if (_config.FailsafeMode)
        {
            var members = cluster.Members.Values.Where(m => m.ApiUrl is not null)
                .Select(m => KeyValuePair.Create(m.Name, m.ApiUrl!));
            await Store.PutAsync(ClusterKeys.Failsafe, KeyWriter.Failsafe(members), WriteCondition.Always, 0,
                CancellationToken.None);
            _failsafe = [.. members.Where(m => m.Key != Self)];
        }
    }

    /// <summary>The history key, which names the timelines that the cluster has left.</summary>
    private async Task TendHistoryAsync(ImmutableArray<HistoryLine> known)
    {
        if (_local.Timeline > 1 ? known.LastOrDefault()?.Timeline != _local.Timeline - 1 : !known.IsEmpty)
        {
            await Store.PutAsync(ClusterKeys.History, KeyWriter.History(new TimelineHistory([.. _local.History])),
                WriteCondition.Always, 0, CancellationToken.None);
        }
    }

    private ImmutableArray<KeyValuePair<string, string>>? _failsafe;

    private async Task HandOverAsync(ClusterSnapshot cluster, FailoverRequest request)
    {
        var peers =
            cluster.Members.Values.Where(m => m.Name != Self && (request.Candidate ?? m.Name) == m.Name).ToList();
        var answers = await _peers.ProbeAsync(peers, s_restTimeout, CancellationToken.None);
        if (request.Leader is { } named && named != Self
            || !answers.Any(a => a is { Reachable: true, NoFailover: false }
            && _local.WalPosition.BytesAheadOf(a.Position) <= (ulong)_config.MaximumLagOnFailoverBytes))
        {
            await Store.PutAsync(ClusterKeys.Failover, "{}", WriteCondition.Always, 0, CancellationToken.None);
            return;
        }
        Begin("steps down", async () =>
        {
            _checkDivergence = true;
            await StopAndReleaseAsync(checkpoint: true);
            await Task.Delay(TimeSpan.FromSeconds(2), _time);
            return true;
        });
    }

    private async Task StopAndReleaseAsync(bool checkpoint)
    {
        var released = false;
        await _postgres.StopAsync(
            new StopPlan(StopMode.Fast, checkpoint)
            {
                OnShutdownCheckpoint = async (_, token) =>
                {
                    await Task.Delay(TimeSpan.FromSeconds(1), _time, token);
                    if (_node.Server.Standbys.Any(standby => standby.End >= _node.Server.End))
                    {
                        released = true;
                        await Store.ReleaseLeaderAsync(Self, token);
                    }
                },
            },
            CancellationToken.None);
        if (!released)
        {
            await Store.ReleaseLeaderAsync(Self, CancellationToken.None);
        }
    }

    private async Task ShutDownAsync(bool isLeader)
    {
        Say("ends");
        if (_config.Pause)
        {
            return;
        }
        if (isLeader)
        {
            await StopAndReleaseAsync(checkpoint: false);
        }
        else
        {
            await _postgres.StopAsync(new StopPlan(StopMode.Fast), CancellationToken.None);
        }
    }

    /// <summary>The DCS is silent. A primary goes on only when each failsafe member consents.</summary>
    private async Task WithoutDcsAsync()
    {
        Say("cannot reach the DCS");
        if (_config.Pause || !IsPrimary)
        {
            return;
        }
        if (_config.FailsafeMode && _failsafe is { } members)
        {
            var message = new FailsafeMessage(Self, $"postgres://127.0.0.1:{_node.Server.Port}/postgres",
                $"http://127.0.0.1:{_node.Server.Port + 1000}/patroni", null);
            var replies = await _peers.PostFailsafeAsync(members, message, s_restTimeout, CancellationToken.None);
            if (replies.All(reply => reply.Accepted))
            {
                Say("goes on by failsafe mode");
                return;
            }
        }
        await DemoteAsync(StopMode.Fast);
    }

    private async Task DemoteAsync(StopMode mode)
    {
        Say("demotes itself");
        _checkDivergence = true;
        await _postgres.StopAsync(new StopPlan(mode, EscalateAfter: TimeSpan.FromSeconds(3)), CancellationToken.None);
    }
}
