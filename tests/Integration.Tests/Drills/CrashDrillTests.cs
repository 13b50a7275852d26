using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>The machine of the leader dies, and what becomes of many sessions of the proxy.</summary>
/// <remarks>ROUTING_TEST_FULL=1 runs it.</remarks>
public sealed class CrashDrillTests(QuorumDrillCluster fixture) : IClassFixture<QuorumDrillCluster>
{
    private const int Clean = 200, WithState = 10, Writers = 6, WritesBefore = 20;
    private const string Table = "survivors";
    private static readonly bool s_isFull = Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 };
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    // What a session may have done that leaves state behind.
    private static readonly string[] s_states =
        ["SET work_mem = '7MB'", "CREATE TEMP TABLE mine (id int)", "PREPARE mine AS SELECT 1", "LISTEN mine"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Clean_sessions_at_rest_live_on_the_others_are_cut_and_nobody_is_told_success_twice()
    {
        Assert.SkipUnless(s_isFull, "ROUTING_TEST_FULL=1 runs this drill.");
        var (cluster, leader) = await fixture.TakeAsync();
        await ScramLogin.PrepareAsync(leader, DrillPlace.User, DrillPlace.Password, DrillPlace.Role);
        await leader.SqlAsync(
            $"DROP TABLE IF EXISTS {Table}; CREATE TABLE {Table} (worker text, n bigint);"
            + $"GRANT ALL ON {Table} TO {DrillPlace.User}");
        await using var proxy = await ProxyProcess.StartAsync(
            cluster,
            new ProxyOptions
            {
                Write = ", hold_time: 60", More = $"{ScramLogin.AuthQuery}\ntimeouts: {{drain: 2, retry: 60}}",
            });
        using var directory = new TempDirectory("crash");
        await using var source = SourceOf(new DrillPlace(cluster, proxy.WritePort, directory));
        List<NpgsqlConnection> clean = [], withState = [];
        using var enough = new CancellationTokenSource();
        var writers = Enumerable.Range(1, Writers).Select(number => new Insisting(source, $"w{number}")).ToList();
        var writing = Task.CompletedTask;
        try
        {
            while (clean.Count < Clean)
            {
                clean.Add(await source.OpenConnectionAsync(Cancellation));
            }
            while (withState.Count < WithState)
            {
                withState.Add(await source.OpenConnectionAsync(Cancellation));
                await RunAsync(withState[^1], s_states[withState.Count % s_states.Length]);
            }
            writing = Task.WhenAll(writers.Select(writer => Task.Run(() => writer.RunAsync(enough.Token))));
            await proxy.UntilAsync(
                async () => (await proxy.MetricsAsync()).Contains(
                    $$"""routing_proxy_sessions_movable{listener="write",member="{{leader.Name}}"} {{Clean}}""",
                    StringComparison.Ordinal),
                "the keys of all clean sessions are known");
            await WaitUntil.TrueAsync(
                () => writing.IsCompleted || writers.All(one => one.Acknowledged.Count > WritesBefore), s_patience,
                "all write");

            var begun = TimeProvider.System.GetTimestamp();
            await leader.KillAsync();

            // A statement that meets the server at its end is never repeated: they write when all have moved.
            await proxy.UntilAsync(
                async () => (await proxy.MetricsAsync()).Split('\n')
                    .Where(line => line.StartsWith("routing_proxy_sessions_moved_total{", StringComparison.Ordinal))
                    .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture))
                    >= Clean,
                "all clean sessions have moved");
            await Task.WhenAll(clean.Select((one, at) => RunAsync(one, $"INSERT INTO {Table} VALUES ('clean', {at})")));
            var took = TimeProvider.System.GetElapsedTime(begun);
            foreach (var one in withState)
            {
                await Assert.ThrowsAnyAsync<NpgsqlException>(() => RunAsync(one, "SELECT 1"));
            }
            var before = writers.Sum(one => one.Acknowledged.Count);
            await WaitUntil.TrueAsync(
                () => writing.IsCompleted
                    || writers.Sum(one => one.Acknowledged.Count) > before + (Writers * WritesBefore),
                s_patience, "they write again");
            TestContext.Current.TestOutputHelper?.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{Clean} sessions had an answer of the new leader after {took.TotalSeconds:F1} s; "
                + $"{writers.Sum(one => one.Errors)} statements of {Writers} writers failed"));
        }
        finally
        {
            await enough.CancelAsync();
            await writing.WaitAsync(s_patience, CancellationToken.None);
            foreach (var one in clean.Concat(withState))
            {
                await one.DisposeAsync();
            }
        }

        var successor = await cluster.LeaderAsync(not: leader);
        Assert.Equal("0", await successor.SqlAsync(
            $"SELECT count(*) FROM (SELECT 1 FROM {Table} GROUP BY worker, n HAVING count(*) > 1) AS twice"));
        foreach (var writer in writers)
        {
            var found = await successor.SqlAsync(
                $"SELECT string_agg(n::text, ' ' ORDER BY n) FROM {Table} WHERE worker = '{writer.Name}'");
            Assert.Empty(writer.Acknowledged.Except(found!.Split(' ').Select(long.Parse)));
        }
        Assert.Equal(
            Clean.ToString(CultureInfo.InvariantCulture),
            await successor.SqlAsync($"SELECT count(*) FROM {Table} WHERE worker = 'clean'"));
    }

    // Nothing is asked for when one of its connections is opened.
    private static NpgsqlDataSource SourceOf(DrillPlace place)
    {
        var builder = new NpgsqlDataSourceBuilder($"{place.ConnectionString};Pooling=false");
        builder.ConfigureTypeLoading(types => types.EnableTypeLoading(false));
        return builder.Build();
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    /// <summary>Writes one number after the other, each once, and opens a connection anew after an error.</summary>
    private sealed class Insisting(NpgsqlDataSource source, string name)
    {
        public string Name => name;

        /// <summary>Numbers whose row is committed, as it was told.</summary>
        public SortedSet<long> Acknowledged { get; } = [];

        public int Errors { get; private set; }

        public async Task RunAsync(CancellationToken enough)
        {
            NpgsqlConnection? connection = null;
            for (var number = 1L; !enough.IsCancellationRequested; number++)
            {
                connection ??= await source.OpenConnectionAsync(CancellationToken.None);
                try
                {
                    await using var insert = new NpgsqlCommand(
                        string.Create(CultureInfo.InvariantCulture, $"INSERT INTO {Table} VALUES ('{name}', {number})"),
                        connection);
                    await insert.ExecuteNonQueryAsync(CancellationToken.None);
                    Acknowledged.Add(number);
                }
                catch (NpgsqlException)
                {
                    Errors++;
                    await connection.DisposeAsync();
                    connection = null;
                }
            }
            if (connection is not null)
            {
                await connection.DisposeAsync();
            }
        }
    }
}
