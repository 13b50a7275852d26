using Npgsql;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Files;
using Routing.Ha;
using Routing.Ha.Health;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>What is seen of a server and its data.</summary>
[Trait("Category", "Integration")]
public sealed class ServerObserverTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_primary_whose_directory_cannot_be_used_any_more_still_counts_as_a_primary()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        await node.ObserveAsync();
        var version = Path.Combine(node.Data, "PG_VERSION");
        var aside = Path.Combine(node.Data, "PG_VERSION.aside");

        File.Move(version, aside);
        var known = await node.ObserveAsync();
        await node.RestartAgentAsync();
        var adopted = await node.ObserveAsync();
        File.Move(aside, version);

        Assert.Equal((DataDirectory.Inaccessible, true, true), (known.Data, known.HasProcess, known.AcceptsWrites));
        Assert.Equal((DataDirectory.Inaccessible, true, true),
            (adopted.Data, adopted.HasProcess, adopted.AcceptsWrites));
        Assert.True((await node.UntilAsync(seen => seen.Server == ServerState.Running)).IsPrimary);
    }

    [Fact]
    public async Task A_primary_without_a_free_connection_is_alive_and_says_so()
    {
        await using var node = await TestNode.PrimaryAsync(
            "a", TestNode.Config("""{"postgresql":{"parameters":{"max_connections":25}}}"""));
        await node.RestartAgentAsync();   // its connection goes with it
        var sessions = new List<NpgsqlConnection>();
        var refusal = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            while (true)
            {
                sessions.Add(await node.OpenAsync());
            }
        });

        var full = await node.ObserveAsync();
        foreach (var session in sessions)
        {
            await session.DisposeAsync();
        }
        var free = await node.UntilAsync(seen => seen.Server == ServerState.Running);

        Assert.Equal("53300", refusal.SqlState);
        Assert.Equal((ServerState.Unresponsive, true, false),
            (full.Server, full.AcceptsWrites, full.HasFreeConnections));
        Assert.True(free.HasFreeConnections);
        Assert.Equal(HealthProblem.None, free.Disk.Problem);
    }

    [Fact]
    public void A_directory_that_may_not_be_read_is_not_taken_for_an_empty_one()
    {
        using var directory = new TempDirectory("pg");
        var locked = Directory.CreateDirectory(directory["locked"]).FullName;
        File.SetUnixFileMode(locked, UnixFileMode.None);

        var seen = DataDirectoryState.Look(Path.Combine(locked, "data"));
        var file = PostmasterFile.Read(Path.Combine(locked, "data"));

        File.SetUnixFileMode(locked, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Assert.Equal(DataDirectory.Inaccessible, seen.Kind);
        Assert.Null(file);
        Assert.Equal(DataDirectory.Empty, DataDirectoryState.Look(directory["nothing"]).Kind);
    }

    [Fact]
    public async Task Pg_control_is_read_as_pg_controldata_reads_it()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);

        var ours = PgControl.Read(node.Data);
        var theirs = await node.ControlDataAsync();

        Assert.Equal(theirs["Database system identifier"], ours.File.SystemId);
        Assert.Equal(("shut down", ControlState.ShutDown), (theirs["Database cluster state"], ours.File.State));
        Assert.Equal(theirs["Latest checkpoint location"], ours.File.Checkpoint.ToString());
        Assert.Equal(theirs["Latest checkpoint's REDO location"], ours.Redo.ToString());
        Assert.Equal(theirs["Latest checkpoint's TimeLineID"], $"{ours.File.Timeline}");
        Assert.Equal(theirs["Bytes per WAL segment"], $"{ours.SegmentSize}");
        Assert.Equal(theirs["max_connections setting"], $"{ours.MaxConnections}");
        Assert.Equal(theirs["max_worker_processes setting"], $"{ours.MaxWorkerProcesses}");
        Assert.Equal(theirs["max_wal_senders setting"], $"{ours.MaxWalSenders}");
        Assert.Equal(theirs["max_prepared_xacts setting"], $"{ours.MaxPreparedTransactions}");
        Assert.Equal(theirs["max_locks_per_xact setting"], $"{ours.MaxLocksPerTransaction}");
        Assert.Equal(theirs["Data page checksum version"] != "0", ours.File.DataChecksums);
        Assert.Equal(theirs["wal_log_hints setting"] == "on", ours.File.WalLogHints);
    }

    [Fact]
    public async Task A_copy_that_was_interrupted_counts_as_empty()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var node = new TestNode("b");
        Assert.True(new DataFilling(node.Data).TryMarkUnfinished());
        Directory.CreateDirectory(node.Data);
        await File.WriteAllTextAsync(Path.Combine(node.Data, "PG_VERSION"), "15\n", Cancellation);

        var before = await node.ObserveAsync();
        var cloned = await node.Server.CloneAsync(new ClonePlan(primary.Member), node.Progress, Cancellation);
        var after = await node.ObserveAsync();

        Assert.Equal(DataDirectory.Empty, before.Data);
        Assert.True(cloned.Ok, cloned.Detail);
        Assert.Equal(DataDirectory.Ready, after.Data);
    }
}
