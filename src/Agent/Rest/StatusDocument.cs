using System.Text.Json;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Cluster.Text;
using Routing.Ha;
using Routing.Ha.Health;
using Routing.Hosting.Logging;

namespace Routing.Agent.Rest;

/// <summary>The document of <c>GET /patroni</c>, which is also the body of the health answers.</summary>
internal static class StatusDocument
{
    private const int QuietQueueLength = 2;

    public static void Write(Utf8JsonWriter json, HealthView view, ILogQueue log)
    {
        var status = view.Status;
        json.WriteStartObject();
        json.WriteString("state", view.State.ToWire());
        if (status is { IsAnswering: true, Postgres.PostmasterStart: { } start })
        {
            json.WriteString("postmaster_start_time", PostgresTime.Format(start));
        }
        json.WriteString("role", view.Role.ToWire());
        if (status.IsAnswering)
        {
            WriteServer(json, view, status.Postgres);
        }
        WriteIf(json, "sync_standby", view.IsSyncStandby);
        WriteIf(json, "quorum_standby", view.IsQuorumStandby);
        WriteIf(json, "pause", status.Config.Pause);
        WriteIf(json, "cluster_unlocked", view.Cluster?.Leader is null);
        WriteIf(json, "failsafe_mode_is_active", view.IsFailsafeActive);
        json.WriteNumber("dcs_last_seen", status.ClusterConfirmedTime?.ToUnixTimeSeconds() ?? 0);
        MemberWriter.Tags(json, status.Tags);
        if (status.SystemId is { } systemId)
        {
            json.WriteString("database_system_identifier", systemId);
        }
        WriteIf(json, "pending_restart", !status.Postgres.PendingRestart.IsEmpty);
        MemberWriter.PendingRestartReason(json, status.Postgres.PendingRestart);
        json.WriteStartObject("patroni");
        json.WriteString("version", RoutingVersion.Compatible);
        json.WriteString("scope", status.Scope);
        json.WriteString("name", status.Name);
        json.WriteEndObject();
        if (status.Site is { } site)
        {
            json.WriteString("site", site);
        }
        if (status.ScheduledRestart is { } restart)
        {
            WriteScheduledRestart(json, restart);
        }
        WriteIf(json, "watchdog_failed", status.WatchdogProblem is not null);
        if (log.Length > QuietQueueLength)
        {
            json.WriteNumber("logger_queue_size", log.Length);
            if (log.LostRecords > 0)
            {
                json.WriteNumber("logger_records_lost", log.LostRecords);
            }
        }
        json.WriteStartObject("routing");
        json.WriteString("version", RoutingVersion.Own);
        json.WriteNumber("age", Math.Round(view.Age.TotalSeconds, 3, MidpointRounding.ToPositiveInfinity));
        json.WriteNumber("term", status.Term.Revision);
        json.WriteString("code", status.ReasonCode);
        json.WriteString("reason", status.Reason);
        if (status.Health != HealthProblem.None)
        {
            json.WriteString("unhealthy", HealthRules.Name(status.Health));
        }
        if (status.Damage is { } damage)
        {
            json.WriteString("damage", damage);
        }
        if (status.Job is { } job)
        {
            WriteJob(json, job);
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteServer(Utf8JsonWriter json, HealthView view, LocalPostgres postgres)
    {
        json.WriteNumber("server_version", postgres.ServerVersion);
        json.WriteStartObject("xlog");
        if (postgres.IsPrimary)
        {
            json.WriteNumber("location", postgres.WalPosition.Value);
        }
        else
        {
            json.WriteNumber("received_location", view.IsPositionKnown ? view.Received.Value : 0);
            json.WriteNumber("replayed_location", view.IsPositionKnown ? view.Replayed.Value : 0);
            if (postgres.ReplayedTimestamp is { } replayed)
            {
                json.WriteString("replayed_timestamp", PostgresTime.Format(replayed));
            }
            else
            {
                json.WriteNull("replayed_timestamp");
            }
            json.WriteBoolean("paused", postgres.ReplayPaused);
        }
        json.WriteEndObject();
        if (postgres.Timeline == 0)
        {
            json.WriteNull("timeline");
        }
        else
        {
            json.WriteNumber("timeline", postgres.Timeline);
        }
        if (view.Status.ReplicationState is { } replicationState)
        {
            json.WriteString("replication_state", replicationState);
        }
        if (postgres.Standbys.IsDefaultOrEmpty)
        {
            return;
        }
        json.WriteStartArray("replication");
        foreach (var standby in postgres.Standbys)
        {
            json.WriteStartObject();
            json.WriteString("usename", standby.User);
            json.WriteString("application_name", standby.ApplicationName);
            json.WriteString("client_addr", standby.ClientAddress);
            json.WriteString("state", standby.State);
            json.WriteString("sync_state", standby.SyncState);
            json.WriteNumber("sync_priority", standby.SyncPriority);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteScheduledRestart(Utf8JsonWriter json, ScheduledRestart restart)
    {
        json.WriteStartObject("scheduled_restart");
        json.WriteString("schedule", IsoTime.Format(restart.Schedule));
        if (restart.Role is { } role)
        {
            json.WriteString("role", role);
        }
        if (restart.PostgresVersion is { } version)
        {
            json.WriteString("postgres_version", version);
        }
        WriteIf(json, "restart_pending", restart.RestartPending);
        if (restart.TimeoutSeconds is { } timeout)
        {
            json.WriteNumber("timeout", timeout);
        }
        json.WriteEndObject();
    }

    /// <summary>The job that runs, and how far a copy or a replay is: bytes, bytes per second, seconds.</summary>
    private static void WriteJob(Utf8JsonWriter json, JobView job)
    {
        json.WriteStartObject("job");
        json.WriteString("name", HaLoop.Name(job.Kind));
        json.WriteString("progress", job.Progress);
        if (job.Source is { } source)
        {
            json.WriteString("source", source);
        }
        if (job.Copied is { } copied)
        {
            json.WriteNumber("bytes", copied.Bytes);
            json.WriteNumber("total", copied.Total);
            json.WriteNumber("rate", copied.BytesPerSecond);
            if (copied.Left is { } left)
            {
                json.WriteNumber("seconds_left", Math.Round(left.TotalSeconds));
            }
            if (copied.Wal is { } wal)
            {
                WriteReplay(json, wal);
            }
        }
        json.WriteEndObject();
    }

    private static void WriteReplay(Utf8JsonWriter json, ReplayedWal wal)
    {
        json.WriteStartObject("replay");
        Write("from", wal.From, wal.FromMoment);
        Write("at", wal.At, wal.AtMoment);
        Write("end", wal.End, wal.EndMoment);
        json.WriteEndObject();

        void Write(string name, Lsn? position, DateTimeOffset? moment)
        {
            if (position is { } known)
            {
                json.WriteString(name, known.ToString());
            }
            if (moment is { } when)
            {
                json.WriteString($"{name}_timestamp", PostgresTime.Format(when));
            }
        }
    }

    private static void WriteIf(Utf8JsonWriter json, string name, bool holds)
    {
        if (holds)
        {
            json.WriteBoolean(name, true);
        }
    }
}
