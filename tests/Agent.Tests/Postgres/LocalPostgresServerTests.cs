using Npgsql;
using Routing.Agent.Native;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Health;
using Routing.TestKit;

[assembly: AssemblyFixture(typeof(Routing.TestKit.OrdinaryUser))]

namespace Routing.Agent.Tests.Postgres;

/// <summary>The verbs on a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
public sealed class LocalPostgresServerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_cluster_has_its_roles_and_options()
    {
        await using var node = await TestNode.PrimaryAsync("a");

        var seen = await node.ObserveAsync();

        Assert.Equal((ServerState.Running, true, 1u), (seen.Server, seen.IsPrimary, seen.Timeline));
        Assert.True(seen.Control!.DataChecksums);
        Assert.True(seen.RewindPossible);
        Assert.Equal("C", await node.ValueAsync("SELECT datcollate FROM pg_database WHERE datname = 'postgres'"));
        Assert.Equal("True", await node.ValueAsync("SELECT rolreplication FROM pg_roles WHERE rolname = 'repl'"));
        Assert.Equal("True", await node.ValueAsync(
            "SELECT has_function_privilege('rewinder', 'pg_read_binary_file(text)', 'EXECUTE')", "rewinder"));
    }

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
    public async Task A_clone_streams_through_its_slot_and_is_promoted()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var standby = await primary.StandbyAsync("b");

        await primary.ExecuteAsync("CREATE TABLE t AS SELECT 1 AS x");
        await WaitUntilReplayedAsync(primary, standby);
        var seen = await standby.ObserveAsync();
        var slots = (await primary.ObserveAsync()).Slots;
        await primary.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        var promoted = await standby.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation);

        Assert.Equal((primary.Address, "b"), (seen.Following!.Address, seen.Following.SlotName));
        Assert.True(Assert.Single(slots, slot => slot.Name == "b").Active);
        Assert.True(promoted.Ok, promoted.Detail);
        var after = await standby.ObserveAsync();
        Assert.Equal((true, 2u), (after.IsPrimary, after.Timeline));
        Assert.Equal(1u, Assert.Single(after.History).Timeline);
        Assert.Equal("1", await standby.ValueAsync("SELECT x FROM t"));
    }

    [Fact]
    public async Task A_promotion_steps_over_timelines_that_others_may_have_opened()
    {
        await using var old = await TestNode.PrimaryAsync("a");
        await using var next = await old.StandbyAsync("b");
        await using var other = await old.StandbyAsync("c");
        await old.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);

        var promoted = await next.Server.PromoteAsync(3, TimeSpan.FromSeconds(20), Cancellation);
        await next.ExecuteAsync("SELECT pg_create_physical_replication_slot(s, true) FROM unnest(array['a', 'c']) s");
        await other.Server.FollowAsync(new Upstream(next.Address, "c"), Cancellation);
        var fits = await old.Server.CheckDivergenceAsync(next.Member, Cancellation);
        await old.StartStandbyOfAsync(next);

        Assert.True(promoted.Ok, promoted.Detail);
        Assert.Equal(4u, (await next.ObserveAsync()).Timeline);
        Assert.Equal(Divergence.None, fits.Divergence);
        await other.UntilAsync(seen => seen is { IsStreaming: true, Timeline: 4 });
        await old.UntilAsync(seen => seen is { IsStreaming: true, Timeline: 4 });
        await next.ExecuteAsync("CREATE TABLE t AS SELECT 1 AS x");
        await WaitUntilReplayedAsync(next, other);
        await other.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Assert.Equal(StartOutcome.Running, await other.StartStandbyOfAsync(next));
        await other.UntilAsync(seen => seen.IsStreaming);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("  config_dir: DIRECTORY/config")]
    public async Task A_former_primary_that_diverged_is_rewound_and_follows(string? extra)
    {
        await using var old = await TestNode.PrimaryAsync("a", extra: extra);
        await using var next = await old.StandbyAsync("b", extra: extra);
        await old.ExecuteAsync("CREATE TABLE t (x int)");
        await WaitUntilReplayedAsync(old, next);
        Assert.True((await next.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation)).Ok);
        await next.ExecuteAsync("INSERT INTO t VALUES (2)");
        await next.ExecuteAsync("SELECT pg_create_physical_replication_slot('a', true)");
        await old.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(100, 200) g");
        await next.ExecuteAsync("CHECKPOINT");
        Kill(await old.ObserveAsync());
        await old.UntilAsync(seen => seen.Server == ServerState.Stopped);

        var before = await old.Server.CheckDivergenceAsync(next.Member, Cancellation);
        var rewound = await old.Server.RewindAsync(next.Member, old.Progress, Cancellation);
        var after = await old.Server.CheckDivergenceAsync(next.Member, Cancellation);
        var started = await old.StartStandbyOfAsync(next);

        Assert.Equal(Divergence.Diverged, before.Divergence);
        Assert.True(rewound.Ok, rewound.Detail);
        Assert.Equal(Divergence.None, after.Divergence);
        Assert.Equal(StartOutcome.Running, started);
        await old.UntilAsync(seen => seen.IsStreaming && seen.Timeline == 2);
        await WaitUntilReplayedAsync(next, old);
        Assert.Equal("2", await old.ValueAsync("SELECT string_agg(x::text, ',') FROM t"));
    }

    [Fact]
    public async Task A_primary_that_stopped_cleanly_follows_the_next_one_without_a_rewind()
    {
        await using var old = await TestNode.PrimaryAsync("a");
        await using var next = await old.StandbyAsync("b");
        var checkpoint = Lsn.Zero;
        var safe = 0;
        var stopped = await old.Server.StopAsync(
            new StopPlan(StopMode.Fast, Checkpoint: true)
            {
                OnSafepoint = _ => Count(ref safe),
                OnShutdownCheckpoint = (lsn, _) => Keep(lsn),
            },
            Cancellation);
        await next.UntilAsync(seen => seen.ReplayedLsn > checkpoint);
        Assert.True((await next.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation)).Ok);
        await next.ExecuteAsync("SELECT pg_create_physical_replication_slot('a', true)");

        var check = await old.Server.CheckDivergenceAsync(next.Member, Cancellation);
        var started = await old.StartStandbyOfAsync(next);

        Assert.True(stopped.Ok, stopped.Detail);
        Assert.Equal(1, safe);
        Assert.NotEqual(Lsn.Zero, checkpoint);
        Assert.True(check.Divergence == Divergence.None, check.Detail);
        Assert.Equal(StartOutcome.Running, started);
        await old.UntilAsync(seen => seen.IsStreaming && seen.Timeline == 2);

        ValueTask Keep(Lsn lsn)
        {
            checkpoint = lsn;
            return ValueTask.CompletedTask;
        }
    }

    [Fact]
    public async Task A_standby_follows_another_primary_without_a_restart()
    {
        await using var first = await TestNode.PrimaryAsync("a");
        await using var second = await first.StandbyAsync("b");
        await using var third = await first.StandbyAsync("c");
        var pid = (await third.ObserveAsync()).PostmasterPid;
        await first.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Assert.True((await second.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation)).Ok);
        await second.ExecuteAsync("SELECT pg_create_physical_replication_slot('c', true)");

        var followed = await third.Server.FollowAsync(new Upstream(second.Address, "c"), Cancellation);

        Assert.True(followed.Ok, followed.Detail);
        var seen = await third.UntilAsync(seen => seen.IsStreaming && seen.Timeline == 2);
        Assert.Equal((pid, second.Address), (seen.PostmasterPid, seen.Following!.Address));
    }

    [Fact]
    public async Task A_parameter_that_the_server_refuses_by_name_or_value_is_left_out()
    {
        var config = TestNode.Config("""
            {"postgresql": {"parameters": {
              "no_such_parameter": 1, "zero_damaged_pages": "on", "work_mem": "5MB", "my.own": "x", "temp_buffers": "much",
              "Maintenance_Work_Mem": 1, "bytea_output": "pretty", "random_page_cost": "1.5"}}}
            """);
        await using var node = await TestNode.PrimaryAsync("a", config);

        await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        var started = await node.StartPrimaryAsync();

        Assert.Equal(StartOutcome.Running, started);
        Assert.Equal("on 5MB x 1.5 8MB 64MB hex", await node.ValueAsync(
            "SELECT concat_ws(' ', current_setting('zero_damaged_pages'), current_setting('work_mem'), "
                + "current_setting('my.own'), "
            + "current_setting('random_page_cost'), current_setting('temp_buffers'), "
            + "current_setting('maintenance_work_mem'), "
            + "current_setting('bytea_output'))"));
    }

    [Fact]
    public async Task A_reservation_whose_promotion_never_came_does_not_keep_a_standby_down()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var standby = await primary.StandbyAsync("b");
        await standby.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        var file = Path.Combine(standby.Data, "pg_wal", "00000002.history");
        await File.WriteAllTextAsync(file, TimelineReservations.Text, Cancellation);

        var started = await standby.StartStandbyOfAsync(primary);

        Assert.Equal(StartOutcome.Running, started);
        Assert.False(File.Exists(file));
        await standby.UntilAsync(seen => seen.IsStreaming);
    }

    [Fact]
    public async Task A_new_agent_adopts_the_server_and_its_synchronous_standbys()
    {
        var dynamicConfig = TestNode.Config("""{"synchronous_mode": true}""");
        await using var node = await TestNode.PrimaryAsync("a", dynamicConfig);
        var set = await node.Server.SetSynchronousStandbyNamesAsync("b", Cancellation);
        var before = await node.ObserveAsync();

        await node.RestartAgentAsync();
        var applied = await node.Server.ApplyConfigurationAsync(dynamicConfig, force: true, Cancellation);
        var after = await node.ObserveAsync();

        Assert.True(set.Ok, set.Detail);
        Assert.True(applied.Ok, applied.Detail);
        Assert.Equal((before.PostmasterPid, "b"), (after.PostmasterPid, after.SynchronousStandbyNames));
    }

    [Fact]
    public async Task A_killed_postmaster_is_noticed_at_once_and_starts_again()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        // Any thread may be suspended, so the fastest of up to three shows it.
        var bound = TimeSpan.FromMilliseconds(100);
        var fastest = TimeSpan.MaxValue;
        for (var i = 0; i < 3 && fastest >= bound; i++)
        {
            var seen = await node.ObserveAsync();
            var wakeUps = node.WakeUps;
            var start = TimeProvider.System.GetTimestamp();

            Kill(seen);
            await WaitUntil.TrueAsync(() => node.WakeUps > wakeUps, TimeSpan.FromSeconds(5));
            var noticed = TimeProvider.System.GetElapsedTime(start);
            var down = await node.ObserveAsync();
            var started = await node.StartPrimaryAsync();

            Assert.Equal(ServerState.Stopped, down.Server);
            Assert.Equal(StartOutcome.Running, started);
            fastest = noticed < fastest ? noticed : fastest;
        }

        Assert.True(fastest < bound, $"noticed after {fastest.TotalMilliseconds:0} ms");
    }

    [Fact]
    public async Task A_server_that_does_not_stop_is_killed_with_its_children()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        var seen = await node.ObserveAsync();
        using var frozen = PidFd.TryOpen(seen.PostmasterPid);
        frozen!.TrySignal(Signals.Stop);

        var asked = TimeProvider.System.GetTimestamp();
        var silent = await node.ObserveAsync();
        var answered = TimeProvider.System.GetElapsedTime(asked);
        var stopped = await node.Server.StopAsync(
            new StopPlan(StopMode.Immediate, EscalateAfter: TimeSpan.FromMilliseconds(300)), Cancellation);

        Assert.True(answered < TimeSpan.FromSeconds(4), $"observed after {answered}");
        Assert.True(silent.AcceptsWrites);
        Assert.True(stopped.Ok, stopped.Detail);
        Assert.Equal("killed", stopped.Detail);
        Assert.Equal(ServerState.Stopped, (await node.ObserveAsync()).Server);
        Assert.Equal(StartOutcome.Running, await node.StartPrimaryAsync());
    }

    [Fact]
    public async Task A_list_of_statements_may_name_roles_that_exist()
    {
        const string script = """
            post_bootstrap:
            - type: sql
              command: |
                -- the superuser is there already
                CREATE USER boss WITH PASSWORD 'it''s a:b\c "d" $e ''f'' #g%h' SUPERUSER CONNECTION LIMIT 7;
                CREATE USER app WITH PASSWORD 'x;y';
                CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
            - type: sql
              command: CREATE DATABASE shop OWNER app
            """;
        await using var node = new TestNode("a", topLevel: script);

        var made = await node.Server.BootstrapAsync(node.Progress, Cancellation);

        Assert.True(made.Ok, made.Detail);
        Assert.Equal("7", await node.ValueAsync("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'boss'"));
        Assert.Equal("1", await node.ValueAsync("SELECT f()", "app", "x;y"));
        Assert.Equal("shop", await node.ValueAsync("SELECT datname FROM pg_database WHERE datname = 'shop'"));
    }

    [Fact]
    public async Task A_parameter_that_waits_for_a_restart_is_named_and_the_restart_takes_it()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        var changed =
            TestNode.Config(
                """{"postgresql": {"parameters": {"max_connections": 50, "work_mem": "5MB", "max_files_per_process": 2000}}}""");

        var applied = await node.Server.ApplyConfigurationAsync(changed, force: false, Cancellation);
        var pending = (await node.ObserveAsync()).PendingRestart;
        var restarted = await node.Server.RestartAsync(
            new RestartPlan(new StopPlan(StopMode.Fast), new StartPlan(true, null, null)), new Progress<string>(),
            Cancellation);

        Assert.True(applied.Ok, applied.Detail);
        Assert.Equal(["max_connections", "max_files_per_process"], pending.Keys);
        Assert.Equal(new ParameterChange("100", "50"), pending["max_connections"]);
        Assert.Equal(new ParameterChange("1000", "2000"), pending["max_files_per_process"]);
        Assert.True(restarted.Outcome == StartOutcome.Running, restarted.Detail);
        Assert.Empty((await node.ObserveAsync()).PendingRestart);
        Assert.Equal("50", await node.ValueAsync("SHOW max_connections"));
        Assert.Equal("5MB", await node.ValueAsync("SHOW work_mem"));
    }

    [Fact]
    public async Task A_standby_starts_with_limits_as_high_as_its_primarys()
    {
        await using var primary = await TestNode.PrimaryAsync("a");

        await using var standby = await primary.StandbyAsync(
            "b", TestNode.Config("""{"postgresql": {"parameters": {"max_connections": 30}}}"""));

        Assert.Equal("100", await standby.ValueAsync("SHOW max_connections"));
        Assert.Equal(new ParameterChange("100", "30"),
            (await standby.ObserveAsync()).PendingRestart["max_connections"]);
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
    public async Task A_callback_ends_the_one_before_it()
    {
        await using var node = new TestNode(
            "a", extra: "  callbacks: {on_role_change: 'sh -c \"echo $1-$2-$3 >> DIRECTORY/called; sleep 60\" x'}");
        var made = await node.Server.BootstrapAsync(node.Progress, Cancellation);
        var called = node["called"];

        node.Server.RunCallback("on_role_change", Role.Promoted);
        await WaitUntil.TrueAsync(() => File.Exists(called) && File.ReadAllLines(called).Length == 1);
        node.Server.RunCallback("on_role_change", Role.Replica);
        await WaitUntil.TrueAsync(() => File.ReadAllLines(called).Length == 2);

        Assert.True(made.Ok, made.Detail);
        Assert.Equal(["on_role_change-primary-demo", "on_role_change-replica-demo"], File.ReadAllLines(called));
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

    [Fact]
    public async Task A_script_makes_the_cluster_and_another_one_the_replica()
    {
        await using var node = new TestNode("a", topLevel: "  post_bootstrap: sh DIRECTORY/after", bootstrap: """
              method: mine
              mine:
                command: sh DIRECTORY/make
                flavour: plain vanilla
                recovery_conf: {recovery_target_action: promote, restore_command: 'false'}
            """);
        await File.WriteAllTextAsync(node["make"], $"""
            echo "$*" > {node["arguments"]}
            exec {TestNode.Binaries}/initdb -D {node.Data} -U boss -A scram-sha-256 --pwfile=/dev/stdin <<END
            another password
            END
            """, Cancellation);
        await File.WriteAllTextAsync(node["after"],
            $"exec {TestNode.Binaries}/psql -X -d \"$1\" -c 'CREATE TABLE made (x int)'", Cancellation);
        await using var copy = new TestNode("b", extra: """
              create_replica_methods: [broken, script, basebackup]
              broken: {command: 'false'}
              script: {command: sh DIRECTORY/copy, level: 3}
            """);
        await File.WriteAllTextAsync(copy["copy"], $"""
            echo "$*" > {copy["arguments"]}
            mkdir -m 700 {copy.Data}
            exec {TestNode.Binaries}/pg_basebackup -D {copy.Data} -c fast -d "$(echo "$*" | sed 's/.*--connstring=\(.*\) --level=3$/\1/')"
            """, Cancellation);

        var made = await node.Server.BootstrapAsync(node.Progress, Cancellation);
        Assert.True(made.Ok, made.Detail);
        await node.ExecuteAsync("SELECT pg_create_physical_replication_slot('b', true)");
        var cloned = await copy.Server.CloneAsync(new ClonePlan(node.Member), copy.Progress, Cancellation);
        var started = await copy.StartStandbyOfAsync(node);

        Assert.Equal($"--scope=demo --datadir={node.Data} --flavour=plain vanilla",
            (await File.ReadAllTextAsync(node["arguments"], Cancellation)).Trim());
        Assert.Equal("0", await node.ValueAsync("SELECT count(*) FROM made"));
        Assert.Equal("0", await node.ValueAsync("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'"));
        Assert.True(cloned.Ok, cloned.Detail);
        Assert.Contains("by script", cloned.Detail, StringComparison.Ordinal);
        Assert.Equal(StartOutcome.Running, started);
        await copy.UntilAsync(seen => seen.IsStreaming);
    }

    private static void Kill(LocalPostgres seen)
    {
        using var process = PidFd.TryOpen(seen.PostmasterPid);
        process!.TrySignal(Signals.Kill);
    }

    private static ValueTask Count(ref int counter)
    {
        counter++;
        return ValueTask.CompletedTask;
    }

    private static async Task WaitUntilReplayedAsync(TestNode primary, TestNode standby)
    {
        var target = (await primary.ObserveAsync()).WalPosition;
        await standby.UntilAsync(seen => seen.ReplayedLsn >= target);
    }
}
