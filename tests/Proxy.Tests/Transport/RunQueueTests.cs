using Microsoft.Extensions.Logging.Abstractions;
using Routing.Proxy.Transport;
using Routing.Proxy.Transport.Loops;

namespace Routing.Proxy.Tests.Transport;

/// <summary>What loops do that favor throughput.</summary>
public sealed class RunQueueTests
{
    [Theory]
    [InlineData(0, 0, 0)]               // nothing ran
    [InlineData(4_900_000, 100, 0)]     // a free processor most of the time
    [InlineData(5_000_000, 100, 25)]    // 50 µs for each time: half of that
    [InlineData(10_000_000, 800, 0)]    // 6 µs: not worth a timer
    [InlineData(16_000_000, 9, 200)]    // 889 µs: no message waits longer than this
    public void Messages_wait_half_as_long_as_the_loop_does(long waited, long times, int microseconds) =>
        Assert.Equal(microseconds, RunQueue.WaitFor(TimeSpan.FromMilliseconds(20), waited, times));

    [Theory]
    [InlineData("7 123456789012 42\n", 123456789012, 42)]
    [InlineData("0 0 0\n", 0, 0)]
    [InlineData("", 0, 0)]
    [InlineData("7 x 42\n", 0, 0)]
    public void The_kernels_account_is_read(string line, long nanoseconds, long times) =>
        Assert.Equal((nanoseconds, times), RunQueue.Read(System.Text.Encoding.ASCII.GetBytes(line)));

    [Theory]
    [InlineData(false, "0")]
    [InlineData(true, "3")]   // SCHED_BATCH
    public async Task A_loop_interrupts_others_unless_it_favors_throughput(bool isThrifty, string policy)
    {
        var loop =
            new EpollLoop(0, isThrifty ? Favor.Throughput : Favor.Latency, TimeProvider.System, NullLogger.Instance);
        var stat = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);

        loop.Post(state => ((TaskCompletionSource<string>)state!).SetResult(File.ReadAllText("/proc/thread-self/stat")),
            stat);
        var fields = (await stat.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken)).Split(
            ')')[1].Split(' ');
        await loop.StopAsync();
        loop.Dispose();

        Assert.Equal(policy, fields[39]);   // the 41st of man 5 proc
    }
}
