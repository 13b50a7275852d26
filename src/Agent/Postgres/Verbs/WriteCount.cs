using Npgsql;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Asks a primary how many transactions have written, over the loop's own connection.</summary>
internal sealed class WriteCount(ServerContext context)
{
    /// <summary>Also in PostgreSQL 12, under its older name.</summary>
    private const string Query =
        """
        SELECT CASE WHEN pg_is_in_recovery() THEN NULL
               ELSE txid_snapshot_xmax(txid_current_snapshot())::text || ' ' || pg_current_wal_lsn()::text END
        """;

    /// <summary>Unknown while the server does not answer, or is no primary.</summary>
    public async Task<ServerWrites> AskAsync(CancellationToken cancellationToken)
    {
        var writes = ServerWrites.Unknown;
        try
        {
            await context.Heartbeat.LendAsync(
                async (session, token) =>
                {
                    var answer = (await session.TextAsync(Query, token))?.Split(' ');
                    if (answer is [var count, var position]
                        && long.TryParse(count, out var transactions) && Lsn.TryParse(position, out var lsn))
                    {
                        writes = new ServerWrites(true, transactions, lsn);
                    }
                },
                cancellationToken);
        }
        catch (Exception error) when (error is NpgsqlException or IOException or TimeoutException
            or InvalidOperationException)
        {
            return ServerWrites.Unknown;   // asked again in a moment
        }
        return writes;
    }
}
