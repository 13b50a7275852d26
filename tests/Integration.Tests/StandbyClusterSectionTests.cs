using System.Net.Sockets;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>The keys of <c>standby_cluster</c> beside host, port and slot, on real servers.</summary>
public sealed class StandbyClusterSectionTests
{
    private const string Only = "ROUTING_TEST_FULL=1 runs this drill.";

    [Fact]
    public async Task A_cluster_that_knows_an_archive_alone_is_made_from_it_follows_it_and_is_promoted()
    {
        Assert.SkipUnless(TwoDataCentres.IsFull, Only);
        using var archive = new TempDirectory("archive");
        OrdinaryProcess.GiveAway(archive.Path);
        await using var a = await TwoDataCentres.StartPrimaryAsync(new TestClusterOptions
        {
            Nodes = 1,
            Dcs = new JsonObject
            {
                ["postgresql"] = new JsonObject
                {
                    ["parameters"] = new JsonObject
                    {
                        ["archive_mode"] = "on", ["archive_command"] = $"cp %p {archive.Path}/%f",
                    },
                },
            },
        });
        var primary = a.Nodes[0];
        await primary.SqlAsync("CREATE TABLE t AS SELECT 1 AS n");
        var backup = Path.Combine(primary.DirectoryPath, "backup");
        await BackUpAsync(primary, backup);
        var used = Path.Combine(primary.DirectoryPath, "used");
        await using var b = await TwoDataCentres.StartFollowerAsync(new TestClusterOptions
        {
            Nodes = 2,
            Dcs = new JsonObject
            {
                ["standby_cluster"] = new JsonObject
                {
                    ["restore_command"] = $"cp {archive.Path}/%f %p",
                    ["archive_cleanup_command"] = $"{PostgresClient.PathOf("pg_archivecleanup")} {archive.Path} %r",
                    ["create_replica_methods"] = new JsonArray("from_backup"),
                },
            },
            Configure = (node, config) => config["postgresql"]!["from_backup"] = new JsonObject
            {
                ["command"] = node.WriteProgram("from_backup",
                    $"""
                    for argument; do case $argument in --datadir=*) data=$(echo "$argument" | cut -d= -f2-);; esac; done
                    echo "$@" >> {used}
                    cp -a {backup}/. "$data"
                    """),
            },
        });
        var leader = await TwoDataCentres.StandbyLeaderAsync(b);
        var status = (await leader.GetAsync("/patroni"))!;
        Assert.Equal(("in archive recovery", 503), ((string?)status["replication_state"],
            await leader.StatusAsync("/primary")));
        Assert.Single(File.ReadLines(used));   // the other member is a copy of the leader

        await primary.SqlAsync("INSERT INTO t VALUES (2)");
        await primary.SqlAsync("SELECT pg_switch_wal()");
        foreach (var node in b.Nodes)
        {
            await HasAsync(b, node, 2);
        }

        // What nobody in this cluster needs any more leaves the archive at a restart point.
        var oldest = Directory.EnumerateFiles(archive.Path).Select(Path.GetFileName)
            .Where(name => name!.Length == 24).Order(StringComparer.Ordinal).First()!;
        await b.UntilAsync(
            async () =>
            {
                await primary.SqlAsync("CHECKPOINT");
                await primary.SqlAsync("SELECT pg_switch_wal()");
                await leader.SqlAsync("CHECKPOINT");
                return !File.Exists(Path.Combine(archive.Path, oldest));
            },
            $"{oldest} leaves the archive", TwoDataCentres.Patience);

        // The other side cannot be asked: only a person may decide it.
        var (code, refused) = await b.CtlAsync("promote-cluster", b.Scope, "--yes");
        Assert.Equal(1, code);
        Assert.Contains("The other side does not answer", refused, StringComparison.Ordinal);
        await primary.StopAsync();
        await TwoDataCentres.CtlAsync(b, "promote-cluster", b.Scope, "--force");
        var promoted = await b.HealthyAsync(TwoDataCentres.Patience);
        Assert.Equal("2", await promoted.SqlAsync("SELECT max(n) FROM t"));
        await promoted.SqlAsync("INSERT INTO t VALUES (3)");
    }

