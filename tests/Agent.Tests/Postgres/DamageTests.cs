using Routing.Agent.Native;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Files;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>Data that have diverged, or were rewound in part: the mark on them, and the ways back.</summary>
[Trait("Category", "Integration")]
public sealed class DamageTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>
    /// pg_rewind removes what its source does not have, our own files too; the mark of a rewind has to outlive that.
    /// </summary>
    [Fact]
    public async Task A_rewind_that_did_not_end_well_leaves_its_mark_for_the_next_agent_and_can_be_repeated()
    {
        await using var old = await TestNode.PrimaryAsync("a", extra: "  bin_name: {pg_rewind: DIRECTORY/rewind}");
        await using var next = await DivergeAsync(old);
        var real = Path.Combine(TestNode.Binaries, "pg_rewind");
        Script($"{real} --dry-run \"$@\"; exit 9");   // it tells how much it is going to copy, and ends

        var check = await old.Server.CheckDivergenceAsync(next.Member, Cancellation);
        await old.RestartAgentAsync();
        var diverged = await old.ObserveAsync();
        var failed = await old.Server.RewindAsync(next.Member, old.Progress, Cancellation);
        await old.RestartAgentAsync();
        var half = await old.ObserveAsync();
        Script($"{real} \"$@\" && exit 9");   // it does everything, and is ended before it says so
        var again = await old.Server.RewindAsync(next.Member, old.Progress, Cancellation);
        var survived = (await old.ObserveAsync()).Damage;
        var rewound = await old.Server.RewindAsync(next.Member, old.Progress, Cancellation);
        var whole = await old.ObserveAsync();

        Assert.Equal((Divergence.Diverged, DataDamage.Diverged), (check.Divergence, diverged.Damage));
        Assert.Equal((false, false, DataDamage.HalfRewound), (failed.Ok, failed.IsObstacle, half.Damage));
        Assert.Equal((false, DataDamage.HalfRewound), (again.Ok, survived));
        Assert.True(rewound.Ok, rewound.Detail);
        Assert.Equal(DataDamage.None, whole.Damage);
        Assert.Equal(StartOutcome.Running, await old.StartStandbyOfAsync(next));
        await old.UntilAsync(seen => seen.IsStreaming && seen.Timeline == 2);

        void Script(string text)
        {
            var path = old["rewind"];
            File.WriteAllText(path, $"#!/bin/sh\n{text}\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Fact]
    public async Task A_rewind_that_could_not_begin_leaves_the_data_as_diverged_as_they_were()
    {
        await using var old = await TestNode.PrimaryAsync("a", extra: "  bin_name: {pg_rewind: DIRECTORY/rewind}");
        await using var next = await DivergeAsync(old);
        var path = old["rewind"];
        await File.WriteAllTextAsync(path,
            "#!/bin/sh\necho 'pg_rewind: fatal: could not open file: No space left on device' >&2; exit 1\n",
            Cancellation);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await old.Server.CheckDivergenceAsync(next.Member, Cancellation);

        var failed = await old.Server.RewindAsync(next.Member, old.Progress, Cancellation);

        Assert.Equal((false, true, DataDamage.Diverged),
            (failed.Ok, failed.IsObstacle, (await old.ObserveAsync()).Damage));
    }

    /// <summary>postgres --single holds postmaster.pid too, with its number negated.</summary>
    [Fact]
    public async Task The_recovery_before_a_rewind_is_not_taken_for_a_server()
    {
        await using var old = await TestNode.PrimaryAsync("a");
        await using var next = await DivergeAsync(old, rows: 400_000);
        var rewinding = old.Server.RewindAsync(next.Member, old.Progress, Cancellation);
        var seen = new List<LocalPostgres>();
        while (!rewinding.IsCompleted)
        {
            var isStandalone = PostmasterFile.Read(old.Data) is { IsStandalone: true };
            var now = await old.ObserveAsync();
            if (isStandalone)
            {
                seen.Add(now);
            }
        }
        var rewound = await rewinding;

        Assert.True(rewound.Ok, rewound.Detail);
        Assert.NotEmpty(seen);
        Assert.All(seen, now => Assert.Equal((ServerState.Stopped, 0), (now.Server, now.PostmasterPid)));
    }

    [Fact]
    public async Task A_comparison_needs_no_more_than_the_replication_protocol()
    {
        await using var old = await TestNode.PrimaryAsync("a");
        await using var next = await old.StandbyAsync("b");
        await old.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Assert.True((await next.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation)).Ok);
        await next.ExecuteAsync("SELECT pg_create_physical_replication_slot('a', true)");
        await File.WriteAllTextAsync(
            Path.Combine(next.Data, "pg_hba.conf"), "host replication repl 127.0.0.0/8 scram-sha-256\n", Cancellation);
        using (var process = PidFd.TryOpen((await next.ObserveAsync()).PostmasterPid))
        {
            process!.TrySignal(Signals.Hangup);
        }
        await WaitUntil.TrueAsync(async () =>
        {
            try
            {
                await next.ValueAsync("SELECT 1");
                return false;
            }
            catch (Npgsql.PostgresException)
            {
                return true;
            }
        });

        var check = await old.Server.CheckDivergenceAsync(next.Member, Cancellation);

        Assert.True(check.Divergence == Divergence.None, check.Detail);
        Assert.Equal(StartOutcome.Running, await old.StartStandbyOfAsync(next));
        await old.UntilAsync(seen => seen.IsStreaming && seen.Timeline == 2);
    }

    [Fact]
    public async Task WAL_that_waits_for_the_archive_is_archived_before_the_rewind_removes_it()
    {
        const string archive =
            "    archive_mode: 'on'\n    archive_command: 'test -e DIRECTORY/open && cp %p DIRECTORY/archive/%f'";
        await using var old = await TestNode.PrimaryAsync("a", extra: archive);
        await using var next = await DivergeAsync(old);
        Directory.CreateDirectory(old["archive"]);
        var ready = Directory.EnumerateFiles(Path.Combine(old.Data, "pg_wal", "archive_status"), "*.ready")
            .Select(Path.GetFileNameWithoutExtension).ToList();
        await File.WriteAllTextAsync(old["open"], "", Cancellation);

        var rewound = await old.Server.RewindAsync(next.Member, old.Progress, Cancellation);

        Assert.True(rewound.Ok, rewound.Detail);
        Assert.NotEmpty(ready);
        Assert.All(ready, name => Assert.True(File.Exists(old[$"archive/{name}"]), name));
    }

    /// <summary>Both write; then the old primary crashes.</summary>
    /// <returns>The new primary.</returns>
    private static async Task<TestNode> DivergeAsync(TestNode old, int rows = 1000)
    {
        var next = await old.StandbyAsync("b");
        await old.ExecuteAsync("CREATE TABLE t (x int)");
        var target = (await old.ObserveAsync()).WalPosition;
        await next.UntilAsync(seen => seen.ReplayedLsn >= target);
        Assert.True((await next.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation)).Ok);
        await next.ExecuteAsync("INSERT INTO t VALUES (2)");
        await next.ExecuteAsync("SELECT pg_create_physical_replication_slot('a', true)");
        await old.ExecuteAsync($"INSERT INTO t SELECT g FROM generate_series(1, {rows}) g");
        await old.ExecuteAsync("SELECT pg_switch_wal()");
        await next.ExecuteAsync("CHECKPOINT");
        using var process = PidFd.TryOpen((await old.ObserveAsync()).PostmasterPid);
        process!.TrySignal(Signals.Kill);
        await old.UntilAsync(seen => seen.Server == ServerState.Stopped);
        return next;
    }
}
