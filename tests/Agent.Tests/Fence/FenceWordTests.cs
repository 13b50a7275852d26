using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Fence;

namespace Routing.Agent.Tests.Fence;

public sealed class FenceWordTests
{
    [Fact]
    public void An_order_holds_its_postmaster_and_its_deadline_never_later_than_given() =>
        Gen.Select(Gen.Int[1, (1 << 22) - 1], Gen.Long[2_000_000, 60L * 365 * 86400 * 1_000_000_000])
            .Sample((pid, nanoseconds) =>
        {
            var word = FenceWord.Armed(pid, new BootInstant(nanoseconds));

            Assert.True(word.IsArmed);
            Assert.False(word.IsFiring);
            Assert.Equal(pid, word.PostmasterPid);
            Assert.InRange(nanoseconds - word.Deadline.Nanoseconds, 0, 999_999);
        });

    [Fact]
    public void A_deadline_at_the_boot_or_before_is_armed_and_long_past()
    {
        var word = FenceWord.Armed(1, new BootInstant(-5));

        Assert.True(word.IsArmed);
        Assert.False(word.IsFiring);
        Assert.True(word.Deadline < BootInstant.Now);
        Assert.False(FenceWord.Disarmed.IsArmed);
        Assert.True(FenceWord.Firing(7) is { IsArmed: true, IsFiring: true, PostmasterPid: 7 });
    }

    [Fact]
    public void A_timestamp_of_the_system_clock_becomes_the_same_instant_of_the_boot_clock()
    {
        // Suspended between its two readings the clock errs to the early side, so the best of ten tells.
        var earliest = Enumerable.Range(0, 10).Min(_ =>
        {
            var clock = new BootClock(TimeProvider.System);
            var before = BootInstant.Now;

            var instant = clock.At(TimeProvider.System.GetTimestamp());

            Assert.True(instant.Nanoseconds <= BootInstant.Now.Nanoseconds + 1_000_000);
            return before - instant;
        });

        Assert.True(earliest <= TimeSpan.FromMilliseconds(1), $"{earliest} too early");
    }

    [Fact]
    public void A_suspension_after_the_timestamp_does_not_move_the_deadline()
    {
        // A clock that stands still while the boot clock goes on is what a suspension looks like.
        var time = new FakeTimeProvider();
        var clock = new BootClock(time);
        var deadline = time.GetTimestamp() + time.TimestampFrequency;
        var first = clock.At(deadline);
        SpinWait.SpinUntil(() => BootInstant.Now - first > TimeSpan.FromMilliseconds(-900));

        var second = clock.At(deadline);

        Assert.Equal(first, second);
    }
}
