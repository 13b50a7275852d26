using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.Integration.Tests.Drills;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Switchovers that the leader announces, and what clients of the proxy see of them.</summary>
/// <remarks>With ROUTING_TEST_FULL=1 ten in a row, instead of one.</remarks>
[Collection(SecondCluster.Name)]
public sealed class PlannedSwitchoverTests(ClusterFixture fixture)
{
    private const string Table = "planned";
    private static readonly bool s_isFull = Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task They_cost_clients_of_the_proxy_a_pause_and_nothing_else()
    {
        var (cluster, leader) = await fixture.TakeAsync();

        var outcome = await new SwitchoverDrill(
            cluster,
            [
                .. from mode in (string[])["simple", "extended", "prepared"]
                   select new PgbenchClient(PgbenchScript.Insert, mode, clients: 2),
                new PgbenchClient(PgbenchScript.Insert, "simple", clients: 2, reconnects: true),
                NpgsqlClient.Pooled, NpgsqlClient.Kept, new NotifyClient(), new StatefulClient(),
            ]).RunAsync(leader, s_isFull ? 10 : 1);

        foreach (var (client, pauses) in outcome.Clients)
        {
            TestContext.Current.TestOutputHelper?.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{client.Name}: {client.Acknowledged} rows, longest pause {pauses.Max():F0} ms"));
            BusyMachine.AssertWithin(TimeSpan.FromSeconds(10), TimeSpan.FromMilliseconds(pauses.Max()));
        }
        Assert.True(outcome.Moved > 0);
    }

    [Fact]
    public async Task A_strict_one_is_called_off_for_one_long_transaction_which_is_named()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await leader.SqlAsync($"CREATE TABLE IF NOT EXISTS {Table} (id bigserial, who text)");
        await using var proxy = await ProxyProcess.StartAsync(cluster, new ProxyOptions { Write = ", hold_time: 60" });
        await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = 1, ["switchover_strict"] = true });
        try
        {
            await using var busy = await ProxyProcess.OpenAsync(proxy.WritePort);
            await using var idle = await ProxyProcess.OpenAsync(proxy.WritePort);
            var pid = await ScalarAsync(busy, "SELECT pg_backend_pid()");
            await using var transaction = await busy.BeginTransactionAsync(Cancellation);
            await ScalarAsync(busy, $"INSERT INTO {Table} (who) VALUES ('long') RETURNING id");

            var (code, text) = await leader.SendAsync(
                "POST", "/switchover", new JsonObject { ["leader"] = leader.Name });

            Assert.True(code == 503, text);
            Assert.StartsWith("Switchover failed: after 1 s it still waited for ", text, StringComparison.Ordinal);
            Assert.Contains($"a transaction (session {pid} of postgres", text, StringComparison.Ordinal);
            Assert.Contains("a router (", text, StringComparison.Ordinal);
            Assert.Equal(leader.Name, await cluster.LeaderNameAsync());
            await ScalarAsync(busy, $"INSERT INTO {Table} (who) VALUES ('long') RETURNING id");
            await transaction.CommitAsync(Cancellation);
            await ScalarAsync(idle, "SELECT 1");   // it was held, and goes on
            Assert.Equal("{}", (await cluster.Keys.GetAsync("failover"))!.Value);
        }
        finally
        {
            await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = null, ["switchover_strict"] = null });
        }
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(Cancellation);
    }
}
