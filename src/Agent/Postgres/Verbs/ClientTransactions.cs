using System.Collections.Immutable;
using System.Globalization;
using Npgsql;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>Asks a server which clients are in a transaction, over the loop's own connection.</summary>
internal sealed class ClientTransactions(ServerContext context)
{
    // The first line is the number; a few of the oldest follow, a line each.
    private const string Query =
        """
        SELECT count(*) || coalesce(string_agg(E'\n' || words, '' ORDER BY place) FILTER (WHERE place <= 3), '')
          FROM (SELECT row_number() OVER (ORDER BY xact_start NULLS LAST) AS place,
                       format('session %s of %s (%s), %s%s', pid, usename,
                              coalesce(nullif(translate(application_name, E'\n\r', ''), ''), 'no name'), state,
                              ' for ' || greatest(0, extract(epoch FROM clock_timestamp() - xact_start))::int || ' s')
                       AS words
                  FROM pg_catalog.pg_stat_activity
                 WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
                   AND application_name NOT IN ('Patroni', 'Patroni heartbeat')
                   AND (xact_start IS NOT NULL OR state IN ('active', 'idle in transaction',
                        'idle in transaction (aborted)', 'fastpath function call'))) AS busy
        """;

    /// <summary>Unknown while the server does not answer.</summary>
    public async ValueTask<(int? Transactions, ImmutableArray<string> Oldest)> AskAsync(
        CancellationToken cancellationToken)
    {
        string? answer = null;
        try
        {
            await context.Heartbeat.LendAsync(
                async (session, token) => answer = await session.TextAsync(Query, token), cancellationToken);
        }
        catch (Exception error) when (error is NpgsqlException or IOException or TimeoutException
            or InvalidOperationException)
        {
            return (null, []);   // asked again in a moment
        }
        return answer?.Split('\n') is [var count, .. var oldest]
            && int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var transactions)
                ? (transactions, [.. oldest])
                : (null, []);
    }
}
