using Microsoft.Extensions.Time.Testing;
using Routing.Proxy.Host;

namespace Routing.Proxy.Tests.Host;

public sealed class CalmCollectorTests
{
    private const long Mebibyte = 1024 * 1024;

    [Fact]
    public void It_collects_once_after_a_burst_and_not_within_one()
    {
        var time = new FakeTimeProvider();
        var (allocated, collections) = (0L, 0);
        using var collector = new CalmCollector(time, () => allocated, () => collections++);

        int AfterASecondWith(long bytes)
        {
            allocated += bytes;
            time.Advance(TimeSpan.FromSeconds(1));
            return collections;
        }

        Assert.Equal(0, AfterASecondWith(3 * Mebibyte));
        Assert.Equal(0, AfterASecondWith(0));              // calm, but not worth it
        Assert.Equal(0, AfterASecondWith(3 * Mebibyte));   // worth it, but not calm
        Assert.Equal(1, AfterASecondWith(1024));
        Assert.Equal(1, AfterASecondWith(1024));
    }
}
