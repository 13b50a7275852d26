using Routing.Agent.Postgres;
using Routing.Ha;

[assembly: AssemblyFixture(typeof(Routing.TestKit.OrdinaryUser))]

namespace Routing.Agent.Tests.Postgres;

/// <summary>The verbs on a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
[Collection("PostgreSQL")]
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
    public async Task A_clone_streams_through_its_slot_and_is_promoted()
    {
        await using var primary = await TestNode.PrimaryAsync("a");
        await using var standby = await primary.StandbyAsync("b");

        await primary.ExecuteAsync("CREATE TABLE t AS SELECT 1 AS x");
        await WaitUntilReplayedAsync(primary, standby);
        var seen = await standby.ObserveAsync();
        var slots = (await primary.ObserveAsync()).Slots;
        await primary.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
        var promoted = await standby.Server.PromoteAsync(TimeSpan.FromSeconds(20), Cancellation);

        Assert.Equal((primary.Address, "b"), (seen.Following!.Address, seen.Following.SlotName));
        Assert.True(Assert.Single(slots, slot => slot.Name == "b").Active);
        Assert.True(promoted.Ok, promoted.Detail);
        var after = await standby.ObserveAsync();
        Assert.Equal((true, 2u), (after.IsPrimary, after.Timeline));
        Assert.Equal(1u, Assert.Single(after.History).Timeline);
        Assert.Equal("1", await standby.ValueAsync("SELECT x FROM t"));
    }

    private static async Task WaitUntilReplayedAsync(TestNode primary, TestNode standby)
    {
        var target = (await primary.ObserveAsync()).WalPosition;
        await standby.UntilAsync(seen => seen.ReplayedLsn >= target);
    }
}
