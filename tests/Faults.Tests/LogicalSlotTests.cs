using System.Globalization;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>Permanent logical slots follow to the standbys, and a consumer goes on at the next primary.</summary>
[Collection(SharedCluster.Name)]
public sealed class LogicalSlotTests(SynchronousCluster fixture)
{
    private const string Slot = "cdc";
    private const string Safe = "is safe to be used after a failover";

    [Fact]
    public async Task A_consumer_goes_on_after_a_switchover_and_a_killed_primary_with_no_change_missing()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var earlier = cluster.Nodes.ToDictionary(node => node, node => node.CountInLog(Safe));
        var client = await LastClientAsync(leader);
        await using var slots = await Slots.UseAsync(cluster, leader);
        await using var consumer = LogicalConsumer.Start(cluster, Slot);
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        await consumer.MoreFromAsync(leader, 20);

        await AllSafeAsync(cluster, leader, earlier);
        var candidate = cluster[await SyncStandbyAsync(cluster)];
        earlier = cluster.Nodes.ToDictionary(node => node, node => node.CountInLog(Safe));
        var (code, text) = await leader.SendAsync("POST", "/switchover",
            new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Name });
        Assert.True(code == 200, text);
        await consumer.MoreFromAsync(candidate, 20);

        // Both others are standbys of the new leader now, and checked anew.
        await AllSafeAsync(cluster, candidate, earlier);
        await cluster.SynchronousAsync();
        await candidate.KillAsync();
        var next = await cluster.LeaderAsync(not: candidate);
        await consumer.MoreFromAsync(next, 20);
        candidate.Start();
        await writer.StopAsync();
        Assert.Equal(next, await cluster.HealthyAsync());

        Assert.Empty(await writer.MissingOnAsync(next));
        await consumer.HasAllAsync(next, client);
        Assert.Empty(consumer.Disorder);
    }

    [Fact]
    public async Task Slots_are_published_go_on_without_etcd_and_leave_with_the_configuration()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replicas = cluster.ReplicasOf(leader);
        await using var failsafe = await Failsafe.UseAsync(cluster);
        await using var slots = await Slots.UseAsync(cluster, leader, replicas[0].Name);
        // What others have made is theirs, on a primary and on a standby.
        foreach (var node in new[] { leader, replicas[0] })
        {
            await node.SqlAsync("SELECT pg_create_physical_replication_slot('foreign_backup', true)");
        }
        await using var consumer = LogicalConsumer.Start(cluster, Slot);
        await using var writer = await Writer.StartAsync(cluster, Writer.LongPatience);
        await consumer.MoreFromAsync(leader, 20);
        var published = await ConfirmedAsync(leader);
        await cluster.UntilAsync(
            async () => Number((await StatusAsync(cluster))["slots"]?[Slot]) >= published
                && await HaveAllAsync(replicas, published),
            "etcd and the standbys know what the consumer has confirmed");
        var status = await StatusAsync(cluster);

        await cluster.Etcd.KillAsync();
        await cluster.UntilAsync(
            async () => (await leader.GetAsync("/patroni"))?["failsafe_mode_is_active"]?.GetValue<bool>() == true,
            "failsafe mode is active");
        await consumer.MoreFromAsync(leader, 20);
        var silent = await ConfirmedAsync(leader);
        await cluster.UntilAsync(
            () => HaveAllAsync(replicas, silent),
            "the standbys' copies go on without etcd");
        await cluster.Etcd.RestartAsync();
        Assert.Equal(leader, await cluster.HealthyAsync());
        await writer.StopAsync();
        await consumer.StopAsync();
        await slots.RemoveAsync();

        Assert.Superset(
            new HashSet<string>([Slot, .. cluster.Nodes.Select(node => node.Name)]),
            status["slots"]!.AsObject().Select(slot => slot.Key).ToHashSet());
        Assert.All(status["slots"]!.AsObject(), slot => Assert.True(
            Number(slot.Value) <= Number(status["optime"]) && Number(slot.Value) > 0, slot.ToString()));
        // A member's slot that stands in the configuration is kept for that, not for its member's sake.
        Assert.DoesNotContain(replicas[0].Name, status["retain_slots"]!.AsArray().Select(name => (string?)name));
        Assert.Contains(replicas[1].Name, status["retain_slots"]!.AsArray().Select(name => (string?)name));
        foreach (var node in new[] { leader, replicas[0] })
        {
            Assert.Equal("1", await node.SqlAsync(
                "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'foreign_backup'"));
            await node.SqlAsync("SELECT pg_drop_replication_slot('foreign_backup')");
        }
    }

    /// <summary>
    /// A slot made with <c>failover</c> follows by PostgreSQL's own synchronisation. The agents neither copy nor drop
    /// it, and take away what a former primary keeps of it, which would stand in its way.
    /// </summary>
    [Fact]
    public async Task A_failover_slot_of_PostgreSQL_itself_goes_on_at_the_next_primary()
    {
        Assert.SkipUnless(PostgresUnderTest.Major >= 17, "PostgreSQL has failover slots from 17 on.");
        const string name = "theirs";
        var (cluster, leader) = await fixture.TakeAsync();
        await SynchroniseSlotsAsync(cluster, "on");
        await leader.SqlAsync("CREATE TABLE IF NOT EXISTS failover_slot (n int)");
        await leader.SqlAsync(
            $"SELECT pg_create_logical_replication_slot('{name}', 'test_decoding', false, false, true)");
        await AllSyncedAsync(leader);
        await leader.SqlAsync("INSERT INTO failover_slot VALUES (1)");
        var candidate = cluster[await SyncStandbyAsync(cluster)];
        var (code, text) = await leader.SendAsync("POST", "/switchover",
            new JsonObject { ["leader"] = leader.Name, ["candidate"] = candidate.Name });
        Assert.True(code == 200, text);
        Assert.Equal(candidate, await cluster.HealthyAsync());
        await candidate.SqlAsync("INSERT INTO failover_slot VALUES (2)");

        Assert.Equal("2", await candidate.SqlAsync(
            $"SELECT count(*) FROM pg_logical_slot_get_changes('{name}', NULL, NULL) "
                + "WHERE data LIKE 'table public.failover_slot: INSERT%'"));
        await AllSyncedAsync(candidate);   // also on the former primary, whose own slot of that name has gone
        await candidate.SqlAsync($"SELECT pg_drop_replication_slot('{name}')");
        await candidate.SqlAsync("DROP TABLE failover_slot");
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(async () => await CountAsync(node, "true") == "0", $"{node.Name} has dropped it");
        }
        await SynchroniseSlotsAsync(cluster, null);

        Task AllSyncedAsync(TestNode primary) => cluster.UntilAsync(
            async () =>
            {
                // PostgreSQL keeps a copy once the slot has moved beyond what the standby still knows: by a consumer.
                await primary.SqlAsync("SELECT pg_log_standby_snapshot()");
                await primary.SqlAsync($"SELECT count(*) FROM pg_logical_slot_get_changes('{name}', NULL, NULL)");
                foreach (var standby in cluster.ReplicasOf(primary))
                {
                    if (await CountAsync(standby, "synced AND NOT temporary") != "1")
                    {
                        return false;
                    }
                }
                return await CountAsync(primary, "failover") == "1";
            },
            "every standby has PostgreSQL's own copy of the slot");

        static Task<string?> CountAsync(TestNode node, string condition) => node.SqlAsync(
            $"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}' AND {condition}");
    }

    /// <summary>PostgreSQL gives up a slot that nobody used for that long; a permanent one is made anew.</summary>
    [Fact]
    public async Task A_permanent_slot_that_PostgreSQL_gave_up_for_idleness_is_there_again()
    {
        Assert.SkipUnless(PostgresUnderTest.Major >= 18, "PostgreSQL gives up idle slots from 18 on.");
        const string name = "idle_one";
        var (cluster, leader) = await fixture.TakeAsync();
        await ConfigureAsync("1s", new JsonObject { ["type"] = "physical" });
        await cluster.UntilAsync(async () => await CountAsync("true") == "1", "the slot is there");
        var given = leader.CountInLog("invalidating obsolete replication slot");
        await cluster.UntilAsync(
            async () =>
            {
                // A checkpoint looks for idle slots; the agent may have dropped the slot by now.
                await leader.SqlAsync("SELECT pg_switch_wal()");
                await leader.SqlAsync("CHECKPOINT");
                return leader.CountInLog("invalidating obsolete replication slot") > given
                    || await CountAsync("invalidation_reason = 'idle_timeout'") == "1";
            },
            "PostgreSQL gives the slot up");
        await ConfigureAsync(null, new JsonObject { ["type"] = "physical" });

        await cluster.UntilAsync(
            async () => await CountAsync("wal_status IS DISTINCT FROM 'lost' AND invalidation_reason IS NULL") == "1",
            "the slot is there again");
        await ConfigureAsync(null, null);
        await cluster.UntilAsync(async () => await CountAsync("true") == "0", "the slot has gone");

        Task<string?> CountAsync(string condition) => leader.SqlAsync(
            $"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{name}' AND {condition}");

        Task ConfigureAsync(string? timeout, JsonObject? slot) => cluster.ConfigureAsync(new JsonObject
        {
            ["slots"] = new JsonObject { [name] = slot },
            ["postgresql"] = new JsonObject
            {
                ["parameters"] = new JsonObject { ["idle_replication_slot_timeout"] = timeout },
            },
        });
    }

    private static async Task SynchroniseSlotsAsync(TestCluster cluster, string? value)
    {
        await cluster.ConfigureAsync(new JsonObject
        {
            ["postgresql"] = new JsonObject
            {
                ["parameters"] = new JsonObject
                {
                    ["sync_replication_slots"] = value, ["hot_standby_feedback"] = value,
                },
            },
        });
        foreach (var node in cluster.Nodes)
        {
            await cluster.UntilAsync(
                async () => await node.SqlAsync("SHOW sync_replication_slots") == (value ?? "off"),
                $"{node.Name} takes the setting");
        }
    }

    private static async Task AllSafeAsync(
        TestCluster cluster, TestNode leader, Dictionary<TestNode, int> earlier)
    {
        var standbys = cluster.Nodes.Where(node => node != leader).ToList();
        await cluster.UntilAsync(
            async () =>
            {
                await leader.SqlAsync("CHECKPOINT");   // tells the standbys which transactions run
                return standbys.All(node => node.CountInLog(Safe) > earlier[node]);
            },
            "the copies are known to be safe");
    }

    private static async Task<string> SyncStandbyAsync(TestCluster cluster)
    {
        await cluster.SynchronousAsync();
        return (await cluster.Keys.GetAsync("sync"))!.Json["sync_standby"]!.ToString();
    }

    private static async Task<int> LastClientAsync(TestNode leader) => int.Parse(
        await leader.SqlAsync(
            "CREATE TABLE IF NOT EXISTS written (client int, id bigint, PRIMARY KEY (client, id)); "
                + "SELECT coalesce(max(client), 0) FROM written") ?? "",
        CultureInfo.InvariantCulture);

    private static async Task<JsonNode> StatusAsync(TestCluster cluster) =>
        (await cluster.Keys.GetAsync("status"))!.Json;

    private static async Task<bool> HaveAllAsync(IEnumerable<TestNode> nodes, long position)
    {
        foreach (var node in nodes)
        {
            if (await ConfirmedAsync(node) < position)
            {
                return false;
            }
        }
        return true;
    }

    private static long Number(JsonNode? value) => (long?)value ?? 0;

    private static async Task<long> ConfirmedAsync(TestNode node) => long.TryParse(
        await node.SqlAsync(
            $"SELECT confirmed_flush_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = '{Slot}'"),
        NumberStyles.Integer, CultureInfo.InvariantCulture, out var position)
            ? position
            : 0;

    /// <summary>The slots in the configuration, for one test, whatever comes of it.</summary>
    private sealed class Slots(TestCluster cluster) : IAsyncDisposable
    {
        public static async Task<Slots> UseAsync(TestCluster cluster, TestNode leader, string? physical = null)
        {
            var slots = new Slots(cluster);
            try
            {
                var wanted = new JsonObject
                {
                    [Slot] = new JsonObject
                    {
                        ["type"] = "logical", ["database"] = "postgres", ["plugin"] = "test_decoding",
                    },
                };
                if (physical is not null)
                {
                    wanted[physical] = new JsonObject { ["type"] = "physical" };
                }
                await cluster.ConfigureAsync(new JsonObject
                {
                    ["slots"] = wanted,
                    ["ignore_slots"] = new JsonArray(new JsonObject { ["name"] = "foreign_backup" }),
                });
                foreach (var node in new[] { leader }.Concat(cluster.ReplicasOf(leader)))
                {
                    await cluster.UntilAsync(async () => await ConfirmedAsync(node) > 0, $"{node.Name} has the slot");
                }
                return slots;
            }
            catch
            {
                await slots.DisposeAsync();
                throw;
            }
        }

        public async ValueTask DisposeAsync()
        {
            await RemoveAsync();
            await cluster.ConfigureAsync(new JsonObject { ["ignore_slots"] = null });
        }

        /// <summary>They leave with the configuration, everywhere.</summary>
        public async Task RemoveAsync()
        {
            await cluster.ConfigureAsync(new JsonObject { ["slots"] = null });
            await cluster.UntilAsync(
                async () =>
                {
                    foreach (var node in cluster.Nodes)
                    {
                        if (await ConfirmedAsync(node) > 0)
                        {
                            return false;
                        }
                    }
                    return true;
                },
                "no member has the slot any more");
        }
    }
}
