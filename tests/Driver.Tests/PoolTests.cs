using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Driver.Members;

namespace Routing.Driver.Tests;

/// <summary>The pools of members at moments that no server can be made to meet.</summary>
public sealed class PoolTests
{
    [Fact]
    public void A_pool_that_is_made_while_all_are_closed_is_closed_as_well()
    {
        MemberPools? pools = null;
        var factory = new MemberPoolFactory(
            "test", new RoutingOptions { ConnectionString = "Username=app;Database=app" }, _ => pools!.Dispose(),
            default!, NullLoggerFactory.Instance, TimeProvider.System);
        pools = new MemberPools(factory, new TypeChanges());

        Assert.Throws<ObjectDisposedException>(() => pools["a", new HostPort("127.0.0.1", 5432), PoolPurpose.Read]);
        Assert.All(pools.All, pool => Assert.True(pool.IsRetired));
        Assert.Single(pools.All);
    }

    [Fact]
    public void Attempts_that_fail_together_count_once()
    {
        var time = new HookedTime();
        var health = new MemberHealth(time);
        var second = false;
        time.Asked = () => second = health.Failed();

        var first = health.Failed();

        Assert.Equal((false, true), (first, second));
        Assert.True(health.IsOut);
    }

    /// <summary>Calls back when it is asked the first time.</summary>
    private sealed class HookedTime : TimeProvider
    {
        public Action? Asked { get; set; }

        public override long GetTimestamp()
        {
            var asked = Asked;
            Asked = null;
            asked?.Invoke();
            return base.GetTimestamp();
        }
    }
}
