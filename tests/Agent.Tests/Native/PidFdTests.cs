using System.Diagnostics;
using Routing.Agent.Native;

namespace Routing.Agent.Tests.Native;

public sealed class PidFdTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_exit_of_a_child_is_told_within_100_ms_with_its_code()
    {
        using var process = Spawner.Start(new SpawnRequest("sh", ["-c", "exit 7"]));

        var exit = await process.WaitForExitAsync(Cancelled).WaitAsync(TimeSpan.FromSeconds(5), Cancelled);

        Assert.Equal(new ProcessExit(7, null), exit);
        Assert.Null(ProcessStat.Read(process.Pid));   // collected, no zombie
    }

    [Fact]
    public async Task A_kill_is_told_within_100_ms_with_its_signal()
    {
        // Any thread may be suspended, so the fastest of up to twenty shows it.
        var bound = TimeSpan.FromMilliseconds(100);
        var fastest = TimeSpan.MaxValue;
        for (var i = 0; i < 20 && fastest > bound; i++)
        {
            using var process = Spawner.Start(new SpawnRequest("sleep", ["60"]));
            var exited = process.Exited;

            var killed = Stopwatch.GetTimestamp();
            Assert.True(process.TrySignal(Signals.Kill));
            var exit = await exited.WaitAsync(TimeSpan.FromSeconds(5), Cancelled);
            var told = Stopwatch.GetElapsedTime(killed);

            Assert.Equal(new ProcessExit(null, Signals.Kill), exit);
            Assert.True(process.HasExited);
            Assert.False(process.TrySignal(Signals.Kill));
            fastest = told < fastest ? told : fastest;
        }

        Assert.InRange(fastest, TimeSpan.Zero, bound);
    }

    [Fact]
    public async Task The_exit_of_a_process_that_is_not_our_child_is_told_too()
    {
        using var parent = Spawner.Start(new SpawnRequest("sh", ["-c", "sleep 60 & wait"]));
        var childStat = await Eventually.ValueAsync(
            () => ProcessStat.ChildrenOf(parent.Pid).Cast<ProcessStat?>().FirstOrDefault());
        using var child = PidFd.TryOpen(childStat.Pid, childStat.StartTicks)!;
        var exited = child.Exited;

        child.TrySignal(Signals.Kill);
        var exit = await exited.WaitAsync(TimeSpan.FromSeconds(5), Cancelled);

        Assert.Equal(default, exit);
        await parent.WaitForExitAsync(Cancelled);
    }

    [Fact]
    public async Task A_number_that_belongs_to_another_process_by_now_is_not_opened()
    {
        using var process = Spawner.Start(new SpawnRequest("sleep", ["60"]));
        var start = ProcessStat.Read(process.Pid)!.Value.StartTicks;

        Assert.Null(PidFd.TryOpen(process.Pid, start + 1));
        using (var same = PidFd.TryOpen(process.Pid, start))
        {
            Assert.NotNull(same);
        }

        process.TrySignal(Signals.Kill);
        await process.WaitForExitAsync(Cancelled);
        Assert.Null(PidFd.TryOpen(process.Pid, start));
    }

    /// <summary>So looks, for a moment, a killed program whose other threads have not ended yet.</summary>
    [Fact]
    public async Task A_process_whose_main_thread_has_ended_is_not_opened()
    {
        // 60 is the number of exit on x86-64: it ends the calling thread alone.
        const string Program =
            "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); "
            + "ctypes.CDLL(None).syscall(60, 0)";
        using var process = Spawner.Start(new SpawnRequest("python3", ["-c", Program]));
        var start = ProcessStat.Read(process.Pid)!.Value.StartTicks;
        await Eventually.TrueAsync(
            () => ProcessStat.Read(process.Pid) is not { IsAlive: true }, "the main thread has ended");

        Assert.False(process.HasExited);
        Assert.Null(PidFd.TryOpen(process.Pid, start));

        process.TrySignal(Signals.Kill);
        await process.WaitForExitAsync(Cancelled);
    }

    [Fact]
    public async Task Letting_go_of_a_process_does_not_end_it()
    {
        int pid;
        Task<ProcessExit> exited;
        using (var process = Spawner.Start(new SpawnRequest("sleep", ["60"])))
        {
            pid = process.Pid;
            exited = process.Exited;
        }

        await Assert.ThrowsAsync<TaskCanceledException>(() => exited);
        Assert.True(ProcessStat.Read(pid) is { IsAlive: true });

        using var again = PidFd.TryOpen(pid)!;
        again.TrySignal(Signals.Kill);
        await again.WaitForExitAsync(Cancelled);
    }
}