    [Fact]
    public async Task The_leader_stays_behind_by_the_delay_and_a_promotion_loses_nothing_of_it()
    {
        Assert.SkipUnless(TwoDataCentres.IsFull, Only);
        await using var a = await TwoDataCentres.StartPrimaryAsync(new TestClusterOptions
        {
            Nodes = 1, Dcs = new JsonObject { ["slots"] = TwoDataCentres.SlotsWith() },
        });
        var primary = a.Nodes[0];
        await primary.SqlAsync("CREATE TABLE t AS SELECT 1 AS n");
        var section = TwoDataCentres.SectionFor(a);
        section["recovery_min_apply_delay"] = "1h";
        await using var b = await TwoDataCentres.StartFollowerAsync(new TestClusterOptions
        {
            Nodes = 2, Dcs = new JsonObject { ["standby_cluster"] = section.DeepClone() },
        });
        var leader = await TwoDataCentres.StandbyLeaderAsync(b);
        Assert.Equal("1h", await leader.SqlAsync("SHOW recovery_min_apply_delay"));
        Assert.Equal("0", await b.ReplicasOf(leader)[0].SqlAsync("SHOW recovery_min_apply_delay"));

        await primary.SqlAsync("INSERT INTO t VALUES (2)");
        var end = await primary.SqlAsync("SELECT pg_current_wal_flush_lsn()");
        await b.UntilAsync(
            async () => await leader.SqlAsync($"SELECT pg_last_wal_receive_lsn() >= '{end}'") == "True",
            "the standby leader has received the row", TwoDataCentres.Patience);
        await HasAsync(b, b.ReplicasOf(leader)[0], 2);   // it gets the WAL before the leader replays it
        Assert.Equal("1", await leader.SqlAsync("SELECT max(n) FROM t"));

        // Without the delay the leader catches up.
        section.Remove("recovery_min_apply_delay");
        await ConfigureAsync(leader, section.DeepClone(), delay: null);
        await HasAsync(b, leader, 2);

        // A promotion does not wait for the delay, and leaves nothing out that has been received.
        await ConfigureAsync(leader, section.DeepClone(), delay: "1h");
        await b.UntilAsync(
            async () => await leader.SqlAsync("SHOW recovery_min_apply_delay") == "1h",
            "the standby leader stays behind again", TwoDataCentres.Patience);
        await primary.SqlAsync("INSERT INTO t VALUES (3)");
        var told = await TwoDataCentres.CtlAsync(
            a, ["demote-cluster", a.Scope, .. TwoDataCentres.OptionsFor(b), "--yes"]);
        var command = told.Split('\n').Single(line => line.Contains("promote-cluster", StringComparison.Ordinal));
        Assert.NotEqual("3", await leader.SqlAsync("SELECT max(n) FROM t"));
        await TwoDataCentres.CtlAsync(b, ["promote-cluster", b.Scope, .. command.Trim().Split(' ')[2..], "--yes"]);
        var promoted = await b.HealthyAsync(TwoDataCentres.Patience);
        Assert.Equal("3", await promoted.SqlAsync("SELECT max(n) FROM t"));
    }

    [Fact]
    public async Task Of_several_remote_hosts_the_first_may_be_silent()
    {
        Assert.SkipUnless(TwoDataCentres.IsFull, Only);
        using var silent = new SilentServer();
        await using var a = await TwoDataCentres.StartPrimaryAsync(new TestClusterOptions
        {
            Nodes = 1, Dcs = new JsonObject { ["slots"] = TwoDataCentres.SlotsWith() },
        });
        var section = TwoDataCentres.SectionFor(a);
        section["host"] = $"127.0.0.1,{section["host"]}";
        section["port"] = $"{silent.Port},{section["port"]}";
        await using var b = await TwoDataCentres.StartFollowerAsync(new TestClusterOptions
        {
            Nodes = 1,
            Dcs = new JsonObject { ["standby_cluster"] = section, ["slots"] = TwoDataCentres.SlotsWith() },
        });
        var leader = await TwoDataCentres.StandbyLeaderAsync(b);
        await a.Nodes[0].SqlAsync("CREATE TABLE t AS SELECT 2 AS n");
        await HasAsync(b, leader, 2);

        // The stream breaks: it is there again without the minutes that the kernel would wait for the first one.
        await a.Nodes[0].SqlAsync("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
        await a.Nodes[0].SqlAsync("INSERT INTO t VALUES (3)");
        await b.UntilAsync(
            async () => await MaximumAsync(leader) == "3", "the row arrives by a new stream",
            TimeSpan.FromSeconds(90));

        await TwoDataCentres.SwitchAsync(a, b);
        Assert.Equal("3", await (await b.LeaderAsync(within: TwoDataCentres.Patience))
            .SqlAsync("SELECT max(n) FROM t"));
        var (_, output) = await a.CtlAsync("list", a.Scope);
        Assert.Contains("Standby Leader", output, StringComparison.Ordinal);
    }

    private static async Task BackUpAsync(TestNode node, string folder)
    {
        var log = Path.Combine(node.DirectoryPath, "backup.log");
        using var backup = OrdinaryProcess.Start(log, node.DirectoryPath,
            "/usr/bin/env", "PGPASSWORD=repl", PostgresClient.PathOf("pg_basebackup"), "-D", folder, "-N", "-c", "fast",
            "-h", "127.0.0.1", "-p", node.Port.ToString((IFormatProvider?)null), "-U", "replicator");
        var code = await backup.WaitForExitAsync(TwoDataCentres.Patience);
        Assert.True(code == 0, await File.ReadAllTextAsync(log));
    }

    private static async Task ConfigureAsync(TestNode leader, JsonNode section, string? delay)
    {
        section["recovery_min_apply_delay"] = delay;
        var (code, text) = await leader.SendAsync(
            "PATCH", "/config", new JsonObject { ["standby_cluster"] = section });
        Assert.True(code == 200, text);
    }

    private static Task HasAsync(TestCluster cluster, TestNode node, int number) => cluster.UntilAsync(
        async () => await MaximumAsync(node) == $"{number}", $"{node} has row {number}", TwoDataCentres.Patience);

    private static async Task<string?> MaximumAsync(TestNode node)
    {
        try
        {
            return await node.SqlAsync("SELECT max(n) FROM t");
        }
        catch (NpgsqlException)
        {
            return null;   // it starts, or has not got the table yet
        }
    }

    /// <summary>A server whose machine is off: nothing comes back.</summary>
    private sealed class SilentServer : PretendListener
    {
        public SilentServer() => Vanish();

        protected override Task ServeAsync(Socket peer) => Task.CompletedTask;
    }
}
