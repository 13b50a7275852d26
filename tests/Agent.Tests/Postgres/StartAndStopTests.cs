using Routing.Agent.Native;
using Routing.Agent.Postgres;
using Routing.Cluster;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Postgres;

/// <summary>Starts, stops and callbacks of a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
public sealed class StartAndStopTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

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
            await WaitUntil.TrueAsync(() => node.WakeUps > wakeUps);
            var noticed = TimeProvider.System.GetElapsedTime(start);
            var down = await node.ObserveAsync();
            var started = await node.StartPrimaryAsync();

            Assert.Equal(ServerState.Stopped, down.Server);
            Assert.Equal(StartOutcome.Running, started);
            fastest = noticed < fastest ? noticed : fastest;
        }

        BusyMachine.AssertWithin(bound, fastest);
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
    public async Task A_standby_starts_with_limits_as_high_as_its_primarys()
    {
        await using var primary = await TestNode.PrimaryAsync("a");

        await using var standby = await primary.StandbyAsync(
            "b", TestNode.Config("""{"postgresql": {"parameters": {"max_connections": 30}}}"""));

        Assert.Equal("100", await standby.ValueAsync("SHOW max_connections"));
        Assert.Equal(new ParameterChange("100", "30"),
            (await standby.ObserveAsync()).PendingRestart["max_connections"]);
    }

    /// <summary>
    /// PostgreSQL refuses a standby on WAL of this level, and a primary that lost its lease has no other way back.
    /// </summary>
    [Fact]
    public async Task A_primary_with_wal_level_minimal_starts_again_as_a_standby()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        await node.ExecuteAsync("CREATE TABLE kept (how text)");
        uint timeline = 1;
        foreach (var how in new[] { StopMode.Fast, StopMode.Immediate })
        {
            await node.Server.StopAsync(new StopPlan(StopMode.Fast), Cancellation);
            await StartByHandAsync(node, "-c wal_level=minimal -c max_wal_senders=0");
            Assert.Equal("minimal", await node.ValueAsync("SHOW wal_level"));
            await node.ExecuteAsync($"INSERT INTO kept VALUES ('{how}')");
            await node.Server.StopAsync(new StopPlan(how), Cancellation);

            var outcome = await node.Server.StartAsync(
                new StartPlan(AsPrimary: false, null, TimeSpan.FromSeconds(30)), Cancellation);

            Assert.True(outcome == StartOutcome.Running, $"{how}: {node.Server.StartProblem}");
            Assert.Equal("1", await node.ValueAsync($"SELECT count(*) FROM kept WHERE how = '{how}'"));
            Assert.True((await node.Server.PromoteAsync(timeline++, TimeSpan.FromSeconds(30), Cancellation)).Ok);
        }

        Assert.Equal("replica", await node.ValueAsync("SHOW wal_level"));
        Assert.Equal("2", await node.ValueAsync("SELECT count(*) FROM kept"));
    }

    [Fact]
    public async Task A_callback_ends_the_one_before_it()
    {
        await using var node = new TestNode(
            "a", extra: "  callbacks: {on_role_change: 'sh -c \"echo $1-$2-$3 >> DIRECTORY/called; sleep 60\" x'}");
        var made = await node.Server.BootstrapAsync(node.Progress, null, Cancellation);
        var called = node["called"];

        node.Server.RunCallback("on_role_change", Role.Promoted);
        await WaitUntil.TrueAsync(() => File.Exists(called) && File.ReadAllLines(called).Length == 1);
        node.Server.RunCallback("on_role_change", Role.Replica);
        await WaitUntil.TrueAsync(() => File.ReadAllLines(called).Length == 2);

        Assert.True(made.Ok, made.Detail);
        Assert.Equal(["on_role_change-primary-demo", "on_role_change-replica-demo"], File.ReadAllLines(called));
    }

    private static async Task StartByHandAsync(TestNode node, string options)
    {
        var started = await new CommandRunner(TimeProvider.System).CaptureAsync(
            new Command(Path.Combine(TestNode.Binaries, "pg_ctl"),
                ["start", "-w", "-D", node.Data, "-l", node["by-hand.log"], "-o", options]), Cancellation);
        Assert.True(started.IsSuccess, started.Output + started.Error);
    }

    private static void Kill(LocalPostgres seen)
    {
        using var process = PidFd.TryOpen(seen.PostmasterPid);
        process!.TrySignal(Signals.Kill);
    }
}
