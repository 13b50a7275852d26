using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Files;
using Routing.Cluster;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>
/// The end of the WAL is read from its files: what a standby has confirmed, whatever it has replayed since.
/// </summary>
[Trait("Category", "Integration")]
public sealed class WalEndTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_end_is_the_one_that_the_server_tells()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        string[] load =
        [
            "CREATE TABLE t (x int, y text)",
            "INSERT INTO t SELECT g, repeat('y', 500) FROM generate_series(1, 3000) g",
            "SELECT pg_switch_wal()",
            "SELECT pg_logical_emit_message(false, 'm', repeat('long ', 100000))",
            "INSERT INTO t SELECT g, repeat('z', g) FROM generate_series(1, 3000) g",
            "SELECT pg_switch_wal(), pg_switch_wal()",
            "SELECT pg_logical_emit_message(false, 'm', repeat('m', 8150))",
        ];
        foreach (var step in load)
        {
            await node.ExecuteAsync(step);
            await SameAsync();
        }
        for (var length = 8000; length < 8200; length += 7)
        {
            // The record ends at each place of a page, also within eight bytes of its end.
            await node.ExecuteAsync($"SELECT pg_logical_emit_message(true, 'm', repeat('m', {length}))");
            await SameAsync();
        }
        await SegmentTellsWhenAsync(node);
        var before = await TellAsync();
        await node.Server.StopAsync(new StopPlan(StopMode.Immediate), Cancellation);

        var end = WalEnd.Read(node.Data, Cancellation);
        // the server may have written a record of its own meanwhile
        Assert.Equal((1u, true), (end.Timeline, end.Position >= before));
        Assert.Equal((end.Position, end.Timeline), await WhoeverIsWokenFindsAsync());

        async Task<(Lsn Position, uint Timeline)?> WhoeverIsWokenFindsAsync()
        {
            var found = new TaskCompletionSource<(Lsn, uint)?>(TaskCreationOptions.RunContinuationsAsynchronously);
            WalEndWatch? watch = null;
            using (watch = new WalEndWatch(
                node.Data, () => found.TrySetResult(watch!.Of(1, 1)), TimeProvider.System, NullLogger.Instance))
            {
                watch.Of(1, 1);
                return await found.Task.WaitAsync(TimeSpan.FromSeconds(60), Cancellation);
            }
        }

        async Task<Lsn> TellAsync() => Lsn.Parse(await node.ValueAsync("SELECT pg_current_wal_flush_lsn()::text"));

        async Task SameAsync()
        {
            var (told, read) = (Lsn.Zero, Lsn.Zero);
            await WaitUntil.TrueAsync(
                async () => (told = await TellAsync()) == (read = WalEnd.Read(node.Data, Cancellation).Position),
                TimeSpan.FromSeconds(10), $"{told} is {read}");
        }
    }

    /// <summary>The first transaction that ends in a segment tells its time, behind a record from before.</summary>
    private static async Task SegmentTellsWhenAsync(TestNode node)
    {
        await node.ExecuteAsync("SELECT pg_switch_wal()");
        await node.ExecuteAsync("SELECT pg_logical_emit_message(false, 'm', repeat('x', 17000000))");
        var before = DateTimeOffset.UtcNow;
        await node.ExecuteAsync("INSERT INTO t VALUES (0)");
        var after = DateTimeOffset.UtcNow;
        var control = PgControl.Read(node.Data);
        var at = Lsn.Parse(await node.ValueAsync("SELECT pg_current_wal_lsn()::text")).Value;

        using var reader = new WalReader(
            WalFiles.OfTimeline(node.Data, control.SegmentSize, 1), ulong.Parse(control.File.SystemId));
        var moment = reader.FirstMomentIn(new Lsn(at - (at % control.SegmentSize)));

        Assert.NotNull(moment);
        Assert.InRange(moment.Value, before.AddSeconds(-1), after.AddSeconds(1));
    }

    [Fact]
    public async Task A_restarted_standby_tells_what_it_has_received_however_late_it_replays_it()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var standby =
            await primary.StandbyAsync("b", extra: "  recovery_conf: {recovery_min_apply_delay: 1h}");
        await primary.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 50)");
        var written = await EndOfARecordAsync(primary);
        await standby.UntilAsync(seen => seen.ReceivedLsn >= written);
        await primary.Server.StopAsync(new StopPlan(StopMode.Immediate), Cancellation);
        await standby.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);

        await standby.StartStandbyOfAsync(primary);
        var first = await standby.ObserveAsync();
        var seen = await standby.UntilAsync(seen => seen is { Server: ServerState.Running, IsWalEndUnknown: false });

        Assert.True(first.IsWalEndUnknown || first.WalPosition >= written, $"{first.WalPosition} of {written}");
        Assert.True(seen.ReplayedLsn < written, "it has replayed everything, so the test shows nothing");
        Assert.Equal((true, true), (seen.WalPosition >= written, seen.ReceivedLsn >= written));
        var promoted = await standby.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation);
        Assert.True(promoted.Ok, promoted.Detail);
        Assert.Equal("50", await standby.ValueAsync("SELECT count(*) FROM t"));
    }

    // The position that a primary has flushed may lie within a record: the WAL writer flushes whole pages.
    private static async Task<Lsn> EndOfARecordAsync(TestNode node) =>
        Lsn.Parse(await node.ValueAsync("SELECT pg_logical_emit_message(true, 'test', 'the last record')::text"));

    [Fact]
    public async Task The_end_goes_on_into_the_timeline_that_the_standby_followed()
    {
        await using var first = await TestNode.PrimaryAsync("a");
        await using var second = await first.StandbyAsync("b");
        await using var third = await first.StandbyAsync("c");
        await first.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Assert.True((await second.Server.PromoteAsync(3, TimeSpan.FromSeconds(20), Cancellation)).Ok);
        await second.ExecuteAsync("SELECT pg_create_physical_replication_slot('c', true)");
        await third.Server.FollowAsync(new Upstream(second.Address, "c"), Cancellation);
        await second.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1000)");
        var written = await EndOfARecordAsync(second);
        await third.UntilAsync(seen => seen.ReceivedLsn >= written);
        await third.Server.StopAsync(new StopPlan(StopMode.Immediate), Cancellation);

        var end = WalEnd.Read(third.Data, Cancellation);

        Assert.Equal((4u, true), (end.Timeline, end.Position >= written));
    }

    [Fact]
    public async Task What_left_the_history_of_the_next_timeline_is_not_counted()
    {
        await using var old = await TestNode.PrimaryAsync("a");
        await using var next = await old.StandbyAsync("b");
        await old.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Assert.True((await next.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation)).Ok);
        var forked = (await next.ObserveAsync()).History[^1].SwitchPoint;

        Assert.Equal(forked, new WalEnd(new Lsn(forked.Value + 4096), 1).Within(next.Data, 2));
        Assert.Equal(new Lsn(forked.Value - 8), new WalEnd(new Lsn(forked.Value - 8), 1).Within(next.Data, 2));
        Assert.Equal(new Lsn(5), new WalEnd(new Lsn(5), 2).Within(next.Data, 2));
    }
}
