using System.Diagnostics;

namespace Routing.Faults.Tests.Drills;

public sealed class PrimaryWatchTests
{
    [Fact]
    public void Only_the_time_that_terms_of_different_nodes_share_counts()
    {
        var second = Stopwatch.Frequency;

        Assert.Equal(0, Overlap(("a", 0, 5), ("b", 6, 9), ("a", 10, 12)));
        Assert.Equal(0, Overlap(("a", 0, 5), ("a", 4, 9)));
        // A term that one answer shows is no time.
        Assert.Equal(0, Overlap(("a", 0, 5), ("b", 3, 2)));

        Assert.Equal(2, Overlap(("a", 0, 5), ("b", 3, 9)));
        Assert.Equal(1, Overlap(("b", 3, 4), ("a", 0, 5)));

        double Overlap(params (string Node, long From, long To)[] terms) => PrimaryWatch.OverlapOf(
            [.. terms.Select(term => (term.Node, term.From * second, term.To * second))]).TotalSeconds;
    }
}
