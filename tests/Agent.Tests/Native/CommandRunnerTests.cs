using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Native;

namespace Routing.Agent.Tests.Native;

public sealed class CommandRunnerTests
{
    private readonly CommandRunner _runner = new(TimeProvider.System);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Output_comes_line_by_line_and_apart_by_stream()
    {
        var lines = new List<CommandLine>();

        var result = await _runner.RunAsync(
            new Command("sh", "-c", "echo one; echo two >&2; printf 'a\\rb\\rlast'; exit 3"), lines.Add, Cancelled);

        Assert.Equal(new CommandResult(new ProcessExit(3, null), TimedOut: false), result);
        Assert.Equal(["one", "a", "b", "last"], from line in lines where !line.IsError select line.Text);
        Assert.Equal(["two"], from line in lines where line.IsError select line.Text);
    }

    [Fact]
    public async Task Much_output_on_both_streams_neither_blocks_nor_is_lost()
    {
        var result = await _runner.CaptureAsync(
            new Command("sh", "-c", "seq 1 60000 & seq 1 60000 >&2; wait"), Cancelled);

        Assert.True(result.IsSuccess);
        Assert.Equal(60000, result.Output.Split('\n').Length);
        Assert.Equal(60000, result.Error.Split('\n').Length);
    }

    [Fact]
    public async Task A_command_over_its_time_is_ended_with_its_whole_group()
    {
        var pids = new List<int>();
        var time = new FakeTimeProvider();
        var limit = TimeSpan.FromMinutes(1);

        // Its time is over once it has told its child.
        var result = await new CommandRunner(time).RunAsync(
            new Command("sh", "-c", "sleep 60 & echo $!; wait") { Timeout = limit },
            line =>
            {
                pids.Add(int.Parse(line.Text));
                time.Advance(limit);
            },
            Cancelled);

        Assert.True(result.TimedOut);
        Assert.False(result.IsSuccess);
        var child = Assert.Single(pids);
        await Eventually.TrueAsync(() => ProcessStat.Read(child) is not { IsAlive: true }, "the child has ended");
    }

    [Fact]
    public async Task A_command_that_ignores_SIGTERM_is_killed_after_its_grace()
    {
        var time = new FakeTimeProvider();
        var limit = TimeSpan.FromMinutes(1);

        // Its time is over once it ignores the signal.
        var result = await new CommandRunner(time).RunAsync(
            new Command("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
            {
                Timeout = limit,
                Grace = TimeSpan.FromMilliseconds(100),
            },
            _ => time.Advance(limit),
            Cancelled);

        Assert.True(result.TimedOut);
        Assert.Equal(Signals.Kill, result.Exit.Signal);
    }

    [Fact]
    public async Task Cancelling_ends_the_command_before_the_call_returns()
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        var pid = 0;

        var run = _runner.RunAsync(
            new Command("sh", "-c", "echo $$; exec sleep 60"),
            line =>
            {
                pid = int.Parse(line.Text);
                cancel.Cancel();
            },
            cancel.Token);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
        Assert.Null(ProcessStat.Read(pid));
    }

    [Fact]
    public async Task A_daemon_left_behind_does_not_keep_the_command_running()
    {
        var pid = 0;

        var result = await _runner.RunAsync(
            new Command("sh", "-c", "setsid sleep 60 & echo $!"), line => pid = int.Parse(line.Text), Cancelled)
            .WaitAsync(TimeSpan.FromSeconds(10), Cancelled);

        Assert.True(result.IsSuccess);
        using var daemon = PidFd.TryOpen(pid);
        daemon?.TrySignal(Signals.Kill);
    }

    [Fact]
    public async Task An_error_in_the_callback_ends_the_command_and_reaches_the_caller()
    {
        var pid = 0;

        var run = _runner.RunAsync(
            new Command("sh", "-c", "echo $$; exec sleep 60"),
            line =>
            {
                pid = int.Parse(line.Text);
                throw new InvalidOperationException("no");
            },
            Cancelled);

        await Assert.ThrowsAsync<InvalidOperationException>(() => run);
        Assert.Null(ProcessStat.Read(pid));
    }
}
