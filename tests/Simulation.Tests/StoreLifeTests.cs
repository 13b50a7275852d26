using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Ha;
using Routing.TestKit;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>The store is set up anew, or restored from a backup, under a running cluster.</summary>
public sealed class StoreLifeTests
{
    private const int Seeds = 25;

    [Fact]
    public void A_leader_stays_when_the_store_is_set_up_anew() => Each(cluster =>
    {
        var leader = cluster.Leader!;

        cluster.Dcs.Rebuild();

        StaysAsItWas(cluster, leader);
    });

    [Fact]
    public void A_leader_stays_when_the_store_is_restored_to_its_own_term() => Each(cluster =>
    {
        var leader = cluster.Leader!;
        var backup = cluster.Dcs.Backup();
        cluster.World.RunFor(TimeSpan.FromSeconds(7));

        cluster.Dcs.Restore(backup);

        StaysAsItWas(cluster, leader);
    });

    [Fact]
    public void A_leader_stays_when_the_store_is_restored_to_the_term_of_another() => Each(cluster =>
    {
        var (backup, leader) = AfterAChange(cluster);

        cluster.Dcs.Restore(backup);

        StaysAsItWas(cluster, leader);
    });

    [Theory]
    [InlineData(SynchronousMode.Off)]
    [InlineData(SynchronousMode.Priority)]
    [InlineData(SynchronousMode.Quorum)]
    public void When_leader_and_store_are_lost_together_another_leads_and_lacks_nothing_promised(
        SynchronousMode mode) => Each(
        cluster =>
        {
            var (backup, leader) = AfterAChange(cluster);
            leader.Kill();

            cluster.Dcs.Restore(cluster.Seed % 2 == 0 ? backup : new DcsBackup(1, [], []));

            Until(cluster, () => cluster.Leader is { } now && now != leader, 40, "another member leads");
        },
        new SimOptions { Mode = mode, Nodes = 4, Faults = [Fault.KillNode] });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_leader_that_is_cut_off_from_the_new_store_is_waited_for(bool anew) => Each(cluster =>
    {
        var (backup, leader) = AfterAChange(cluster);
        Cut(leader, true);

        cluster.Dcs.Restore(anew ? new DcsBackup(1, [], []) : backup);

        Until(cluster, () => cluster.Leader is { } now && now != leader, 40, "another member leads");
        Cut(leader, false);
        Until(cluster, () => cluster.IsWhole, 60, "the earlier leader is back");
    });

    [Fact]
    public void A_race_that_does_not_wait_for_the_earlier_lease_makes_two_primaries()
    {
        var options = new SimOptions
        {
            Spoil = (o, decision) => decision.Code == "new_life" && !o.Local.IsPrimary
                ? decision with { Actions = [new HaAction.AcquireLeader()] }
                : decision,
            Ttl = 20,
            Faults = [Fault.CutFromDcs],
        };
        Assert.Contains(Enumerable.Range(1, Seeds), seed =>
        {
            var cluster = Whole(seed, options);
            Cut(cluster.Leader!, true);
            cluster.Dcs.Rebuild();
            cluster.World.RunUntil(() => cluster.Invariants.Violation is not null, TimeSpan.FromSeconds(20));
            return cluster.Invariants.Violation?.Contains("accept", StringComparison.Ordinal) == true;
        });
    }

    [Fact]
    public void A_request_that_came_back_with_the_store_is_not_obeyed() => Each(cluster =>
    {
        var leader = cluster.Leader!;
        var other = cluster.Nodes.First(node => node != leader);
        var backup = cluster.Dcs.Backup();
        var key = new RawKey(
            ClusterKeys.Failover, KeyWriter.Failover(leader.Name, other.Name, null), backup.Revision,
            backup.Revision, 0);
        cluster.World.RunFor(TimeSpan.FromSeconds(5));

        cluster.Dcs.Restore(backup with { Keys = backup.Keys.Add(key) });

        StaysAsItWas(cluster, leader);
    });

