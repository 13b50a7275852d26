using Xunit;
using static Routing.Simulation.Tests.Planted;

namespace Routing.Simulation.Tests;

/// <summary>Routers that hold their sessions while a leader is about to hand over.</summary>
public sealed class RouterTests
{
    [Fact]
    public void Sessions_that_were_held_are_released_again()
    {
        var cluster = new SimCluster(1, s_switching);

        Assert.Null(cluster.Run());
        Assert.All(cluster.Routers, router => Assert.True(router.Released > 0));
    }

    [Fact]
    public void A_router_that_forgets_terms_releases_a_session_to_a_lower_one() =>
        Finds("of the lower term", s_switching with { RouterForgetsTerms = true });

    [Fact]
    public void A_router_that_never_gives_up_holds_a_session_for_ever() => Finds(
        "beyond the grace and its hold time",
        s_switching with
        {
            RouterNeverGivesUp = true,
            Ttl = 30,
            LoopWait = 10,
            RetryTimeout = 10,
            Faults = [Fault.Switchover, Fault.KillNode, Fault.CrashInSwitchover],
            Storm = TimeSpan.FromSeconds(120),
        });

    private static readonly SimOptions s_switching = new()
    {
        Routers = 2,
        Faults = [Fault.Switchover],
        MeanPause = TimeSpan.FromSeconds(2),
    };
}
