using System.Diagnostics;

namespace Routing.Faults.Tests.Drills;

public sealed class PrimaryWatchTests
{
    [Fact]
    public void Only_the_time_that_reigns_of_different_nodes_share_counts()
    {
        var second = Stopwatch.Frequency;

        Assert.Equal(TimeSpan.Zero, PrimaryWatch.OverlapOf([("a", 0, 5 * second), ("b", 6 * second, 9 * second), ("a", 10 * second, 12 * second)]));
        Assert.Equal(TimeSpan.Zero, PrimaryWatch.OverlapOf([("a", 0, 5 * second), ("a", 4 * second, 9 * second)]));
        // A reign that one answer shows is no time.
        Assert.Equal(TimeSpan.Zero, PrimaryWatch.OverlapOf([("a", 0, 5 * second), ("b", 3 * second, 2 * second)]));

        Assert.Equal(TimeSpan.FromSeconds(2), PrimaryWatch.OverlapOf([("a", 0, 5 * second), ("b", 3 * second, 9 * second)]));
        Assert.Equal(TimeSpan.FromSeconds(1), PrimaryWatch.OverlapOf([("b", 3 * second, 4 * second), ("a", 0, 5 * second)]));
    }
}
