using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>
/// The topology from agents' REST: the answer that knows most counts, and one that answers is enough.
/// </summary>
public sealed class RestTests
{
    [Fact]
    public async Task Members_are_found_through_one_another_and_the_highest_timeline_wins()
    {
        using var first = new PretendAgent();
        using var second = new PretendAgent();
        first.Document = second.Document = Document(first, second, leader: "a", timeline: 5);
        await using var source = Build(first);
        await WaitUntil.TrueAsync(() => source.Topology.Leader == "a");

        // the first one is cut off, and still says what it knew
        second.Document = Document(first, second, leader: "b", timeline: 6);
        await WaitUntil.TrueAsync(() => source.Topology is { Leader: "b", Term: 6 });
        first.Dispose();
        await WaitUntil.TrueAsync(() => source.Topology is { Leader: "b", IsLive: true });

        Assert.Equal(2, source.Topology.Members.Length);
    }

    [Fact]
    public async Task Without_an_answer_the_last_one_stays_and_is_marked()
    {
        using var agent = new PretendAgent();
        agent.Document = Document(agent, agent, leader: "a", timeline: 5);
        await using var source = Build(agent);
        await WaitUntil.TrueAsync(() => source.Topology.Leader == "a");

        agent.Document = "out of order";
        await WaitUntil.TrueAsync(() => !source.Topology.IsLive);

        Assert.Equal("a", source.Topology.Leader);
        agent.Document = Document(agent, agent, leader: "a", timeline: 5);
        await WaitUntil.TrueAsync(() => source.Topology.IsLive);
    }

    private static RoutingDataSource Build(PretendAgent agent) =>
        RoutingDataSource.Create(
            $"Cluster=pay;Topology=rest;Rest=127.0.0.1:{agent.Port};Rest Interval=0.1;Database=d;Username=u");

    private static string Document(PretendAgent first, PretendAgent second, string leader, int timeline)
    {
        return $$"""{"members":[{{One(first, "a")}},{{One(second, "b")}}],"scope":"pay"}""";

        string One(PretendAgent agent, string name) =>
            agent.Member(name, name == leader ? "leader" : "replica", name == leader ? "running" : "streaming",
                timeline);
    }
}
