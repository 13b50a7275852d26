using Routing.Agent.Postgres;
using Routing.Cluster;

namespace Routing.Agent.Tests.Postgres;

/// <summary>A changed configuration on a real PostgreSQL.</summary>
[Trait("Category", "Integration")]
public sealed class ConfigurationReloadTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

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
}
