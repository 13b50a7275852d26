using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Npgsql;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Slots;

namespace Routing.Agent.Postgres.Sessions;

/// <summary>One answer of the server to the monitoring query.</summary>
internal sealed record ServerReport
{
    public required bool InRecovery { get; init; }

    public required int Version { get; init; }

    public required DateTimeOffset PostmasterStart { get; init; }

    /// <summary>Of a primary; 0 in recovery.</summary>
    public required uint PrimaryTimeline { get; init; }

    /// <summary>Of the WAL receiver; 0 without one.</summary>
    public uint ReceivedTimeline { get; init; }

    public Lsn Flushed { get; init; }

    public Lsn Received { get; init; }

    public Lsn Replayed { get; init; }

    public Lsn LatestEnd { get; init; }

    public DateTimeOffset? ReplayedTimestamp { get; init; }

    public bool ReplayPaused { get; init; }

    public bool IsStreaming { get; init; }

    /// <summary>The server that the WAL receiver is connected to; null where PostgreSQL does not tell.</summary>
    public HostPort? Sender { get; init; }

    public ImmutableArray<StandbyRow> Standbys { get; init; } = [];

    public ImmutableArray<ReplicationSlot> Slots { get; init; } = [];

    public string SynchronousStandbyNames { get; init; } = "";

    public string SynchronousCommit { get; init; } = "on";

    public string PrimaryConnInfo { get; init; } = "";

    public string PrimarySlotName { get; init; } = "";

    /// <summary>The query: everything in one round trip, one row.</summary>
    public static string Query(int majorVersion) =>
        $"""
        SELECT r.in_recovery,
               current_setting('server_version_num')::int,
               (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
               CASE WHEN r.in_recovery THEN 0
                    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END,
               CASE WHEN r.in_recovery THEN NULL ELSE pg_current_wal_flush_lsn()::text END,
               pg_last_wal_receive_lsn()::text,
               pg_last_wal_replay_lsn()::text,
               (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint,
               CASE WHEN r.in_recovery THEN pg_is_wal_replay_paused() ELSE false END,
               (SELECT row_to_json(w)::text FROM (
                   SELECT status, received_tli, flushed_lsn, latest_end_lsn, sender_host, sender_port
                     FROM pg_stat_get_wal_receiver() WHERE pid IS NOT NULL) w),
               (SELECT json_agg(s)::text FROM (
                   SELECT application_name, usename, host(client_addr) AS client_addr, state, sync_state, sync_priority,
                          sent_lsn, write_lsn, flush_lsn, replay_lsn FROM pg_stat_replication) s),
               (SELECT json_agg(s)::text FROM (
                   SELECT slot_name, slot_type, database, plugin, active, xmin, catalog_xmin, restart_lsn,
                          confirmed_flush_lsn, wal_status{ServerFeatures.SyncColumns(majorVersion)}
                     FROM pg_replication_slots WHERE NOT temporary) s),
               current_setting('synchronous_standby_names'),
               current_setting('synchronous_commit'),
               current_setting('primary_conninfo'),
               current_setting('primary_slot_name')
          FROM (SELECT pg_is_in_recovery() AS in_recovery OFFSET 0) r
        """;

    /// <summary>Reads the query's row.</summary>
    public static ServerReport Read(NpgsqlDataReader row)
    {
        var report = new ServerReport
        {
            InRecovery = row.GetBoolean(0),
            Version = row.GetInt32(1),
            PostmasterStart = FromMicroseconds(row.GetInt64(2)),
            PrimaryTimeline = (uint)row.GetInt64(3),
            Flushed = Position(Text(row, 4)),
            Received = Position(Text(row, 5)),
            Replayed = Position(Text(row, 6)),
            ReplayedTimestamp = row.IsDBNull(7) ? null : FromMicroseconds(row.GetInt64(7)),
            ReplayPaused = row.GetBoolean(8),
            Standbys = Rows(Text(row, 10), Standby),
            Slots = Rows(Text(row, 11), Slot),
            SynchronousStandbyNames = Text(row, 12) ?? "",
            SynchronousCommit = Text(row, 13) ?? "",
            PrimaryConnInfo = Text(row, 14) ?? "",
            PrimarySlotName = Text(row, 15) ?? "",
        };
        if (Text(row, 9) is not { } receiverText)
        {
            return report;
        }
        using var document = JsonDocument.Parse(receiverText);
        var receiver = document.RootElement;
        return report with
        {
            IsStreaming = String(receiver, "status") == "streaming",
            ReceivedTimeline = (uint)(Number(receiver, "received_tli") ?? 0),
            Received = Lsn.Max(report.Received, Location(receiver, "flushed_lsn") ?? Lsn.Zero),
            LatestEnd = Location(receiver, "latest_end_lsn") ?? Lsn.Zero,
            Sender = String(receiver, "sender_host") is { Length: > 0 } host
                && Number(receiver, "sender_port") is { } port
                ? new HostPort(host, (int)port)
                : null,
        };
    }

    private static StandbyRow Standby(JsonElement row) => new(
        String(row, "application_name") ?? "", String(row, "usename"), String(row, "client_addr"),
        String(row, "state") ?? "",
        String(row, "sync_state") ?? "", (int)(Number(row, "sync_priority") ?? 0), Location(row, "sent_lsn"),
        Location(row, "write_lsn"), Location(row, "flush_lsn"), Location(row, "replay_lsn"));

    private static ReplicationSlot Slot(JsonElement row) => new()
    {
        Name = String(row, "slot_name") ?? "",
        IsLogical = String(row, "slot_type") == "logical",
        Database = String(row, "database"),
        Plugin = String(row, "plugin"),
        Active = Flag(row, "active"),
        Xmin = (uint?)Number(row, "xmin"),
        CatalogXmin = (uint?)Number(row, "catalog_xmin"),
        RestartLsn = Location(row, "restart_lsn"),
        ConfirmedFlushLsn = Location(row, "confirmed_flush_lsn"),
        Lost = String(row, "wal_status") == "lost",
        Failover = Flag(row, "failover"),
        Synced = Flag(row, "synced"),
    };

    private static ImmutableArray<T> Rows<T>(string? text, Func<JsonElement, T> read)
    {
        if (text is null)
        {
            return [];
        }
        using var document = JsonDocument.Parse(text);
        return [.. document.RootElement.EnumerateArray().Select(read)];
    }

    private static string? Text(NpgsqlDataReader row, int column) =>
        row.IsDBNull(column) ? null : row.GetString(column);

    private static string? String(JsonElement row, string name) =>
        row.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value.ToString() : null;

    private static long? Number(JsonElement row, string name) =>
        long.TryParse(String(row, name), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : null;

    private static Lsn? Location(JsonElement row, string name) =>
        Lsn.TryParse(String(row, name), out var lsn) ? lsn : null;

    private static bool Flag(JsonElement row, string name) =>
        row.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    private static Lsn Position(string? text) => Lsn.TryParse(text, out var lsn) ? lsn : Lsn.Zero;

    private static DateTimeOffset FromMicroseconds(long value) => DateTimeOffset.UnixEpoch.AddMicroseconds(value);
}
