using System.Text.Json;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Cluster.Text;
using Routing.Ha;
using Routing.Ha.Synchronous;

namespace Routing.Agent.Rest;

/// <summary>
/// The document of <c>GET /why</c>: why this member is (not) the leader, why there is no failover, what commits wait
/// for, and how the leader changed last.
/// </summary>
internal static class WhyDocument
{
    /// <summary>Writes it.</summary>
    /// <param name="json">Where to.</param>
    /// <param name="view">What the loop published last.</param>
    /// <param name="events">The diary.</param>
    /// <param name="time">The clock, for what is left of the lease.</param>
    public static void Write(
        Utf8JsonWriter json, HealthView view, IReadOnlyList<ClusterEvent> events, TimeProvider time)
    {
        var status = view.Status;
        var isLeader = view.IsLeader;
        var leader = isLeader ? status.Name : status.Cluster?.Leader?.Holder;
        json.WriteStartObject();
        json.WriteString("member", status.Name);
        json.WriteString("scope", status.Scope);
        json.WriteString("role", view.Role.ToWire());
        json.WriteString("state", view.State.ToWire());
        json.WriteString("leader", leader);
        json.WriteBoolean("is_leader", isLeader);
        json.WriteBoolean("paused", status.Config.Pause);
        json.WriteNumber("term", status.Term.Revision);
        json.WriteNumber("timeline", status.Postgres.Timeline);
        json.WriteString("code", status.ReasonCode);
        json.WriteString("reason", status.Reason);
        json.WriteString("since", events.LastOrDefault(item =>
            item.Kind == EventKind.Reason && item.Code == status.ReasonCode) is { } told
                ? IsoTime.FormatUtc(told.Time)
                : null);
        json.WriteString("answer", Answer(view, isLeader, leader));
        WriteNoFailover(json, view, isLeader, leader);
        WriteIfLeaderGone(json, status, isLeader);
        WriteFigures(json, view, isLeader, time);
        WriteCommit(json, status);
        json.WritePropertyName("last");
        if (StoryTeller.Last(events) is { } story)
        {
            FailoverStoryJson.Write(json, story);
        }
        else
        {
            json.WriteNullValue();
        }
        json.WriteEndObject();
    }

    private static string Answer(HealthView view, bool isLeader, string? leader)
    {
        var status = view.Status;
        var name = status.Name;
        if (status.Cluster is null)
        {
            return $"{name} does not lead: etcd has not answered it yet.";
        }
        if (isLeader)
        {
            return $"{name} is the leader: it holds the leader key, and it {status.Reason}.";
        }
        return leader is null
            ? $"{name} is not the leader, and nobody is: it {status.Reason}."
            : leader == name
                ? $"{name} holds the leader key, and may not act as the leader: it {status.Reason}."
                : $"{name} is not the leader: {leader} holds the leader key. {name} {status.Reason}.";
    }

    private static void WriteNoFailover(Utf8JsonWriter json, HealthView view, bool isLeader, string? leader)
    {
        var status = view.Status;
        var (code, reason) = status switch
        {
            { Cluster: null } or { IsDcsSilent: true } =>
                ("dcs_silent", "etcd does not answer this member: it cannot take the leader key"),
            _ when leader is null && status.ReasonCode is "races" or "asks_peers" => (null, null),
            _ when leader is null => (status.ReasonCode, $"{status.Name} {status.Reason}"),
            _ when isLeader && !status.Postgres.IsPrimary =>
                (status.ReasonCode, $"{leader} holds the leader key and {status.Reason}"),
            _ => ("leader_leads", $"{leader} holds the leader key, and its lease has not ended"),
        };
        if (code is null)
        {
            json.WriteNull("no_failover");
            return;
        }
        json.WriteStartObject("no_failover");
        json.WriteString("code", code);
        json.WriteString("reason", reason);
        json.WriteEndObject();
    }

