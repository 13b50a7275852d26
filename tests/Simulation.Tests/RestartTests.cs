using Routing.Cluster;
using Routing.Ha;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>Restarts that an operator asks for, in a cluster where nothing else happens.</summary>
public sealed class RestartTests
{
    [Theory]
    [InlineData(SynchronousMode.Off, 300)]
    [InlineData(SynchronousMode.Off, 0)]
    [InlineData(SynchronousMode.Priority, 300)]
    [InlineData(SynchronousMode.Quorum, 300)]
    public void Every_member_restarts_and_the_leader_stays(SynchronousMode mode, int primaryStartTimeout)
    {
        var cluster = Whole(new SimOptions { Mode = mode, PrimaryStartTimeout = primaryStartTimeout });
        var leader = cluster.Leader!;
        var term = cluster.Dcs.Snapshot.Leader!.Term;

        foreach (var node in cluster.Nodes)
        {
            var agent = (SimAgent)node.Agent!;
            agent.OrderRestart(RestartFilter.None);
            cluster.World.RunUntil(() => agent.LastRestart is not null, TimeSpan.FromSeconds(60));

            Assert.Equal(JobResult.Done, agent.LastRestart!.Value.Result);
            cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));
        }

        Assert.Equal((leader, term), (cluster.Leader, cluster.Dcs.Snapshot.Leader!.Term));
    }

    [Fact]
    public void A_planned_restart_happens_once_and_at_its_time()
    {
        var cluster = Whole(new SimOptions());
        var agent = (SimAgent)cluster.Leader!.Agent!;
        var pid = cluster.Leader.Server.Pid;

        agent.PlanRestart(TimeSpan.FromSeconds(10));
        cluster.World.RunFor(TimeSpan.FromSeconds(2));
        var published = cluster.Dcs.Snapshot.Members[cluster.Leader.Name].ScheduledRestart;
        cluster.World.RunFor(TimeSpan.FromSeconds(7));
        var before = cluster.Leader.Server.Pid;
        cluster.World.RunUntil(() => cluster.IsWhole && cluster.Leader!.Server.Pid != pid, TimeSpan.FromSeconds(60));
        var restarted = cluster.Leader!.Server.Pid;
        cluster.World.RunFor(TimeSpan.FromSeconds(30));

        Assert.NotNull(published);
        Assert.Equal(pid, before);
        Assert.Equal(restarted, cluster.Leader!.Server.Pid);
        Assert.Null(agent.Orders.Scheduled);
        Assert.Null(cluster.Dcs.Snapshot.Members[cluster.Leader.Name].ScheduledRestart);
    }

    private static SimCluster Whole(SimOptions options)
    {
        var cluster = new SimCluster(1, options);
        cluster.Nodes.ForEach(node => node.StartAgent());
        cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));
        cluster.World.RunFor(TimeSpan.FromSeconds(10));
        return cluster;
    }
}
