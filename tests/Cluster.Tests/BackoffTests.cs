namespace Routing.Cluster.Tests;

public sealed class BackoffTests
{
    [Fact]
    public void Pauses_double_up_to_the_longest()
    {
        var backoff = new Backoff(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(2));

        Assert.Equal(
            [0, 50, 100, 200, 400, 800, 1600, 2000, 2000],
            Enumerable.Range(0, 9).Select(failures => (int)backoff.After(failures).TotalMilliseconds));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(60)]
    [InlineData(61)]
    [InlineData(62)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(int.MaxValue)]
    public void No_count_of_failures_makes_a_pause_longer_or_negative(int failures)
    {
        foreach (var longest in (TimeSpan[])[TimeSpan.FromSeconds(30), TimeSpan.MaxValue])
        {
            var pause = new Backoff(TimeSpan.FromSeconds(1), longest).After(failures);

            Assert.InRange(pause, TimeSpan.FromSeconds(1), longest);
        }
    }
}
