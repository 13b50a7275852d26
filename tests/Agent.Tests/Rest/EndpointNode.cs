using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Routing.Agent.Config;
using Routing.Agent.Loop;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Health;

namespace Routing.Agent.Tests.Rest;

/// <summary>
/// A REST server in front of a member in one state of <see cref="EndpointTable.Columns"/>, with the part of its loop
/// that answers orders and requests for another leader.
/// </summary>
internal sealed class EndpointNode : IAsyncDisposable
{
    private const string SystemId = "7412345678901234567";
    private readonly RestHost _host;
    private readonly RestHost _candidate;
    private readonly string _config;

    private EndpointNode(RestHost host, RestHost candidate, string config, string sync)
    {
        (_host, _candidate, _config) = (host, candidate, config);
        host.OnWake = Answer;
        host.Dcs.Put("initialize", SystemId);
        host.Dcs.Put("sync", sync);
        foreach (var (name, role) in (ReadOnlySpan<(string, string)>)[("pg-a", "primary"), ("pg-b", "replica")])
        {
            host.Dcs.Put($"members/{name}",
                $$"""{"conn_url":"postgres://127.0.0.1:5432/postgres","api_url":"{{candidate.Settings.ApiUrl}}","""
                    + $$""" "state":"running","role":"{{role}}"}""");
        }
        Reset();
        var seen = host.Dcs.Snapshot;
        host.Status = host.Status with
        {
            Cluster = host.Status.Cluster is { } cluster
                ? cluster with { Members = seen.Members, Initialize = seen.Initialize, Config = seen.Config }
                : null,
        };
    }

    public static async Task<EndpointNode> StartAsync(string column, RestSettings? settings = null)
    {
        var (status, config, sync) = State(column);
        var host = await RestHost.StartAsync(status, settings);
        var candidate = status.Name == "pg-b" ? host : await RestHost.StartAsync(Nodes.Replica);
        var node = new EndpointNode(host, candidate, config, sync);
        if (status.IsDcsSilent)
        {
            host.Link.RequestTimeout = TimeSpan.FromMilliseconds(1);
            host.Link.IsCutOff = true;
        }
        var consents = new FailsafeConsents(host.Board, null, _ => { }, host.Time);
        host.OnFailsafe = consents.Receive;
        return node;
    }

