using System.Diagnostics;
using Npgsql;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>
/// Clients of the proxy while the cluster behind it is broken: nobody hangs, nobody writes to a read-only server,
/// nothing is lost.
/// </summary>
[Collection(SecondCluster.Name)]
public sealed class ProxyFaultTests(SynchronousCluster fixture)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task A_crashed_postmaster() => ClientsSurviveAsync(async (cluster, leader) =>
    {
        var postmaster = leader.PostmasterPid;
        OrdinaryProcess.Send(postmaster!.Value, ProcessSignal.Kill);
        await cluster.UntilAsync(() => leader.PostmasterPid != postmaster, "the postmaster is gone");
    });

    [Fact]
    public Task A_dead_node() => ClientsSurviveAsync(async (_, leader) => await leader.KillAsync());

    [Fact]
    public Task A_frozen_node() => ClientsSurviveAsync(async (cluster, leader) =>
    {
        using var frozen = leader.Freeze();
        await cluster.LeaderAsync(not: leader);
    });

    [Fact]
    public Task A_node_whose_cable_was_pulled() => ClientsSurviveAsync(async (cluster, leader) =>
    {
        using var gone = leader.Freeze(withFence: true, isCutOff: true);
        await cluster.LeaderAsync(not: leader);
    });

    [Fact]
    public Task A_dead_node_while_the_agents_alone_tell_of_the_cluster() => ClientsSurviveAsync(
        async (_, leader) => await leader.KillAsync(),
        cluster => new ProxyOptions { Source =
            $"rest: {{hosts: '127.0.0.1:{cluster.Nodes[0].RestPort},127.0.0.1:{cluster.Nodes[1].RestPort}'}}" });

    private async Task ClientsSurviveAsync(
        Func<TestCluster, TestNode, Task> fault, Func<TestCluster, ProxyOptions>? options = null)
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster, options?.Invoke(cluster));
        await using (var connection = await ProxyProcess.OpenAsync(proxy.WritePort))
        {
            await using var create =
                new NpgsqlCommand("CREATE TABLE IF NOT EXISTS by_proxy (client int, id bigint)", connection);
            await create.ExecuteNonQueryAsync(Cancellation);
            await using var empty = new NpgsqlCommand("TRUNCATE by_proxy", connection);
            await empty.ExecuteNonQueryAsync(Cancellation);
        }
        var clients = Enumerable.Range(0, 8).Select(number => new Client(number, proxy.WritePort)).ToList();
        await cluster.UntilAsync(() => clients.TrueForAll(client => client.Count > 20), "every client writes");

        await fault(cluster, leader);

        var counts = clients.ConvertAll(client => client.Count);
        await cluster.UntilAsync(() => clients.Zip(counts).All(pair => pair.First.Count > pair.Second + 50),
            "every client writes again");
        cluster.StartMissing();
        var now = await cluster.HealthyAsync();
        foreach (var client in clients)
        {
            await client.StopAsync();
        }
        await using var judge = await now.OpenAsync();
        foreach (var client in clients)
        {
            await using var command = new NpgsqlCommand(
                $"SELECT count(*) FROM by_proxy WHERE client = {client.Number} AND id = ANY($1)", judge)
            {
                Parameters = { new() { Value = client.Acknowledged.ToArray() } },
            };
            Assert.Equal(client.Count, (long)(await command.ExecuteScalarAsync(Cancellation))!);
            Assert.DoesNotContain(PostgresErrorCodes.ReadOnlySqlTransaction, client.Codes);
            Assert.True(client.LongestAttempt < TimeSpan.FromSeconds(25),
                $"a client hung for {client.LongestAttempt}\n{proxy.Log}");
        }
    }

    /// <summary>Writes with one connection at a time through the proxy; a new one after each error.</summary>
    private sealed class Client
    {
        private volatile bool _isStopped;
        private readonly Lock _gate = new();
        private readonly List<long> _acknowledged = [];
        private readonly List<string> _codes = [];
        private readonly Task _work;

        public Client(int number, int port)
        {
            Number = number;
            _work = Task.Run(() => RunAsync(port));
        }

        public int Number { get; }

        public TimeSpan LongestAttempt { get; private set; }

        public int Count
        {
            get
            {
                lock (_gate)
                {
                    return _acknowledged.Count;
                }
            }
        }

        public IReadOnlyList<long> Acknowledged => _acknowledged;

        public IReadOnlyList<string> Codes => _codes;

        public Task StopAsync()
        {
            _isStopped = true;
            return _work;
        }

        private async Task RunAsync(int port)
        {
            long id = 0;
            while (!_isStopped)
            {
                var begun = Stopwatch.GetTimestamp();
                try
                {
                    await using var connection = await ProxyProcess.OpenAsync(port);
                    while (!_isStopped)
                    {
                        begun = Stopwatch.GetTimestamp();
                        await using var insert =
                            new NpgsqlCommand($"INSERT INTO by_proxy VALUES ({Number}, {++id})", connection);
                        await insert.ExecuteNonQueryAsync();
                        lock (_gate)
                        {
                            _acknowledged.Add(id);
                        }
                    }
                }
                catch (NpgsqlException error)
                {
                    _codes.Add(error.SqlState ?? "");
                    await Task.Delay(TimeSpan.FromMilliseconds(5));
                }
                var took = Stopwatch.GetElapsedTime(begun);
                LongestAttempt = took > LongestAttempt ? took : LongestAttempt;
            }
        }
    }
}
