using Npgsql;

namespace Routing.Failover;

/// <summary>Sessions at rest of one kind, and how many of them live on.</summary>
/// <param name="Name">What they hold.</param>
/// <param name="Count">How many.</param>
/// <param name="Prepare">What each says when it begins; none: it is clean.</param>
/// <param name="Look">A question whose answer is <c>true</c> while the session holds what it has made.</param>
internal sealed record SessionGroup(string Name, int Count, IReadOnlyList<string> Prepare, string Look)
{
    /// <summary>All kinds.</summary>
    public static IReadOnlyList<SessionGroup> All { get; } =
    [
        new("clean", 40, [], "SELECT true"),
        new("with settings and a prepared statement", 10,
            ["SET work_mem = '7MB'", "PREPARE held AS SELECT current_setting('work_mem') = '7MB'"], "EXECUTE held"),
        new("with a temporary table", 4, ["CREATE TEMP TABLE held (id int)"], "SELECT count(*) = 0 FROM held"),
    ];

    /// <summary>Opens them.</summary>
    public async Task<IReadOnlyList<NpgsqlConnection>> OpenAsync(
        NpgsqlDataSource way, CancellationToken cancellationToken)
    {
        var open = new List<NpgsqlConnection>();
        try
        {
            while (open.Count < Count)
            {
                open.Add(await way.OpenConnectionAsync(cancellationToken));
                foreach (var sql in Prepare)
                {
                    await using var command = new NpgsqlCommand(sql, open[^1]);
                    await command.ExecuteNonQueryAsync(cancellationToken);
                }
            }
            return open;
        }
        catch
        {
            await CloseAsync(open);
            throw;
        }
    }

    /// <summary>How many of them hold what they held; the words of the others are added to a list.</summary>
    public async Task<int> CountAliveAsync(
        IReadOnlyList<NpgsqlConnection> sessions, List<string> words, CancellationToken cancellationToken)
    {
        var alive = 0;
        foreach (var session in sessions)
        {
            try
            {
                await using var command = new NpgsqlCommand(Look, session);
                alive += await command.ExecuteScalarAsync(cancellationToken) is true ? 1 : 0;
            }
            catch (Exception lost) when (lost is NpgsqlException or InvalidOperationException)
            {
                words.Add(lost is PostgresException told ? told.SqlState : "connection lost");
            }
        }
        return alive;
    }

    /// <summary>Closes sessions.</summary>
    public static async Task CloseAsync(IEnumerable<NpgsqlConnection> sessions)
    {
        foreach (var session in sessions)
        {
            await session.DisposeAsync();
        }
    }
}
