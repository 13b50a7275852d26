using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary><c>maximum_lag_on_failover</c>: better no leader than one that lacks too much.</summary>
public sealed class LagTests(LagTests.TwoNodes fixture) : IClassFixture<LagTests.TwoNodes>
{
    [Fact]
    public async Task A_replica_that_lacks_too_much_WAL_does_not_take_over()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];

        foreach (var sender in leader.Backends("walsender"))
        {
            OrdinaryProcess.Send(sender, ProcessSignal.Stop);
        }
        await leader.SqlAsync("CREATE TABLE much AS SELECT generate_series(1, 20000)");
        var written = long.Parse((await leader.SqlAsync("SELECT pg_current_wal_lsn() - '0/0'"))!, null);
        await cluster.UntilAsync(
            async () => (await cluster.Keys.GetAsync("status"))?.Json["optime"]?.GetValue<long>() >= written,
            "the leader has told its position");
        await leader.KillAsync();
        await cluster.UntilAsync(() => replica.CountInLog("more than maximum_lag_on_failover") > 0,
            "the replica says why it does not lead");
        var during = await cluster.LeaderNameAsync();
        leader.Start();

        Assert.Null(during);
        // With the old primary's PostgreSQL the missing WAL is back: either of the two may lead now.
        await cluster.HealthyAsync();
        Assert.Equal("20000", await leader.SqlAsync("SELECT count(*) FROM much"));
        await cluster.UntilAsync(async () => await replica.SqlAsync("SELECT count(*) FROM much") == "20000",
            "the replica has it all");
    }

    public sealed class TwoNodes : ClusterFixture
    {
        protected override TestClusterOptions Options => new()
        {
            Nodes = 2, Ttl = 5, Dcs = new JsonObject { ["maximum_lag_on_failover"] = 100_000 },
        };
    }
}
