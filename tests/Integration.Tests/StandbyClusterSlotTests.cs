using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Permanent logical slots across two data centres.</summary>
public sealed class StandbyClusterSlotTests
{
    private const string Slot = "cdc";
    private const string Safe = "is safe to be used after a failover";
    private readonly Dictionary<TestNode, int> _told = [];

    [Fact]
    public async Task A_consumer_goes_on_in_the_other_data_centre_with_no_change_missing()
    {
        Assert.SkipUnless(TwoDataCentres.IsFull, "ROUTING_TEST_FULL=1 runs this drill.");
        await using var a = await TwoDataCentres.StartPrimaryAsync(
            new TestClusterOptions { Nodes = 2, Dcs = Settings() });
        await using var first = await Writer.StartAsync(a, Writer.LongPatience);
        await using var b = await TwoDataCentres.StartFollowerAsync(new TestClusterOptions
        {
            Nodes = 2,
            Dcs = Settings(following: a),
        });
        await using var consumer = LogicalConsumer.Start(Slot, a, b);
        await consumer.MoreFromAsync(await a.LeaderAsync(), 20);
        var leader = await AllFollowAsync(a, b);

        // A failover on each side.
        await a.SynchronousAsync();
        var primary = await a.LeaderAsync();
        await primary.KillAsync();
        var next = await a.LeaderAsync(not: primary, within: TwoDataCentres.Patience);
        primary.Start();
        await consumer.MoreFromAsync(next, 20);
        Assert.Equal(leader, await AllFollowAsync(a, b));
        await leader.KillAsync();
        var taker = await TwoDataCentres.StandbyLeaderAsync(b, not: leader);
        leader.Start();
        await first.MoreAsync(20);
        Assert.Equal(taker, await AllFollowAsync(a, b));

        // The switch, and back.
        await first.StopAsync();
        await TwoDataCentres.SwitchAsync(a, b);
        Assert.Equal(taker, await b.LeaderAsync(within: TwoDataCentres.Patience));
        Assert.Empty(await first.MissingOnAsync(taker));
        await using var second = await Writer.StartAsync(b, Writer.LongPatience);
        await consumer.MoreFromAsync(taker, 20);
        var back = await AllFollowAsync(b, a);
        await second.StopAsync();
        await TwoDataCentres.SwitchAsync(b, a);
        Assert.Equal(back, await a.LeaderAsync(within: TwoDataCentres.Patience));
        Assert.Empty(await second.MissingOnAsync(back));
        await using var third = await Writer.StartAsync(a, Writer.LongPatience);
        await consumer.MoreFromAsync(back, 20);
        await third.StopAsync();

        await consumer.HasAllAsync(back, afterClient: 0);
        Assert.Empty(consumer.Disorder);
        Assert.Equal(0, taker.CountInLog("might be unsafe") + back.CountInLog("might be unsafe"));
    }

    /// <summary>
    /// Every member has the slot, and moves its own to what the consumer has confirmed by now; the standby leader has
    /// found out, since the last call, that its own is safe.
    /// </summary>
    /// <returns>The standby leader.</returns>
    private async Task<TestNode> AllFollowAsync(TestCluster primarySide, TestCluster standbySide)
    {
        var leader = await TwoDataCentres.StandbyLeaderAsync(standbySide);
        var primary = await primarySide.HealthyAsync(TwoDataCentres.Patience);
        var confirmed = await ConfirmedAsync(primary);
        Assert.True(confirmed > 0, "the primary has the slot");
        foreach (var node in primarySide.Nodes.Concat(standbySide.Nodes))
        {
            await standbySide.UntilAsync(
                async () =>
                {
                    await primary.SqlAsync("CHECKPOINT");   // tells the standbys which transactions run
                    return await ConfirmedAsync(node) >= confirmed;
                },
                $"{node} has the slot, and as far as {confirmed}", TwoDataCentres.Patience);
        }
        await standbySide.UntilAsync(
            async () =>
            {
                await primary.SqlAsync("CHECKPOINT");
                return leader.CountInLog(Safe) > _told.GetValueOrDefault(leader);
            },
            $"{leader} knows that its slot is safe", TwoDataCentres.Patience);
        foreach (var node in primarySide.Nodes.Concat(standbySide.Nodes))
        {
            _told[node] = node.CountInLog(Safe);
        }
        return leader;
    }

    private static JsonObject Settings(TestCluster? following = null)
    {
        var settings = new JsonObject
        {
            ["synchronous_mode"] = true,   // a leader that is killed must not take a row along
            ["slots"] = TwoDataCentres.SlotsWith((Slot, new JsonObject
            {
                ["type"] = "logical", ["database"] = "postgres", ["plugin"] = "test_decoding",
            })),
            ["postgresql"] = new JsonObject
            {
                ["parameters"] = new JsonObject { ["wal_level"] = "logical", ["wal_receiver_status_interval"] = "1s" },
            },
        };
        if (following is not null)
        {
            settings["standby_cluster"] = TwoDataCentres.SectionFor(following);
        }
        return settings;
    }

    private static async Task<long> ConfirmedAsync(TestNode node)
    {
        try
        {
            return long.TryParse(
                await node.SqlAsync(
                    $"SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = '{Slot}'"),
                NumberStyles.Integer, CultureInfo.InvariantCulture, out var position)
                    ? position
                    : 0;
        }
        catch (NpgsqlException)
        {
            return 0;   // it restarts to load the slot
        }
    }
}
