using System.Runtime.CompilerServices;
using System.Text;
using Npgsql.Replication;
using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Sessions;

/// <summary>
/// A connection in the replication protocol: members that may reach each other for nothing else can be compared through
/// it.
/// </summary>
internal sealed class ReplicationSession : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);

    private readonly PhysicalReplicationConnection _connection;

    private ReplicationSession(PhysicalReplicationConnection connection) => _connection = connection;

    /// <summary>Connects as a standby would.</summary>
    /// <exception cref="Npgsql.NpgsqlException">It did not answer, or refused us.</exception>
    public static async Task<ReplicationSession> OpenAsync(
        HostPort address, PostgresUser user, string application, CancellationToken cancellationToken)
    {
        var connection =
            new PhysicalReplicationConnection(ServerSession.SettingsForReplication(address, user, application));
        try
        {
            await connection.Open(cancellationToken);
            connection.CommandTimeout = s_limit;
            return new ReplicationSession(connection);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>IDENTIFY_SYSTEM: which database it is, on which timeline, and how far its WAL goes.</summary>
    public async Task<(string SystemId, uint Timeline, Lsn Position)> IdentifyAsync(
        CancellationToken cancellationToken)
    {
        var system = await _connection.IdentifySystem(cancellationToken);
        return (system.SystemId, system.Timeline, new Lsn((ulong)system.XLogPos));
    }

    /// <summary>TIMELINE_HISTORY: the text of the history file.</summary>
    public async Task<string> HistoryAsync(uint timeline, CancellationToken cancellationToken)
    {
        var row = await ReadSingleRow(_connection, $"TIMELINE_HISTORY {timeline}", cancellationToken);
        return row[1] switch
        {
            string text => text,   // since PostgreSQL 15
            byte[] bytes => Encoding.UTF8.GetString(bytes),
            var other =>
                throw new FormatException($"The answer to TIMELINE_HISTORY is of type {other?.GetType().Name}."),
        };
    }

    /// <summary>
    /// What Npgsql's own TimelineHistory reads its answer with; that one takes no text, which PostgreSQL sends since
    /// version 15.
    /// </summary>
    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = nameof(ReadSingleRow))]
    private static extern Task<object[]> ReadSingleRow(
        ReplicationConnection connection, string command, CancellationToken cancellationToken);

    /// <summary>
    /// Whether it is a standby. Before PostgreSQL 14 a standby is told by transactions that are read-only, though not
    /// by default.
    /// </summary>
    public async Task<bool> IsInRecoveryAsync(CancellationToken cancellationToken)
    {
        if (ServerFeatures.HasInHotStandby(_connection.PostgreSqlVersion.Major))
        {
            return await _connection.Show("in_hot_standby", cancellationToken) == "on";
        }
        return await _connection.Show("transaction_read_only", cancellationToken) == "on"
            && await _connection.Show("default_transaction_read_only", cancellationToken) == "off";
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
