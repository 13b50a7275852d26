namespace Routing.Agent.Tests.Postgres;

/// <summary>What the agent sets comes into force, whatever the operator's own files and ALTER SYSTEM say.</summary>
[Trait("Category", "Integration")]
public sealed class OverruledParametersTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Synchronous_standbys_are_the_agents_as_long_as_the_mode_is_on()
    {
        var on = TestNode.Config("""{"synchronous_mode": true}""");
        await using var node = await TestNode.PrimaryAsync("a", on);
        await File.AppendAllTextAsync(Path.Combine(node.Data, "postgresql.base.conf"),
            "synchronous_standby_names = 'based'\n", Cancellation);
        var applied = await node.Server.ApplyConfigurationAsync(on, force: true, Cancellation);
        Assert.True(applied.Ok, applied.Detail);
        Assert.Equal("", (await node.ObserveAsync()).SynchronousStandbyNames);

        await node.ExecuteAsync("ALTER SYSTEM SET synchronous_standby_names = 'emergency'");
        await node.ExecuteAsync("ALTER SYSTEM SET work_mem = '7MB'");
        await node.ExecuteAsync("SELECT pg_reload_conf()");
        await node.UntilAsync(seen => seen.SynchronousStandbyNames == "emergency");

        await SetAsync("b");
        await SetAsync(null);
        Assert.Equal("", (await node.ObserveAsync()).SynchronousStandbyNames);
        var kept = await File.ReadAllTextAsync(Path.Combine(node.Data, "postgresql.auto.conf"), Cancellation);
        Assert.Contains("work_mem", kept, StringComparison.Ordinal);
        Assert.DoesNotContain("synchronous_standby_names", kept, StringComparison.Ordinal);

        var off = await node.Server.ApplyConfigurationAsync(TestNode.Config("{}"), force: false, Cancellation);
        Assert.True(off.Ok, off.Detail);
        await SetAsync(null);
        // What the operator's own file says is the operator's: nobody has to give it back once more.
        await node.UntilAsync(
            seen => seen is { SynchronousStandbyNames: "based", UserSynchronousStandbyNames: "based" });

        async Task SetAsync(string? names)
        {
            var set = await node.Server.SetSynchronousStandbyNamesAsync(names, Cancellation);
            Assert.True(set.Ok, set.Detail);
        }
    }
}