    /// <summary>The code of the answer to one request, sent as it is.</summary>
    public async Task<int> CodeAsync(string method, string path, string? body, string? login = null)
    {
        Reset();
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"{method} {path} HTTP/1.1\r\nHost: x\r\n");
        if (body is not null)
        {
            text.Append(CultureInfo.InvariantCulture, $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n");
        }
        if (login is not null)
        {
            text.Append("Authorization: Basic ").Append(Convert.ToBase64String(Encoding.UTF8.GetBytes(login)))
                .Append("\r\n");
        }
        var answer = await _host.RawAsync(text.Append("\r\n").Append(body).ToString());
        return int.Parse(answer.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        if (_candidate != _host)
        {
            await _candidate.DisposeAsync();
        }
    }

    /// <summary>The keys that a request may change are as they were.</summary>
    private void Reset()
    {
        _host.Dcs.Put("config", _config);
        _host.Dcs.Put("leader", "pg-a");
    }

    /// <summary>The loop was woken: it judges the order that is open, and lets the candidate lead.</summary>
    private void Answer()
    {
        if (_host.Orders.Open is { } order)
        {
            var decision = HaLoop.Decide(Seen(order));
            var refusal = decision.Actions.OfType<HaAction.RefuseOrder>().SingleOrDefault();
            _host.Orders.End(order.Id, refusal is not null
                ? new OrderEnd(null, refusal.Refusal, refusal.Detail)
                : new OrderEnd(JobResult.Done, null, ""));
        }
        if (_host.Dcs.Snapshot.Failover is { ScheduledAt: null })
        {
            _host.Dcs.Put("leader", "pg-b");
            _host.Dcs.Put("failover", "{}");
        }
    }

    private Observation Seen(Order order)
    {
        var (status, now) = (_host.Status, _host.Time.GetTimestamp());
        return new Observation
        {
            Self = status.Name,
            Cluster = status.Cluster,
            IsDcsLive = !status.IsDcsSilent,
            Config = status.Config,
            Timing = status.Timing,
            Local = status.Postgres with
            {
                Control = new ControlFile(SystemId, ControlState.InProduction, 4, new Lsn(1), default, 0, true, true),
                HasRecoverySignal = status.Role != Role.Primary,
                PostmasterPid = status.Postgres.Server == ServerState.Stopped ? 0 : 77,
            },
            Lease = status.IsLeader(now) && !status.IsDcsSilent
                ? new LeaseView(true, status.Term, status.Timing.Ttl * 0.9, false, status.Timing.Ttl)
                : default,
            Failsafe = status.FailsafeUntil is not null
                ? new FailsafeView(status.Timing.Ttl * 0.9, TimeSpan.Zero, null, default)
                : default,
            Now = TimeSpan.FromSeconds(1000),
            Order = order,
        };
    }

    private static (AgentStatus Status, string Config, string Sync) State(string column)
    {
        const string plain = """{"ttl":30}""";
        const string failsafe = """{"ttl":30,"failsafe_mode":true}""";
        const string none = "{}";
        const string named = """{"leader":"pg-a","sync_standby":"pg-b"}""";
        var (status, config, sync) = column switch
        {
            "P" => (Nodes.Primary, plain, none),
            "Z" => (Nodes.Paused(Nodes.Primary), """{"ttl":30,"pause":true}""", none),
            "R" => (Nodes.Replica, plain, none),
            "G" => (Behind(Nodes.Replica), plain, none),
            "A" => (FromArchive(Nodes.Replica), plain, none),
            "S" => (Nodes.SyncStandby, """{"ttl":30,"synchronous_mode":true}""", named),
            "Q" => (Nodes.QuorumStandby, """{"ttl":30,"synchronous_mode":"quorum"}""", named),
            "N" => (Nodes.NoLoadBalance, plain, none),
            "F" => (Nodes.Replica with { Tags = Nodes.Tags(("nofailover", "true"), ("dc", "\"west\"")) }, plain, none),
            "L" => (Nodes.StandbyLeader with { Name = "pg-a" },
                """{"ttl":30,"standby_cluster":{"host":"10.2.0.1"}}""", none),
            "X" => (Nodes.ExpiredPrimary, plain, none),
            "D" => (Nodes.LeaderWithoutServer, plain, none),
            "H" => (Nodes.Primary with { NextRunAt = Nodes.In(TimeSpan.FromMinutes(-10)) }, plain, none),
            "U" => (Nodes.Primary with { Health = HealthProblem.DiskFull }, plain, none),
            "B" => (Without(Nodes.Replica, PostgresState.Starting, ServerState.Starting), plain, none),
            "O" => (Without(Nodes.Replica, PostgresState.Stopped, ServerState.Stopped), plain, none),
            "T" => (Nodes.Primary with { FailsafeUntil = Nodes.In(TimeSpan.FromMinutes(5)) }, failsafe, none),
            "V" => (Blind(Nodes.Replica) with
            {
                Failsafe = new FailsafeNotice("pg-a", "c", "a", null, Nodes.In(TimeSpan.Zero)),
            }, failsafe, none),
            "K" => (Blind(Nodes.Replica), plain, none),
            "E" => (Nodes.Replica with { Cluster = null, ClusterConfirmedAt = null, IsDcsSilent = true }, plain, none),
            _ => throw new ArgumentOutOfRangeException(nameof(column), column, "The table does not explain it."),
        };
        if (column is "T" or "V")
        {
            var members = ImmutableSortedDictionary<string, string>.Empty.Add("pg-a", "http://a:8008/patroni");
            status = status with { Cluster = status.Cluster! with { Failsafe = members } };
        }
        var parsed = status.Config with { FailsafeMode = config == failsafe };
        return (status with { Config = parsed, IsDcsSilent = column is "T" or "V" or "K" or "E" }, config, sync);
    }

    private static AgentStatus Behind(AgentStatus status) => status with
    {
        Postgres = status.Postgres with { ReplayedLsn = new Lsn(status.Postgres.ReceivedLsn.Value - (32 << 20)) },
    };

    private static AgentStatus FromArchive(AgentStatus status) => status with
    {
        IsInArchiveRecovery = true,
        Postgres = status.Postgres with { IsStreaming = false, LatestEndLsn = Lsn.Zero },
    };

    private static AgentStatus Blind(AgentStatus status) => status with
    {
        Postgres = status.Postgres with { LatestEndLsn = Lsn.Zero },
    };

    private static AgentStatus Without(AgentStatus status, PostgresState state, ServerState server) => status with
    {
        State = state,
        Postgres = status.Postgres with { Server = server, IsStreaming = false },
    };
}
