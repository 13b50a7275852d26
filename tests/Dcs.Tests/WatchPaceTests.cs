using Microsoft.Extensions.Time.Testing;

namespace Routing.Dcs.Tests;

public sealed class WatchPaceTests
{
    [Theory]
    [InlineData(3, 1, 2.5)]
    [InlineData(5, 1, 2.5)]
    [InlineData(12, 2, 3.75)]
    [InlineData(30, 5, 7.5)]
    [InlineData(300, 5, 7.5)]
    public void It_follows_the_ttl_within_bounds(double ttl, double interval, double silence)
    {
        var pace = new WatchPace { Interval = WatchPace.For(TimeSpan.FromSeconds(ttl)) };

        Assert.Equal(TimeSpan.FromSeconds(interval), pace.Interval);
        Assert.Equal(TimeSpan.FromSeconds(silence), pace.SilenceLimit);
    }

    [Theory]
    [InlineData(0, 5)]
    [InlineData(3, 2)]
    [InlineData(4.9, 5.1)]     // fired early: the multiple at 5 s is over
    [InlineData(5, 5)]
    [InlineData(12.5, 2.5)]
    public void What_has_the_same_pace_falls_together(double passed, double left)
    {
        var time = new FakeTimeProvider();
        var start = time.GetTimestamp();
        time.Advance(TimeSpan.FromSeconds(5)
            - TimeSpan.FromTicks(time.GetElapsedTime(0, start).Ticks % TimeSpan.FromSeconds(5).Ticks));
        time.Advance(TimeSpan.FromSeconds(passed));

        Assert.Equal(left, WatchPace.UntilNext(TimeSpan.FromSeconds(5), time).TotalSeconds, 0.001);
    }
}