    private static void StaysAsItWas(SimCluster cluster, SimNode leader)
    {
        var life = cluster.Dcs.Life;
        var commits = cluster.Invariants.Acknowledged;
        for (var step = 0; step < 200; step++)
        {
            cluster.World.RunFor(TimeSpan.FromMilliseconds(100));
            Assert.True(leader.Server.AcceptsWrites,
                $"seed {cluster.Seed}: {leader.Name} stopped: {cluster.Describe()}\n{Diary(cluster)}");
        }
        Assert.True(cluster.Leader == leader && cluster.IsWhole,
            $"seed {cluster.Seed}: {cluster.Describe()}\n{Diary(cluster)}");
        Assert.Equal(life, cluster.Dcs.Snapshot.Leader!.Term.Life);
        Assert.Equal(cluster.Nodes.Count, cluster.Dcs.Snapshot.Members.Count);
        Assert.True(cluster.Invariants.Acknowledged > commits);
        Assert.NotNull(cluster.Dcs.Snapshot.Initialize.SystemId);
        Assert.NotNull(cluster.Dcs.Snapshot.Config);
        Assert.Null(cluster.Dcs.Snapshot.Failover);
    }

    /// <summary>A backup of the time when another member led.</summary>
    private static (DcsBackup Backup, SimNode Leader) AfterAChange(SimCluster cluster)
    {
        var first = cluster.Leader!;
        cluster.World.RunFor(TimeSpan.FromSeconds(3));
        var backup = cluster.Dcs.Backup();
        var sync = cluster.Dcs.Snapshot.Sync;
        var candidate = cluster.Nodes.First(
            node => node != first && (cluster.Options.Mode == SynchronousMode.Off || sync.Includes(node.Name)));
        for (var attempt = 0; attempt < 5 && cluster.Leader == first; attempt++)
        {
            // A candidate that lags for a moment is refused.
            cluster.Dcs.Put(ClusterKeys.Failover, KeyWriter.Failover(first.Name, candidate.Name, null));
            cluster.World.RunUntil(() => cluster.IsWhole && cluster.Leader != first, TimeSpan.FromSeconds(15));
        }
        Until(cluster, () => cluster.IsWhole && cluster.Leader != first, 30, "another member leads");
        cluster.World.RunFor(TimeSpan.FromSeconds(5));
        return (backup, cluster.Leader!);
    }

    private static void Cut(SimNode node, bool isCut)
    {
        node.DcsLink = isCut ? DcsLink.Cut : DcsLink.Open;
        node.ApplyLinks();
    }

    private static void Until(SimCluster cluster, Func<bool> condition, int seconds, string what)
    {
        cluster.World.RunUntil(() => condition() || cluster.Invariants.Violation is not null,
            TimeSpan.FromSeconds(seconds));
        Assert.True(
            cluster.Invariants.Violation is null && condition(),
            $"seed {cluster.Seed}: not within {seconds} s: {what}: {cluster.Invariants.Violation} "
                + $"{cluster.Describe()}\n{Diary(cluster)}");
    }

    private static SimCluster Whole(int seed, SimOptions options, bool keepDiary = false)
    {
        var cluster = new SimCluster(seed, options, keepDiary: keepDiary);
        cluster.Nodes.ForEach(node => node.StartAgent());
        cluster.BeginClients();
        Until(cluster, () => cluster.IsWhole, 60, "the cluster is whole");
        cluster.World.RunFor(TimeSpan.FromSeconds(10));
        return cluster;
    }

    private static void Each(Action<SimCluster> test, SimOptions? options = null)
    {
        for (var seed = 1; seed <= Seeds; seed++)
        {
            var cluster =
                Whole(seed, options ?? new SimOptions { Ttl = 6, Faults = [Fault.CutFromDcs] }, keepDiary: true);
            test(cluster);
            Assert.True(cluster.Invariants.Violation is null,
                $"seed {seed}: {cluster.Invariants.Violation}\n{Diary(cluster)}");
        }
    }

    private static string Diary(SimCluster cluster) => string.Join('\n', cluster.World.Diary?.TakeLast(60) ?? []);
}
