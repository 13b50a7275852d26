using System.Globalization;
using Npgsql;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>What the local standby says about a logical slot that it shall have.</summary>
internal sealed class LocalSlots : IAsyncDisposable
{
    private readonly ServerSession _session;
    private readonly int _room;

    private LocalSlots(ServerSession session, string walLevel, int room, uint segmentSize)
    {
        (_session, _room, SegmentSize) = (session, room, segmentSize);
        // A server with a logical slot does not start below this level.
        Obstacle = walLevel == "logical" ? null : $"wal_level is {walLevel} here, and logical slots need logical";
    }

    /// <summary>The server's major version.</summary>
    public int Major => _session.Connection.PostgreSqlVersion.Major;

    /// <summary>Bytes per WAL segment.</summary>
    public uint SegmentSize { get; }

    /// <summary>Why it can have no logical slot at all; null: it can.</summary>
    public string? Obstacle { get; }

    /// <summary>Connects.</summary>
    /// <exception cref="IOException">There is no server.</exception>
    /// <exception cref="NpgsqlException">It refuses, or does not answer.</exception>
    public static async Task<LocalSlots> OpenAsync(ServerContext context, CancellationToken cancellationToken)
    {
        var session = await context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
        try
        {
            var level = await session.TextAsync("SELECT current_setting('wal_level')", cancellationToken) ?? "";
            var room = await session.TextAsync(
                "SELECT current_setting('max_replication_slots')::int - count(*) FROM pg_replication_slots",
                cancellationToken);
            return new LocalSlots(session, level, int.Parse(room!, CultureInfo.InvariantCulture),
                PgControl.Read(context.DataDirectory).SegmentSize);
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    /// <summary>How far the standby has replayed.</summary>
    public async Task<Lsn> ReplayedAsync(CancellationToken cancellationToken) =>
        Lsn.TryParse(await _session.TextAsync("SELECT pg_last_wal_replay_lsn()::text", cancellationToken), out var lsn)
            ? lsn
            : Lsn.Zero;

    /// <summary>Why this standby can't have the slot, or must keep its own; null: it can have it.</summary>
    /// <param name="slot">The leader's slot.</param>
    /// <param name="state">Its state.</param>
    /// <param name="taken">Slots that will be added before it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<string?> RejectAsync(
        LeaderSlot slot, SlotState state, int taken, CancellationToken cancellationToken)
    {
        var database = await _session.TextAsync(
            string.Create(
                CultureInfo.InvariantCulture, $"SELECT datname FROM pg_database WHERE oid = {state.Database}"),
            cancellationToken);
        if (database != slot.Database)
        {
            return $"its database {slot.Database} is not here yet";
        }
        await using var command = new NpgsqlCommand(
            $"""
            SELECT slot_type = 'logical', active, confirmed_flush_lsn::text FROM pg_replication_slots
             WHERE slot_name = {SqlText.Literal(slot.Name)}
            """, _session.Connection);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        if (!await row.ReadAsync(cancellationToken))
        {
            // A server with more slots than that does not start.
            return taken < _room ? null : "max_replication_slots leaves no room for it";
        }
        return !row.GetBoolean(0) ? "a physical slot of that name is here"
            : row.GetBoolean(1) ? "a client uses the slot of that name here"
            : !row.IsDBNull(2) && Lsn.TryParse(row.GetString(2), out var own) && own > slot.Confirmed
                ? $"the slot here is further ({own}) than the leader's ({slot.Confirmed})"
            : null;
    }

    public ValueTask DisposeAsync() => _session.DisposeAsync();
}
