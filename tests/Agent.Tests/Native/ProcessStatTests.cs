using Routing.Agent.Native;

namespace Routing.Agent.Tests.Native;

public sealed class ProcessStatTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public void A_name_with_brackets_and_spaces_does_not_confuse_the_fields()
    {
        var line = "42 (a) b (c)) T 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9\n"u8;

        var stat = ProcessStat.Parse(42, line);

        Assert.Equal(new ProcessStat(42, 'T', 7, 123456), stat);
        Assert.True(stat!.Value.IsFrozen);
    }

    [Fact]
    public void A_truncated_line_is_no_process()
    {
        Assert.Null(ProcessStat.Parse(1, "1 (init"u8));
        Assert.Null(ProcessStat.Parse(1, "1 (init) S 0 1 1"u8));
        Assert.Null(ProcessStat.Parse(1, []));
    }

    [Fact]
    public async Task A_process_shows_its_parent_its_state_and_its_start_by_the_wall_clock()
    {
        using var process = Spawner.Start(new SpawnRequest("sleep", ["60"]));
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

        var stat = ProcessStat.Read(process.Pid)!.Value;
        Assert.Equal(Environment.ProcessId, stat.ParentPid);
        Assert.InRange(stat.StartEpochSeconds, now - 3, now + 3);

        process.TrySignal(Signals.Stop);
        await Eventually.TrueAsync(() => ProcessStat.Read(process.Pid) is { IsFrozen: true }, "stopped");
        process.TrySignal(Signals.Kill);
        await process.WaitForExitAsync(Cancelled);
        Assert.Null(ProcessStat.Read(process.Pid));
    }

    [Fact]
    public async Task Children_are_found_by_their_parent_even_in_sessions_of_their_own()
    {
        using var parent = Spawner.Start(new SpawnRequest("sh", ["-c", "sleep 60 & setsid sleep 60 & wait"]));

        await Eventually.TrueAsync(() => ProcessStat.ChildrenOf(parent.Pid).Count == 2, "two children");

        var children = ProcessStat.ChildrenOf(parent.Pid);
        parent.TrySignal(Signals.Kill);
        await parent.WaitForExitAsync(Cancelled);
        foreach (var child in children)
        {
            using var hold = PidFd.TryOpen(child.Pid, child.StartTicks);
            Assert.NotNull(hold);
            hold.TrySignal(Signals.Kill);
        }
    }
}
