using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Verbs;
using Routing.Ha;

namespace Routing.Agent.Tests.Postgres;

/// <summary>Promotion and a change of the upstream on a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
public sealed class PromoteAndFollowTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

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
    public async Task A_timeline_that_no_look_has_met_is_no_divergence()
    {
        await using var first = await TestNode.PrimaryAsync("a");
        await using var second = await first.StandbyAsync("b");
        await using var third = await first.StandbyAsync("c");
        await WaitUntilReplayedAsync(first, third);
        await first.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        Assert.True((await second.Server.PromoteAsync(1, TimeSpan.FromSeconds(20), Cancellation)).Ok);
        await second.ExecuteAsync("SELECT pg_create_physical_replication_slot('c', true)");
        // It goes on to timeline 2 and loses its connection while no agent looks.
        Assert.True((await third.Server.FollowAsync(new Upstream(second.Address, "c"), Cancellation)).Ok);
        await second.ExecuteAsync("CREATE TABLE t AS SELECT 1 AS x");
        await TestKit.WaitUntil.TrueAsync(
            async () => await third.ValueAsync("SELECT to_regclass('t') IS NOT NULL") == "True",
            TimeSpan.FromSeconds(60), "the table has arrived");
        await third.ExecuteAsync("ALTER SYSTEM SET primary_conninfo = ''");
        await third.ExecuteAsync("SELECT pg_reload_conf()");
        await TestKit.WaitUntil.TrueAsync(
            async () => await third.ValueAsync("SELECT count(*) FROM pg_stat_wal_receiver") == "0",
            TimeSpan.FromSeconds(60), "nothing streams");

        var checkedSo = await third.Server.CheckDivergenceAsync(second.Member, Cancellation);

        Assert.Equal((Divergence.None, "is on the primary's timeline 2"), (checkedSo.Divergence, checkedSo.Detail));
    }

    private static async Task WaitUntilReplayedAsync(TestNode primary, TestNode standby)
    {
        var target = (await primary.ObserveAsync()).WalPosition;
        await standby.UntilAsync(seen => seen.ReplayedLsn >= target);
    }
}
