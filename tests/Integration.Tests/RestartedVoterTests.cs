using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// A voter that was restarted has not replayed what it has confirmed: its vote has to count what stands in its files.
/// </summary>
public sealed class RestartedVoterTests
{
    private const int Rows = 50;

    [Fact]
    public async Task What_one_voter_alone_has_confirmed_survives_its_restart_though_it_replays_it_an_hour_later()
    {
        await using var cluster = await TestCluster.StartAsync(new TestClusterOptions
        {
            Ttl = 5,
            // Nothing but the votes keeps a member that lacks commits from leading.
            Dcs = new JsonObject { ["synchronous_mode"] = "quorum", ["maximum_lag_on_failover"] = 1L << 40 },
            Configure = (_, config) =>
                config["postgresql"]!["recovery_conf"] = new JsonObject { ["recovery_min_apply_delay"] = "1h" },
        });
        var leader = await cluster.LeaderAsync();
        await cluster.UntilAsync(
            async () => (await cluster.Keys.GetAsync("sync"))?.Json["quorum"]?.GetValue<int>() == 1,
            "both standbys vote");
        var (holder, other) = (cluster.ReplicasOf(leader)[0], cluster.ReplicasOf(leader)[1]);
        await leader.SqlAsync("CREATE TABLE t (x int, filling text)");
        // Far more than the sockets between the leader and the frozen standby hold.
        const string filling = "(SELECT string_agg(md5(g::text || random()), '') FROM generate_series(1, 20000) g)";

        using (other.FreezePostgres())
        {
            for (var row = 0; row < Rows; row++)
            {
                await leader.SqlAsync($"INSERT INTO t SELECT {row}, {filling}");   // returns: one of the two has it
            }
            await leader.KillAsync();
            holder.SignalPostmaster(ProcessSignal.Kill);
        }
        var next = await cluster.LeaderAsync(not: leader);

        Assert.Equal($"{Rows}", await next.SqlAsync("SELECT count(*) FROM t"));
        Assert.Equal(holder, next);
    }
}
