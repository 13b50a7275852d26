using System.Globalization;
using System.Net.Sockets;
using Npgsql;
using Routing.Cluster;

namespace Routing.Cli.Checks;

/// <summary>What the leader's PostgreSQL tells of its archiver and its replication slots.</summary>
internal sealed class ServerChecks(Session session, ClusterSnapshot snapshot, CheckLimits limits)
{
    private const string Archiver = """
        SELECT failed_count, last_failed_wal FROM pg_stat_archiver
        WHERE current_setting('archive_mode') <> 'off' AND last_failed_time > coalesce(last_archived_time, '-infinity')
        """;

    private const string Slots = """
        SELECT slot_name, active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots
        WHERE NOT pg_is_in_recovery() AND restart_lsn IS NOT NULL ORDER BY slot_name
        """;

    /// <summary>The archiver's last attempt failed.</summary>
    public static Finding CannotArchive(string leader, string segment, long failures) => Finding.Error(
        leader, $"can't archive {segment}: {failures} failures, the last after the last success");

    /// <summary>The findings; a server that can't be asked is a hint, because REST and etcd tell the rest.</summary>
    public async Task<IEnumerable<Finding>> RunAsync(CancellationToken cancellationToken)
    {
        if (snapshot.LeaderMember is not { Address: { } address } leader)
        {
            return [];
        }
        try
        {
            await using var connection = await session.Settings.Superuser.OpenAsync(address, cancellationToken);
            return
            [
                .. await RowsAsync(connection, Archiver, row => CannotArchive(
                    leader.Name, row.GetString(1), row.GetInt64(0))),
                .. (await RowsAsync(connection, Slots,
                    row => (Name: row.GetString(0), Active: row.GetBoolean(1), Bytes: row.GetInt64(2))))
                    .Where(slot => slot.Bytes > limits.SlotBytes)
                    .Select(slot => Finding.Warning(
                        leader.Name,
                        $"keeps {KeyChecks.Size(slot.Bytes)} of WAL for the slot {slot.Name}, which is "
                            + $"{(slot.Active ? "" : "not ")}in use")),
            ];
        }
        catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException)
        {
            session.Screen.WriteHint(string.Create(
                CultureInfo.InvariantCulture,
                $"Archiver and slots were not checked: the server of {leader.Name} can't be asked: {e.Message}"));
            return [];
        }

        async Task<List<T>> RowsAsync<T>(NpgsqlConnection connection, string query, Func<NpgsqlDataReader, T> read)
        {
            await using var command = new NpgsqlCommand(query, connection);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            var rows = new List<T>();
            while (await reader.ReadAsync(cancellationToken))
            {
                rows.Add(read(reader));
            }
            return rows;
        }
    }
}
