using Routing.Agent.Native;

namespace Routing.Agent.Tests.Postgres;

/// <summary>A changed configuration comes into force, be it at the second try.</summary>
[Trait("Category", "Integration")]
public sealed class ReloadTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_comes_into_force_also_where_it_can_not_be_kept_for_a_later_start()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        var copy = Path.Combine(node.Data, "patroni.dynamic.json");
        Directory.CreateDirectory(copy);

        var applied = await node.Server.ApplyConfigurationAsync(
            TestNode.Config("""{"postgresql": {"parameters": {"work_mem": "7MB"}}}"""), force: false, Cancellation);

        Assert.True(applied.Ok, applied.Detail);
        Assert.Equal("7MB", await node.ValueAsync("SELECT current_setting('work_mem')"));
        Assert.True(Directory.Exists(copy));
    }

    [Fact]
    public async Task What_a_silent_server_was_not_told_it_is_told_when_it_answers_again()
    {
        await using var node = await TestNode.PrimaryAsync("a");
        var postmaster = (await node.ObserveAsync()).PostmasterPid;
        var changed = TestNode.Config("""{"postgresql": {"parameters": {"work_mem": "7MB"}}}""");

        Signal(Signals.Stop);
        // the files are written; nobody can be asked
        var silent = await node.Server.ApplyConfigurationAsync(changed, force: false, Cancellation);
        Signal(Signals.Continue);
        var again = await node.Server.ApplyConfigurationAsync(changed, force: false, Cancellation);
        var third = await node.Server.ApplyConfigurationAsync(changed, force: false, Cancellation);

        Assert.False(silent.Ok, silent.Detail);
        Assert.True(again.Ok, again.Detail);
        Assert.Equal("7MB", await node.ValueAsync("SELECT current_setting('work_mem')"));
        Assert.Equal("nothing changed", third.Detail);

        void Signal(int signal) => Fence.RealPostgres.Signal(signal, postmaster);
    }
}
