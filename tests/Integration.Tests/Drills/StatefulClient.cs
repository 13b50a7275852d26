using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>
/// An application that relies on its sessions: settings, a role, a search path, prepared statements of both kinds. It
/// looks after each row whether they are still what it has set.
/// </summary>
internal sealed class StatefulClient() : WorkerClient("SET, SET ROLE, search_path, prepared", "\"Drill s\".kept", 4)
{
    private const string Expected = "drill_keeper driller 7MB \"Drill s\", public Europe/Berlin";

    private static readonly string[] s_state =
    [
        "SET work_mem = '7MB'", "SET search_path = \"Drill s\", public", "SET TIME ZONE 'Europe/Berlin'",
        $"SET ROLE {DrillPlace.Role}", "PREPARE by_sql (text, bigint) AS INSERT INTO kept VALUES ($1, $2)",
    ];

    public override async Task PrepareAsync(TestNode leader)
    {
        await leader.SqlAsync("DROP SCHEMA IF EXISTS \"Drill s\" CASCADE; CREATE SCHEMA \"Drill s\"");
        await leader.SqlAsync($"GRANT USAGE ON SCHEMA \"Drill s\" TO {DrillPlace.Role}");
        await leader.SqlAsync($"CREATE TABLE {Table} (worker text, n bigint)");
        await leader.SqlAsync($"GRANT ALL ON {Table} TO {DrillPlace.Role}");
    }

    protected override async Task WorkAsync(DrillPlace place, string worker, Func<WriteAsync, Task> loopAsync)
    {
        await using var connection = new NpgsqlConnection($"{place.ConnectionString};Pooling=false");
        await connection.OpenAsync();
        foreach (var sql in s_state)
        {
            await RunAsync(connection, sql);
        }
        var (name, at) = (new NpgsqlParameter<string> { TypedValue = worker }, new NpgsqlParameter<long>());
        await using var byProtocol = new NpgsqlCommand("INSERT INTO kept VALUES ($1, $2)", connection)
        {
            Parameters = { name, at },
        };
        await byProtocol.PrepareAsync();
        await using var look = new NpgsqlCommand(
            "SELECT concat_ws(' ', current_user, session_user, current_setting('work_mem'), "
            + "current_setting('search_path'), current_setting('TimeZone'))",
            connection);
        await loopAsync(async number =>
        {
            if (number % 2 == 0)
            {
                await RunAsync(connection, $"EXECUTE by_sql('{worker}', {number})");
            }
            else
            {
                at.TypedValue = number;
                await byProtocol.ExecuteNonQueryAsync();
            }
            Assert.Equal(Expected, await look.ExecuteScalarAsync());
        });
    }
}
