using Routing.Agent.Native;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Tests.Postgres;

/// <summary>Divergence and rewinding on a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
public sealed class DataRewindTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null)]
    [InlineData("  config_dir: DIRECTORY/config")]
    [InlineData("  recovery_conf: {restore_command: 'false'}")]
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
        // A slot of the old history could skip changes of the new one: it is copied anew from the new primary.
        var slots = Directory.GetFileSystemEntries(Path.Combine(old.Data, "pg_replslot"));
        var after = await old.Server.CheckDivergenceAsync(next.Member, Cancellation);
        var started = await old.StartStandbyOfAsync(next);

        Assert.Equal(Divergence.Diverged, before.Divergence);
        Assert.True(rewound.Ok, rewound.Detail);
        Assert.Empty(slots);
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
