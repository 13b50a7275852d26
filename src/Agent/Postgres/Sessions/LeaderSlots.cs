using System.Collections.Immutable;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Postgres.Files;
using Routing.Cluster;
using Routing.Ha.Slots;

namespace Routing.Agent.Postgres.Sessions;

/// <summary>A logical slot of the leader, with its state file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Database">The name of its database.</param>
/// <param name="Plugin">Its output plugin.</param>
/// <param name="Confirmed">What its consumer has confirmed.</param>
/// <param name="IsLost">Its WAL is gone, or it was invalidated.</param>
/// <param name="IsSynced">The server itself copies it to its standbys (PostgreSQL 17 and later).</param>
/// <param name="State">The content of its state file; null: there is none.</param>
internal sealed record LeaderSlot(
    string Name, string? Database, string? Plugin, Lsn Confirmed, bool IsLost, bool IsSynced, byte[]? State);

/// <summary>The leader's slots, as its server tells them.</summary>
internal sealed class LeaderSlots : IAsyncDisposable
{
    private readonly ServerSession _session;

    private LeaderSlots(ServerSession session) => _session = session;

    /// <summary>The server's major version.</summary>
    public int Major => _session.Connection.PostgreSqlVersion.Major;

    /// <summary>
    /// Connects, by the user for pg_rewind: it may read files of the server, and so may the superuser in its place.
    /// </summary>
    /// <exception cref="NpgsqlException">It did not answer, or refused us.</exception>
    public static async Task<LeaderSlots> OpenAsync(
        HostPort address, AuthenticationSettings users, string database, CancellationToken cancellationToken) =>
        new(await ServerSession.OpenAsync(
            address, users.RewindOrSuperuser, database, "Patroni", ServerSession.Heartbeat, cancellationToken));

    /// <summary>What a standby has to know of them; null: the server is a standby itself, and knows nothing.</summary>
    /// <exception cref="NpgsqlException">It did not answer, or refused us.</exception>
    public async Task<LeaderSlotAnswer?> AnswerAsync(LeaderSlotQuestion question, CancellationToken cancellationToken)
    {
        var confirmed = ImmutableSortedDictionary.CreateBuilder<string, Lsn>(StringComparer.Ordinal);
        var xmins = ImmutableSortedDictionary.CreateBuilder<string, uint>(StringComparer.Ordinal);
        var (isPrimary, hasPhysical) = (false, false);
        uint? physical = null;
        var names = List([.. question.Names, .. question.PhysicalSlot is { } own ? [own] : Array.Empty<string>()]);
        await using var command = new NpgsqlCommand(
            $"""
            SELECT slot_name::text, slot_type = 'physical', catalog_xmin::text, confirmed_flush_lsn::text
              FROM (SELECT WHERE NOT pg_is_in_recovery()) AS is_primary
              LEFT JOIN pg_replication_slots ON slot_name = ANY({names})
            """, _session.Connection);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        while (await row.ReadAsync(cancellationToken))
        {
            isPrimary = true;
            if (row.IsDBNull(0))
            {
                continue;   // it has none of them
            }
            uint? xmin = !row.IsDBNull(2) && uint.TryParse(row.GetString(2), out var value) ? value : null;
            if (row.GetBoolean(1))
            {
                (hasPhysical, physical) = row.GetString(0) == question.PhysicalSlot ? (true, xmin)
                    : (hasPhysical, physical);
            }
            else
            {
                if (xmin is { } known)
                {
                    xmins[row.GetString(0)] = known;
                }
                confirmed[row.GetString(0)] = Lsn.TryParse(Text(row, 3), out var position) ? position : Lsn.Zero;
            }
        }
        return isPrimary
            ? new LeaderSlotAnswer(question.Ground, hasPhysical, physical, xmins.ToImmutable())
            {
                Confirmed = confirmed.ToImmutable(),
            }
            : null;
    }

    /// <summary>
    /// Reads these logical slots with their state files, as far as they exist and the server is a primary.
    /// </summary>
    /// <param name="names">Their names.</param>
    /// <param name="alsoOfStandby">Those of a standby as well.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NpgsqlException">It did not answer, or refused us.</exception>
    public async Task<IReadOnlyList<LeaderSlot>> ReadAsync(
        IEnumerable<string> names, bool alsoOfStandby, CancellationToken cancellationToken)
    {
        var synced = ServerFeatures.HasSlotSync(Major) ? "failover" : "false";
        await using var command = new NpgsqlCommand(
            $"""
            SELECT slot_name::text, database::text, plugin::text, confirmed_flush_lsn::text,
                   wal_status IS NOT DISTINCT FROM 'lost', {synced},
                   pg_read_binary_file('pg_replslot/' || slot_name || '/state', 0, {SlotState.MaximumLength}, true)
              FROM pg_replication_slots
             WHERE {(alsoOfStandby ? "" : "NOT pg_is_in_recovery() AND ")}slot_type = 'logical' AND slot_name = ANY({List(names)})
             ORDER BY slot_name
            """, _session.Connection);
        var slots = new List<LeaderSlot>();
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        while (await row.ReadAsync(cancellationToken))
        {
            slots.Add(new LeaderSlot(
                row.GetString(0), Text(row, 1), Text(row, 2),
                Lsn.TryParse(Text(row, 3), out var confirmed) ? confirmed : Lsn.Zero,
                row.GetBoolean(4), row.GetBoolean(5), row.IsDBNull(6) ? null : row.GetFieldValue<byte[]>(6)));
        }
        return slots;
    }

    public ValueTask DisposeAsync() => _session.DisposeAsync();

    private static string? Text(NpgsqlDataReader row, int column) =>
        row.IsDBNull(column) ? null : row.GetString(column);

    private static string List(IEnumerable<string> names) =>
        $"ARRAY[{string.Join(", ", names.Select(SqlText.Literal))}]::name[]";
}
