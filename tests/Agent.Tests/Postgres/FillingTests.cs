using Routing.Agent.Native;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>
/// A directory that is being filled, one that is whole, and one that somebody else filled: each is told from the
/// others.
/// </summary>
[Trait("Category", "Integration")]
public sealed class FillingTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Data_that_were_restored_by_hand_after_a_failed_copy_are_used_and_not_wiped()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node =
            new TestNode("b", extra: "  create_replica_methods: [broken, basebackup]\n  broken: {command: 'false'}");
        var nobody = primary.Member with { Address = new Routing.Cluster.HostPort("127.0.0.2", FreePorts.Take()) };

        var failed = await node.Server.CloneAsync(new ClonePlan(nobody), node.Progress, Cancellation);
        var empty = await node.ObserveAsync();
        await RestoreAsync(primary, node);
        await node.RestartAgentAsync();
        var restored = await node.ObserveAsync();

        Assert.False(failed.Ok, failed.Detail);
        Assert.Equal((DataDirectory.Empty, DataDirectory.Ready), (empty.Data, restored.Data));
        Assert.Equal(StartOutcome.Running, await node.StartStandbyOfAsync(primary));
    }

    [Fact]
    public async Task What_an_interrupted_copy_left_counts_as_nothing_and_goes_when_a_restored_database_is_used()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node = new TestNode("b");
        var left = Directory.CreateDirectory(new DataFilling(node.Data).Staging).FullName;
        await File.WriteAllTextAsync(Path.Combine(left, "PG_VERSION"), "15\n", Cancellation);
        await File.WriteAllTextAsync(Path.Combine(node.Data, "pg_xact"), "moved up already", Cancellation);

        Assert.Equal(DataDirectory.Empty, (await node.ObserveAsync()).Data);
        var cloned = await node.Server.CloneAsync(new ClonePlan(primary.Member), node.Progress, Cancellation);
        Directory.CreateDirectory(left);

        Assert.True(cloned.Ok, cloned.Detail);
        Assert.Equal(DataDirectory.Ready, (await node.ObserveAsync()).Data);
    }

    [Fact]
    public async Task A_database_beside_the_marker_of_a_script_is_neither_used_nor_wiped()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node = new TestNode("b");
        Assert.True(new DataFilling(node.Data).TryMarkUnfinished());
        await RestoreAsync(primary, node);

        var doubtful = await node.ObserveAsync();
        var cloned = await node.Server.CloneAsync(new ClonePlan(primary.Member), node.Progress, Cancellation);
        File.Delete(node.Data + ".unfinished");
        var decided = await node.ObserveAsync();

        Assert.Equal(DataDirectory.Inaccessible, doubtful.Data);
        Assert.Contains(".unfinished", doubtful.DataProblem, StringComparison.Ordinal);
        Assert.False(cloned.Ok, cloned.Detail);
        Assert.Equal(DataDirectory.Ready, decided.Data);
    }

    [Fact]
    public async Task A_marker_of_another_directory_says_nothing()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node = new TestNode("b");
        Assert.True(new DataFilling(node.Data).TryMarkUnfinished());
        Directory.Move(node.Data, node.Data + ".old");
        await RestoreAsync(primary, node);

        Assert.Equal(DataDirectory.Ready, (await node.ObserveAsync()).Data);
    }

    [Fact]
    public async Task A_bootstrap_that_did_not_end_is_no_cluster_whether_its_server_runs_or_not()
    {
        await using var node = new TestNode("a", topLevel: "  post_bootstrap: sh DIRECTORY/check");
        await File.WriteAllTextAsync(node["check"], $"test -e {node["go"]}", Cancellation);

        var failed = await node.Server.BootstrapAsync(node.Progress, null, Cancellation);
        await node.RestartAgentAsync();
        var running = await node.ObserveAsync();
        await node.Server.StopAsync(new StopPlan(StopMode.Immediate), Cancellation);
        var stopped = await node.ObserveAsync();
        await File.WriteAllTextAsync(node["go"], "", Cancellation);
        var made = await node.Server.BootstrapAsync(node.Progress, null, Cancellation);

        Assert.False(failed.Ok);
        Assert.Equal((DataDirectory.Inaccessible, true), (running.Data, running.HasProcess));
        Assert.Equal(DataDirectory.Empty, stopped.Data);
        Assert.True(made.Ok, made.Detail);
        Assert.Equal((DataDirectory.Ready, true),
            ((await node.ObserveAsync()).Data, (await node.ObserveAsync()).IsPrimary));
    }

    [Fact]
    public async Task A_failed_bootstrap_that_cannot_be_moved_away_is_marked()
    {
        await using var node = new TestNode("a", topLevel: "  post_bootstrap: 'false'");
        await node.Server.BootstrapAsync(node.Progress, null, Cancellation);
        await node.Server.StopAsync(new StopPlan(StopMode.Immediate), Cancellation);
        var above = Path.GetDirectoryName(node.Data)!;
        var mode = File.GetUnixFileMode(above);
        File.SetUnixFileMode(above, mode & ~UnixFileMode.UserWrite);

        var left = await node.Server.MoveDataDirectoryAwayAsync(Cancellation);
        var seen = await node.ObserveAsync();
        File.SetUnixFileMode(above, mode);

        Assert.True(left.Ok, left.Detail);
        Assert.Equal(DataDirectory.Empty, seen.Data);
    }

    /// <summary>
    /// An agent that was killed leaves its pg_basebackup, or a script, running; two of them would spoil the copy.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_program_that_outlived_an_earlier_agent_is_ended_before_ours_begins(bool isScript)
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node = new TestNode("b");
        var pid = Spawner.Start(
            new SpawnRequest("/bin/sh",
                ["-c", "sleep 600; :", isScript ? "restore" : $"--pgdata={new DataFilling(node.Data).Staging}"])
            {
                LogFile = node["left"],
                Environment = isScript
                    ? LeftoverPrograms.Marked(new Command("restore"), node.Data).Environment
                    : new Dictionary<string, string?>(),
            });
        // While the program is being loaded its command line is empty.
        await WaitUntil.TrueAsync(
            async () => (await File.ReadAllTextAsync($"/proc/{pid.Pid}/cmdline", Cancellation)).Length > 0,
            TimeSpan.FromSeconds(30), "the program has a command line");

        var cloned = await node.Server.CloneAsync(new ClonePlan(primary.Member), node.Progress, Cancellation);

        Assert.True(cloned.Ok, cloned.Detail);
        Assert.True(pid.HasExited);
    }

    [Fact]
    public async Task Data_stay_in_place_until_the_copy_that_replaces_them_is_whole()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node = await primary.StandbyAsync("b");
        var nobody = primary.Member with { Address = new Routing.Cluster.HostPort("127.0.0.2", FreePorts.Take()) };
        await File.WriteAllTextAsync(Path.Combine(node.Data, "old"), "", Cancellation);

        var failed = await node.Server.CloneAsync(
            new ClonePlan(nobody) { Replaces = true }, node.Progress, Cancellation);
        await node.RestartAgentAsync();
        var kept = await node.ObserveAsync();
        var told = new List<CopyProgress>();
        var copied = await node.Server.CloneAsync(
            new ClonePlan(primary.Member) { Replaces = true, OnCopied = told.Add }, node.Progress, Cancellation);
        var replaced = await node.ObserveAsync();

        Assert.False(failed.Ok);
        Assert.Equal(
            (DataDirectory.Ready, DataDamage.ToBeReplaced, ServerState.Stopped), (kept.Data, kept.Damage, kept.Server));
        Assert.True(copied.Ok, copied.Detail);
        Assert.Equal((DataDirectory.Ready, DataDamage.None), (replaced.Data, replaced.Damage));
        Assert.False(File.Exists(Path.Combine(node.Data, "old")));
        Assert.True(File.Exists(Path.Combine(node.Data + DataRemoval.Replaced, "old")));
        Assert.True(File.Exists(Path.Combine(node.Data + DataRemoval.Replaced, "PG_VERSION")));
        Assert.Equal(told[^1].Total, told[^1].Bytes);
        Assert.Equal(StartOutcome.Running, await node.StartStandbyOfAsync(primary));
    }

    [Fact]
    public async Task A_replacement_that_is_interrupted_while_it_moves_leaves_an_empty_place()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node = await primary.StandbyAsync("b");
        await node.Server.StopAsync(new StopPlan(StopMode.Immediate), Cancellation);
        var filling = new DataFilling(node.Data);
        Directory.CreateDirectory(Path.Combine(filling.Staging, "global"));
        var old = Directory.CreateDirectory(Path.Combine(node.Data, ".routing-replaced")).FullName;
        File.Move(Path.Combine(node.Data, "PG_VERSION"), Path.Combine(old, "PG_VERSION"));

        Assert.Equal(DataDirectory.Empty, (await node.ObserveAsync()).Data);
        Assert.True((await node.Server.CloneAsync(new ClonePlan(primary.Member), node.Progress, Cancellation)).Ok);
        Assert.Equal(StartOutcome.Running, await node.StartStandbyOfAsync(primary));
    }

    [Fact]
    public void How_fast_a_copy_goes_is_that_of_the_last_seconds()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        var meter = new CopyMeter(time);

        var first = meter.Read("     0/20480 kB (0%), 0/1 tablespace");
        time.Advance(TimeSpan.FromSeconds(2));
        var second = meter.Read(" 10240/20480 kB (50%), 0/1 tablespace (base/1/2619)");

        Assert.Equal(new CopyProgress(0, 20480 * 1024, 0), first);
        Assert.Equal(new CopyProgress(10240 * 1024, 20480 * 1024, 5120 * 1024), second);
        Assert.Equal(TimeSpan.FromSeconds(2), second!.Left);
        Assert.Null(meter.Read("waiting for checkpoint"));
    }

    [Fact]
    public async Task Replaced_data_are_set_aside_with_their_WAL_and_tablespaces()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node =
            new TestNode(
                "b",
                extra: "  basebackup:\n  - waldir: DIRECTORY/wal\n  - tablespace-mapping: "
                    + "'ORIGIN=DIRECTORY/space'".Replace("ORIGIN", primary["space"], StringComparison.Ordinal));
        Directory.CreateDirectory(primary["space"]);
        await primary.ExecuteAsync($"CREATE TABLESPACE s LOCATION '{primary["space"]}'");
        await primary.ExecuteAsync("CREATE TABLE t TABLESPACE s AS SELECT 1 AS x");
        var first = await node.Server.CloneAsync(new ClonePlan(primary.Member), node.Progress, Cancellation);
        Assert.True(first.Ok, first.Detail);
        var before = PgControl.Read(node.Data).File;

        var second = await node.Server.CloneAsync(new ClonePlan(primary.Member), node.Progress, Cancellation);
        var aside = node.Data + DataRemoval.Replaced;

        Assert.True(second.Ok, second.Detail);
        Assert.Equal(before.Checkpoint, PgControl.Read(aside).File.Checkpoint);
        Assert.Equal([node["space.replaced"], node["wal.replaced"]],
            DataRemoval.LinkedDirectories(aside).Order(StringComparer.Ordinal));
        Assert.Equal([node["space"], node["wal"]],
            DataRemoval.LinkedDirectories(node.Data).Order(StringComparer.Ordinal));

        // An operator moves the data away and forgets the WAL.
        Directory.Move(node.Data, node["elsewhere"]);
        Directory.Move(node["space"], node["space.elsewhere"]);
        var third = await node.Server.CloneAsync(new ClonePlan(primary.Member), node.Progress, Cancellation);
        Assert.True(third.Ok, third.Detail);
        Assert.Equal(StartOutcome.Running,
            await node.Server.StartAsync(new StartPlan(false, null, TimeSpan.FromSeconds(30)), Cancellation));
    }

    private static async Task RestoreAsync(TestNode from, TestNode to)
    {
        var command = new Command(
            Path.Combine(TestNode.Binaries, "pg_basebackup"), "-D", to.Data, "-c", "fast", "-h", "127.0.0.2", "-p",
            $"{from.Port}", "-U", "repl")
        {
            Environment = new Dictionary<string, string?> { ["PGPASSWORD"] = TestNode.HardPassword },
        };
        var answer = await new CommandRunner(TimeProvider.System).CaptureAsync(command, Cancellation);
        Assert.True(answer.IsSuccess, answer.Error);
    }
}
