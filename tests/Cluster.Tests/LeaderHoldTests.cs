using Routing.Cluster.HostChoice;

namespace Routing.Cluster.Tests;

/// <summary>What routers make of announced switchovers.</summary>
public sealed class LeaderHoldTests
{
    private static readonly Term s_term = new(50);

    [Fact]
    public void It_holds_from_when_it_is_seen_first_and_a_second_sight_changes_nothing()
    {
        var first = After(null, View("1"), now: 100);

        Assert.Equal(("1", "a", 102L, false), (first!.Id, first.Leader, first.GraceEnds, first.IsOver));
        Assert.Same(first, After(first, View("1"), now: 101));
    }

    [Fact]
    public void It_goes_on_while_nobody_leads_and_is_over_when_somebody_does()
    {
        var first = After(null, View("1"), now: 100);

        Assert.Same(first, After(first, View("1") with { Leader = null }, now: 101));
        Assert.True(After(first, View(null), now: 101)!.IsOver);          // it was called off
        Assert.True(After(first, View("1", leader: "b", term: 60), now: 101)!.IsOver);
    }

    [Fact]
    public void One_that_was_seen_before_never_holds_again()
    {
        var second = After(After(null, View("1"), now: 100), View("2"), now: 101);
        var over = After(second, View(null), now: 102);

        Assert.Equal("2", second!.Id);
        Assert.Same(second, After(second, View("1"), now: 102));          // from an earlier time
        Assert.Same(over, After(over, View("1"), now: 103));
        Assert.Same(over, After(over, View("2"), now: 103));
        Assert.Equal("3", After(over, View("3"), now: 103)!.Id);
    }

    [Fact]
    public void What_a_leader_of_a_lower_term_announces_is_nothing() =>
        Assert.Null(LeaderHold.After(null, View("1"), new Term(51), _ => 0));

    private static LeaderHold? After(LeaderHold? known, ClusterSnapshot view, long now) =>
        LeaderHold.After(known, view, s_term, grace => now + (long)grace.TotalSeconds);

    private static ClusterSnapshot View(string? intent, string leader = "a", long term = 50) =>
        ClusterSnapshot.Empty with
        {
            Leader = new LeaderKey(leader, new Term(term), term, 1),
            Members = ClusterSnapshot.Empty.Members.Add(leader, new Member
            {
                Name = leader, Role = Role.Primary, State = PostgresState.Running,
                Address = new HostPort(leader, 5432),
            }),
            Switchover = intent is null
                ? null
                : new SwitchoverIntent(intent, "a", null, 50, TimeSpan.FromSeconds(2)),
        };
}
