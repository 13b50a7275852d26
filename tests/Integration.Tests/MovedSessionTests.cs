using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Sessions of the proxy that outlive the server they were at, on real servers.</summary>
[Collection(SecondCluster.Name)]
public sealed class MovedSessionTests(ClusterFixture fixture)
{
    private const int Clean = 40, Holding = 4;
    private const string AuthQuery = """
        auth_query: {user: routing_proxy, password: knows-verifiers}
        timeouts: {drain: 2, retry: 60}
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Sessions_without_state_outlive_a_crash_and_a_switchover_and_the_others_are_told(bool isCrash)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await PrepareAsync(cluster, leader);
        await using var proxy = await ProxyProcess.StartAsync(
            cluster, new ProxyOptions { Write = ", hold_time: 60, replay: first_statement", More = AuthQuery });
        await using var source = SourceAt(proxy.WritePort);
        var clean = new List<NpgsqlConnection>();
        var holding = new List<NpgsqlConnection>();
        try
        {
            for (var at = 0; at < Clean + Holding; at++)
            {
                (at < Clean ? clean : holding).Add(await source.OpenConnectionAsync(Cancellation));
            }
            foreach (var one in holding)
            {
                await RunAsync(one, "CREATE TEMP TABLE held (id int)");
            }
            await proxy.UntilAsync(
                async () => (await proxy.MetricsAsync()).Contains(
                    $$"""routing_proxy_sessions_movable{listener="write",member="{{leader.Name}}"} {{Clean}}""",
                    StringComparison.Ordinal),
                "the keys of all clean sessions are known");

            if (isCrash)
            {
                await RunAsync(clean[0], "BEGIN");   // it has had no effect yet: it is repeated
                leader.SignalPostmaster(ProcessSignal.Kill);
            }
            else
            {
                var (code, output) = await cluster.CtlAsync(
                    "switchover", cluster.Scope, "--leader", leader.Name, "--force");
                Assert.True(code == 0, output);
            }

            // A statement that meets the server at its end is never repeated: they write when all have moved.
            await proxy.UntilAsync(
                async () => (await proxy.MetricsAsync()).Split('\n')
                    .Where(line => line.StartsWith("routing_proxy_sessions_moved_total{", StringComparison.Ordinal))
                    .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture))
                    >= Clean,
                "all clean sessions have moved");
            await Task.WhenAll(clean.Select((one, at) => RunAsync(one, $"INSERT INTO survivors VALUES ({at})")));
            if (isCrash)
            {
                await RunAsync(clean[0], "COMMIT");
                Assert.Contains(
                    """routing_proxy_statements_repeated_total{listener="write",reason="unsent"} 1""",
                    await proxy.MetricsAsync(), StringComparison.Ordinal);
            }
            await RunAsync(clean[0], "BEGIN READ ONLY");   // the application's own: passed on by the leader
            var refused = await Assert.ThrowsAsync<PostgresException>(
                () => RunAsync(clean[0], "INSERT INTO survivors VALUES (-2)"));
            Assert.Equal(PostgresErrorCodes.ReadOnlySqlTransaction, refused.SqlState);
            await RunAsync(clean[0], "ROLLBACK");
            foreach (var one in holding)
            {
                await Assert.ThrowsAnyAsync<NpgsqlException>(() => RunAsync(one, "INSERT INTO survivors VALUES (-1)"));
            }
            await using var check = await ProxyProcess.OpenAsync(proxy.WritePort);
            await using var count =
                new NpgsqlCommand("SELECT count(*), count(DISTINCT id), min(id) FROM survivors", check);
            await using var row = await count.ExecuteReaderAsync(Cancellation);
            Assert.True(await row.ReadAsync(Cancellation));
            Assert.Equal(((long)Clean, (long)Clean, 0), (row.GetInt64(0), row.GetInt64(1), row.GetInt32(2)));
        }
        finally
        {
            foreach (var one in clean.Concat(holding))
            {
                await one.DisposeAsync();
            }
        }
        await proxy.UntilAsync(
            () => proxy.Log.Contains("goes on at", StringComparison.Ordinal), "the proxy has told of it");
    }

    [Fact]
    public async Task A_session_that_is_terminated_ends_and_one_whose_password_has_changed_is_told_so()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await PrepareAsync(cluster, leader);
        await using var proxy = await ProxyProcess.StartAsync(
            cluster, new ProxyOptions { Write = ", hold_time: 60", More = AuthQuery });
        await using var source = SourceAt(proxy.WritePort);
        await using var first = await source.OpenConnectionAsync(Cancellation);
        await using var second = await source.OpenConnectionAsync(Cancellation);
        await proxy.UntilAsync(
            async () => (await proxy.MetricsAsync()).Contains(
                $$"""routing_proxy_sessions_movable{listener="write",member="{{leader.Name}}"} 2""",
                StringComparison.Ordinal),
            "both keys are known");

        await leader.SqlAsync($"SELECT pg_terminate_backend({first.ProcessID})");
        var terminated = await Assert.ThrowsAsync<PostgresException>(() => RunAsync(first, "SELECT 1"));
        await leader.SqlAsync("ALTER ROLE survivor PASSWORD 'another'");
        var (code, output) = await cluster.CtlAsync("switchover", cluster.Scope, "--leader", leader.Name, "--force");
        Assert.True(code == 0, output);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => RunAsync(second, "SELECT 1"));

        Assert.Equal(PostgresErrorCodes.AdminShutdown, terminated.SqlState);
        Assert.Equal(PostgresErrorCodes.InvalidPassword, refused.SqlState);
    }

    [Fact]
    public async Task What_sessions_hold_goes_with_them_and_what_can_not_be_carried_is_named()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await PrepareAsync(cluster, leader);
        await using var proxy = await ProxyProcess.StartAsync(
            cluster, new ProxyOptions { Write = ", hold_time: 60", More = AuthQuery });
        await using var source = SourceAt(proxy.WritePort);
        await using var carried = await source.OpenConnectionAsync(Cancellation);
        await using var temporary = await source.OpenConnectionAsync(Cancellation);
        await proxy.UntilAsync(
            async () => (await proxy.MetricsAsync()).Contains(
                $$"""routing_proxy_sessions_movable{listener="write",member="{{leader.Name}}"} 2""",
                StringComparison.Ordinal),
            "both keys are known");
        foreach (var sql in (string[])
            ["SET work_mem = '7MB'", "SET search_path = \"A b\", public", "SET TIME ZONE 'Europe/Berlin'",
                "SET ROLE keeper", "PREPARE by_sql (int, text) AS SELECT $2 || ($1 + 1)", "LISTEN \"News\""])
        {
            await RunAsync(carried, sql);
        }
        await using var byProtocol = new NpgsqlCommand("SELECT count(*) + $1 FROM survivors", carried)
        {
            Parameters = { new() { Value = 5L } },
        };
        await byProtocol.PrepareAsync(Cancellation);
        await RunAsync(temporary, "CREATE TEMP TABLE mine (id int)");
        string? heard = null;
        carried.Notification += (_, news) => heard = news.Payload;

        await proxy.UntilAsync(
            async () => (await proxy.MetricsAsync()).Contains("routing_proxy_registered 1", StringComparison.Ordinal),
            "the proxy is registered");
        // The leader waits until the proxy has asked them, however long that takes here.
        await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = 60 });
        try
        {
            var (code, text) =
                await leader.SendAsync("POST", "/switchover", new JsonObject { ["leader"] = leader.Name });
            Assert.True(code == 200, $"{text}\n{proxy.Log}\n{cluster.Report()}");
        }
        finally
        {
            await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = null });
        }

        Assert.Equal(5L, await byProtocol.ExecuteScalarAsync(Cancellation));
        Assert.Equal("a2", await ValueAsync(carried, "EXECUTE by_sql(1, 'a')"));
        Assert.Equal(
            "keeper survivor 7MB \"A b\", public Europe/Berlin",
            await ValueAsync(
                carried,
                "SELECT concat_ws(' ', current_user, session_user, current_setting('work_mem'), "
                + "current_setting('search_path'), current_setting('TimeZone'))"));
        await using (var writer = await ProxyProcess.OpenAsync(proxy.WritePort))
        {
            await RunAsync(writer, "NOTIFY \"News\", 'after'");
        }
        await proxy.UntilAsync(
            async () =>
            {
                await RunAsync(carried, "SELECT 1");
                return heard == "after";
            },
            "the session listens at the new leader");
        var ended = await Assert.ThrowsAsync<PostgresException>(() => RunAsync(temporary, "SELECT 1"));
        Assert.Equal(PostgresErrorCodes.AdminShutdown, ended.SqlState);
        Assert.Contains(
            """routing_proxy_sessions_not_moved_total{listener="write",reason="temporary_objects"} 1""",
            await proxy.MetricsAsync(), StringComparison.Ordinal);
    }

    private static async Task PrepareAsync(TestCluster cluster, TestNode leader)
    {
        const string Rule = "host all survivor,routing_proxy all scram-sha-256\n";
        foreach (var node in cluster.Nodes)
        {
            // Ahead of what initdb has written, which trusts this machine.
            var file = Path.Combine(node.DataDirectory, "pg_hba.conf");
            var rules = await File.ReadAllTextAsync(file);
            if (!rules.StartsWith(Rule, StringComparison.Ordinal))
            {
                await File.WriteAllTextAsync(file, Rule + rules);
            }
            await node.SqlAsync("SELECT pg_reload_conf()");
        }
        await leader.SqlAsync(Repository.Document("../deploy/sql/routing-verifiers.sql"));
        await leader.SqlAsync("""
            ALTER ROLE routing_proxy PASSWORD 'knows-verifiers';
            DROP TABLE IF EXISTS survivors;
            DROP ROLE IF EXISTS survivor, keeper;
            CREATE ROLE survivor LOGIN PASSWORD 'lives';
            CREATE ROLE keeper ROLE survivor;
            CREATE TABLE survivors (id int);
            GRANT ALL ON survivors TO survivor, keeper;
            """);
    }

    // Nothing is asked for when one of its connections is opened.
    private static NpgsqlDataSource SourceAt(int port)
    {
        var builder = new NpgsqlDataSourceBuilder(new NpgsqlConnectionStringBuilder(ProxyProcess.ConnectionString(port))
        {
            Username = "survivor",
            Password = "lives",
            CommandTimeout = 120,
        }.ConnectionString);
        builder.ConfigureTypeLoading(types => types.EnableTypeLoading(false));
        return builder.Build();
    }

    private static async Task<object?> ValueAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Cancellation);
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }
}