    /// <summary>The decision core is asked what it would do; nothing of it is done.</summary>
    private static void WriteIfLeaderGone(Utf8JsonWriter json, AgentStatus status, bool isLeader)
    {
        if (isLeader || status.Seen is not { Cluster: not null } seen)
        {
            json.WriteNull("if_leader_gone");
            return;
        }
        var decision = HaLoop.IfLeaderless(seen);
        json.WriteStartObject("if_leader_gone");
        json.WriteString("code", decision.Code);
        json.WriteString("reason", decision.Reason);
        json.WriteBoolean("would_lead", decision.Actions.Any(action => action is HaAction.AcquireLeader));
        json.WriteEndObject();
    }

    private static void WriteFigures(Utf8JsonWriter json, HealthView view, bool isLeader, TimeProvider time)
    {
        var status = view.Status;
        var own = status.Postgres.WalPosition;
        json.WriteStartObject("figures");
        json.WriteString("lsn", own.ToString());
        if (status.Cluster is { } cluster)
        {
            var leader = Lsn.Max(cluster.Status.Optime, cluster.LeaderMember?.XlogLocation ?? Lsn.Zero);
            json.WriteString("leader_lsn", leader.ToString());
            json.WriteNumber("lag", isLeader ? 0 : leader.BytesAheadOf(own));
        }
        json.WriteNumber("maximum_lag_on_failover", status.Config.MaximumLagOnFailoverBytes);
        json.WriteNumber("ttl_ms", Milliseconds(status.Timing.Ttl));
        json.WriteNumber("loop_wait_ms", Milliseconds(status.Timing.LoopWait));
        if (isLeader)
        {
            json.WriteNumber("lease_left_ms", Milliseconds(
                time.GetElapsedTime(view.Now, status.LeaderUntil ?? view.Now)));
        }
        else
        {
            json.WriteNull("lease_left_ms");
        }
        json.WriteBoolean("nofailover", status.Tags.NoFailover);
        json.WriteNumber("failover_priority", status.Tags.FailoverPriority);
        json.WriteEndObject();
    }

    private static void WriteCommit(Utf8JsonWriter json, AgentStatus status)
    {
        if (status is not { IsAnswering: true, Postgres.IsPrimary: true, Cluster: { } cluster })
        {
            json.WriteNull("commit");
            return;
        }
        var wait = CommitExplanation.Explain(status.Postgres, status.Config, cluster.Members);
        json.WriteStartObject("commit");
        json.WriteString("mode", wait.Mode switch
        {
            SynchronousMode.Off => "off",
            SynchronousMode.Priority => "on",
            _ => "quorum",
        });
        json.WriteBoolean("strict", wait.IsStrict);
        json.WriteString("synchronous_commit", wait.SynchronousCommit);
        json.WriteString("names", wait.Names);
        json.WriteString("lsn", wait.Lsn.ToString());
        json.WriteNumber("waits_for", wait.WaitsFor);
        json.WriteStartArray("of");
        foreach (var name in wait.Of)
        {
            json.WriteStringValue(name);
        }
        json.WriteEndArray();
        json.WriteStartArray("standbys");
        foreach (var standby in wait.Standbys)
        {
            Write(json, standby);
        }
        json.WriteEndArray();
        json.WriteString("answer", wait.Text);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, CommitStandby standby)
    {
        json.WriteStartObject();
        json.WriteString("name", standby.Name);
        json.WriteString("state", standby.State);
        json.WriteString("sync_state", standby.SyncState);
        json.WriteBoolean("counts", standby.Counts);
        json.WriteString("write_lsn", standby.WriteLsn?.ToString());
        json.WriteString("flush_lsn", standby.FlushLsn?.ToString());
        json.WriteString("replay_lsn", standby.ReplayLsn?.ToString());
        if (standby.LagBytes is { } lag)
        {
            json.WriteNumber("lag", lag);
        }
        else
        {
            json.WriteNull("lag");
        }
        json.WriteString("if_lost", standby.IfLost);
        json.WriteEndObject();
    }

    private static long Milliseconds(TimeSpan span) => (long)Math.Round(span.TotalMilliseconds);
}
