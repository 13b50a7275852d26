using System.Collections.Concurrent;
using System.Diagnostics;
using Routing.Agent.Native;

namespace Routing.Agent.Tests.Native;

public sealed class KernelTimeTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);
    private static readonly KernelTime s_time = KernelTime.Shared;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(120)]
    public async Task A_delay_is_never_shorter_than_asked_for(int milliseconds)
    {
        var began = s_time.GetTimestamp();

        await Task.Delay(TimeSpan.FromMilliseconds(milliseconds), s_time, Cancellation)
            .WaitAsync(s_limit, Cancellation);

        Assert.True(s_time.GetElapsedTime(began) >= TimeSpan.FromMilliseconds(milliseconds));
    }

    [Fact]
    public async Task Each_timer_fires_at_its_own_moment_whatever_the_order_of_their_making()
    {
        var fired = new ConcurrentDictionary<int, TimeSpan>();
        var began = s_time.GetTimestamp();

        var timers = ((int[])[250, 50, 200, 100, 150]).Select(after => s_time.CreateTimer(
            _ => fired[after] = s_time.GetElapsedTime(began), null, TimeSpan.FromMilliseconds(after),
            Timeout.InfiniteTimeSpan)).ToList();

        await Eventually.TrueAsync(() => fired.Count == 5, "all fire");
        Assert.All(fired, one => Assert.True(one.Value >= TimeSpan.FromMilliseconds(one.Key)));
        timers.ForEach(timer => timer.Dispose());
    }

    [Fact]
    public async Task What_was_disposed_of_or_put_off_neither_fires_nor_wakes_anybody()
    {
        // A thread that was suspended may dispose of a timer too late: then nothing is said, and it begins anew.
        var (fired, wakeUps, longest) = await RoundAsync();
        for (var more = 4; more > 0 && longest >= TimeSpan.FromMilliseconds(900); more--)
        {
            (fired, wakeUps, longest) = await RoundAsync();
        }

        Assert.Equal(0, fired);
        Assert.InRange(wakeUps, 1, 5);   // our own delay, and what may have fallen due while the loop was held up

        static async Task<(int Fired, long WakeUps, TimeSpan Longest)> RoundAsync()
        {
            var fired = 0;
            var longest = TimeSpan.Zero;
            await Task.Delay(TimeSpan.FromMilliseconds(20), s_time, Cancellation);
            var before = s_time.WakeUps;

            for (var count = 0; count < 1000; count++)
            {
                var began = s_time.GetTimestamp();
                using (new CancellationTokenSource(TimeSpan.FromMilliseconds(900), s_time))
                using (s_time.CreateTimer(
                    _ => fired++, null, TimeSpan.FromMilliseconds(1000), Timeout.InfiniteTimeSpan))
                {
                    // disposed of at once
                }
                Took(began);
            }
            var last = s_time.GetTimestamp();
            using var later =
                s_time.CreateTimer(_ => fired++, null, TimeSpan.FromMilliseconds(1000), Timeout.InfiniteTimeSpan);
            Assert.True(later.Change(TimeSpan.FromMinutes(5), Timeout.InfiniteTimeSpan));
            Took(last);
            await Task.Delay(TimeSpan.FromMilliseconds(1300), s_time, Cancellation);   // past all their moments
            return (fired, s_time.WakeUps - before, longest);

            void Took(long began)
            {
                var elapsed = s_time.GetElapsedTime(began);
                longest = elapsed > longest ? elapsed : longest;
            }
        }
    }

    [Fact]
    public async Task A_sooner_one_is_not_kept_by_a_later_one()
    {
        using var late = s_time.CreateTimer(_ => { }, null, TimeSpan.FromMinutes(10), Timeout.InfiniteTimeSpan);
        var began = Stopwatch.GetTimestamp();

        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(30), s_time);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.Delay(s_limit, soon.Token));

        Assert.True(Stopwatch.GetElapsedTime(began) < s_limit / 2);
    }

    [Fact]
    public async Task A_period_goes_on_until_it_is_ended_and_a_change_begins_anew()
    {
        using var periodic = new PeriodicTimer(TimeSpan.FromMilliseconds(10), s_time);
        for (var count = 0; count < 5; count++)
        {
            Assert.True(await periodic.WaitForNextTickAsync(Cancellation));
        }
        var fired = new SemaphoreSlim(0);
        var timer = s_time.CreateTimer(_ => fired.Release(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        for (var count = 0; count < 3; count++)
        {
            Assert.True(timer.Change(TimeSpan.FromMilliseconds(5), Timeout.InfiniteTimeSpan));
            Assert.True(await fired.WaitAsync(s_limit, Cancellation));
        }

        timer.Dispose();

        Assert.False(timer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => s_time.CreateTimer(_ => { }, null, TimeSpan.FromSeconds(-2), TimeSpan.Zero));
    }

    [Fact]
    public async Task Whoever_disposes_of_a_timer_asynchronously_waits_for_its_callback()
    {
        using var entered = new SemaphoreSlim(0);
        using var go = new ManualResetEventSlim();
        var timer = s_time.CreateTimer(
            _ =>
            {
                entered.Release();
                go.Wait(s_limit, CancellationToken.None);
            },
            null, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        Assert.True(await entered.WaitAsync(s_limit, Cancellation));

        var disposed = timer.DisposeAsync().AsTask();
        var early = disposed.IsCompleted;
        go.Set();
        await disposed.WaitAsync(s_limit, Cancellation);

        Assert.False(early);
    }

    [Fact]
    public async Task Many_threads_set_and_unset_timers_and_each_that_stands_fires_once()
    {
        const int Threads = 8, Each = 2000;
        var fired = new int[Threads * Each];
        var keep = new ConcurrentBag<ITimer>();

        await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Run(
            () =>
            {
                var random = new Random(thread);
                for (var number = thread * Each; number < (thread + 1) * Each; number++)
                {
                    var mine = number;
                    var timer = s_time.CreateTimer(
                        _ => Interlocked.Increment(ref fired[mine]), null, TimeSpan.FromMilliseconds(
                            number % 2 == 0 ? 60_000 : random.Next(1, 300)), Timeout.InfiniteTimeSpan);
                    if (number % 2 == 0)
                    {
                        timer.Dispose();
                    }
                    else
                    {
                        keep.Add(timer);
                    }
                }
            },
            Cancellation)));

        await Eventually.TrueAsync(
            () => Enumerable.Range(0, fired.Length)
                .All(number => number % 2 == 0 || Volatile.Read(ref fired[number]) > 0), "all fire");
        Assert.All(Enumerable.Range(0, fired.Length), number => Assert.Equal(number % 2, fired[number]));
        foreach (var timer in keep)
        {
            timer.Dispose();
        }
    }
}
