using System.Globalization;
using System.Text;
using Routing.Agent.Status;
using Routing.Cluster;

namespace Routing.Agent.Metrics;

/// <summary>Patroni's metrics, computed from one status.</summary>
/// <remarks>
/// Written by hand: order, the version's leading zero, the extra comment and the samples that may be absent are part of
/// what dashboards read, and no instrument can express them.
/// </remarks>
internal static class StatusMetrics
{
    private static readonly string s_states = string.Join(", ",
        ((string[])
        [
            "initdb", "initdb_failed", "custom_bootstrap", "custom_bootstrap_failed", "creating_replica", "running",
            "starting",
            "bootstrap_starting", "start_failed", "restarting", "restart_failed", "stopping", "stopped", "stop_failed",
            "crashed",
        ]).Select((name, index) => $"{index}={name}"));

    /// <summary>The metrics as text.</summary>
    public static string Write(HealthView view)
    {
        var status = view.Status;
        var postgres = status.Postgres;
        var answers = status.IsAnswering;
        var standby = answers && !postgres.IsPrimary;
        var text = new Text(status.Scope, status.Name);

        text.Gauge("patroni_version", "Version of the REST interface and keys, two digits a part.", PaddedVersion());
        text.Gauge("patroni_postgres_running", "1 while PostgreSQL runs.", view.State == PostgresState.Running);
        text.Gauge("patroni_postmaster_start_time", "When the postmaster was started, epoch seconds.",
            Epoch(answers ? postgres.PostmasterStart : null));
        text.Gauge("patroni_primary", "1 on the primary.", view.Role == Role.Primary);
        text.Counter("patroni_xlog_location", "WAL position of the primary; 0 on a standby.",
            answers && postgres.IsPrimary ? postgres.WalPosition : Lsn.Zero);
        text.Gauge("patroni_standby_leader", "1 on the leader of a standby cluster.", view.Role == Role.StandbyLeader);
        text.Gauge("patroni_replica", "1 on a replica.", view.Role == Role.Replica);
        text.Gauge("patroni_sync_standby", "1 on a synchronous standby.", view.IsSyncStandby);
        text.Gauge("patroni_quorum_standby", "1 on a voter of the quorum.", view.IsQuorumStandby);
        text.Counter("patroni_xlog_received_location", "WAL position that was received; 0 on a primary.",
            standby ? view.Received : Lsn.Zero);
        text.Counter("patroni_xlog_replayed_location", "WAL position that was replayed; 0 on a primary.",
            standby ? view.Replayed : Lsn.Zero);
        text.Gauge("patroni_xlog_replayed_timestamp",
            "Commit time of the last replayed transaction, epoch seconds; 0 for none.",
            Epoch(standby ? postgres.ReplayedTimestamp : null));
        text.Gauge("patroni_xlog_paused", "1 while replay is paused.", standby && postgres.ReplayPaused);
        if (answers)
        {
            text.Gauge("patroni_postgres_streaming", "1 while WAL streams in.", status.ReplicationState == "streaming");
            text.Gauge("patroni_postgres_in_archive_recovery", "1 while WAL comes from the archive.",
                status.ReplicationState == "in archive recovery");
        }
        text.Gauge("patroni_postgres_server_version", "Version of the server as a number; 0 when unknown.",
            Number(answers ? postgres.ServerVersion : 0));
        text.Gauge("patroni_cluster_unlocked", "1 while nobody holds the leader key, or the cluster cannot be seen.",
            view.Cluster?.Leader is null);
        text.Gauge("patroni_failsafe_mode_is_active", "1 while the leader stays without the DCS.",
            view.IsFailsafeActive);
        text.Gauge("patroni_failsafe_mode_enabled", "1 when failsafe mode is on.", status.Config.FailsafeMode);
        text.Gauge("patroni_failsafe_member", "1 when this member stands in the failsafe key.",
            status.Cluster?.Failsafe?.ContainsKey(status.Name) ?? false);
        text.Gauge("patroni_postgres_timeline", "Timeline; 0 when unknown.", Number(answers ? postgres.Timeline : 0));
        text.Gauge("patroni_dcs_last_seen", "When the DCS last answered, epoch seconds.",
            Number(status.ClusterConfirmedTime?.ToUnixTimeSeconds() ?? 0));
        text.Gauge("patroni_pending_restart", "1 when a parameter waits for a restart.",
            !postgres.PendingRestart.IsEmpty);
        text.Gauge("patroni_is_paused", "1 while automatic actions are suspended.", status.Config.Pause);
        text.Comment($"patroni_postgres_state values: {s_states}");
        text.Gauge("patroni_postgres_state", "State of PostgreSQL as a number; -1 when unknown.",
            Number((int)view.State));
        text.Gauge("patroni_failover_priority", "Preference as the next leader; 0 never leads.",
            Number(status.Tags.FailoverPriority));
        return text.ToString();
    }

    private static string PaddedVersion() =>
        string.Concat(RoutingVersion.Compatible.Split('.').Select(part => part.PadLeft(2, '0')));

    private static string Epoch(DateTimeOffset? time) =>
        time is { } known
            ? ((known - DateTimeOffset.UnixEpoch).Ticks / (decimal)TimeSpan.TicksPerSecond).ToString(
                "0.######", CultureInfo.InvariantCulture)
            : "0";

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private sealed class Text(string scope, string name)
    {
        private readonly StringBuilder _text = new(8192);
        private readonly string _labels = $"{{scope=\"{Escape(scope)}\",name=\"{Escape(name)}\"}}";

        public void Gauge(string metric, string help, bool value) => Gauge(metric, help, value ? "1" : "0");

        public void Gauge(string metric, string help, string value) => Add(metric, help, "gauge", value);

        public void Counter(string metric, string help, Lsn value) =>
            Add(metric, help, "counter", value.Value.ToString(CultureInfo.InvariantCulture));

        public void Comment(string comment) => _text.Append("# ").Append(comment).Append('\n');

        public override string ToString() => _text.ToString();

        private void Add(string metric, string help, string type, string value) => _text
            .Append("# HELP ").Append(metric).Append(' ').Append(help).Append('\n')
            .Append("# TYPE ").Append(metric).Append(' ').Append(type).Append('\n')
            .Append(metric).Append(_labels).Append(' ').Append(value).Append('\n');

        private static string Escape(string text) => text
            .Replace("\\", "\\\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal);
    }
}
