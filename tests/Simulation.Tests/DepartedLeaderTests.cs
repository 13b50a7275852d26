using Routing.Cluster;
using Routing.Ha;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>The leader's keys are gone, and it still accepts writes: nobody races before it was asked.</summary>
public sealed class DepartedLeaderTests
{
    /// <summary>The test itself is the weather.</summary>
    private static readonly Fault[] s_notQuiet = [Fault.CutFromDcs];
    private long _switchedOffAt;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]   // the standbys' agents are started anew meanwhile
    public void A_leader_that_was_cut_off_in_a_pause_is_the_only_primary_after_the_pause(bool restarts)
    {
        for (var seed = 1; seed <= 20; seed++)
        {
            var (cluster, leader) = CutOffInPause(seed, new SimOptions(), restarts);
            Assert.Null(cluster.Invariants.Violation);
            Assert.True(leader.Server.AcceptsWrites);

            Cut(leader, false);
            cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));

            Assert.Null(cluster.Invariants.Violation);
            Assert.True(cluster.IsWhole, cluster.Describe());
        }
    }

    [Fact]
    public void A_race_that_asks_the_present_members_alone_is_found_out() =>
        Finds(seed => CutOffInPause(seed, new SimOptions
    {
        Spoil = (o, _) => HaLoop.Decide(o with { Memory = o.Memory with { Members = KnownMembers.None } }),
    }).Cluster);

    [Fact]
    public void A_leader_that_died_in_a_pause_is_replaced_after_it()
    {
        var cluster = Formed(1, new SimOptions());
        var leader = cluster.Leader!;
        Pause(cluster, true);
        cluster.World.RunFor(TimeSpan.FromSeconds(3));
        leader.Kill();
        cluster.World.RunUntil(() => cluster.Dcs.Snapshot.Leader is null, TimeSpan.FromSeconds(30));
        Pause(cluster, false);

        cluster.World.RunUntil(() => cluster.Leader is not null, TimeSpan.FromSeconds(10));

        Assert.NotNull(cluster.Leader);
        Assert.Null(cluster.Invariants.Violation);
    }

    /// <summary>Some versions of etcd end a lease though it is renewed.</summary>
    [Fact]
    public void A_lease_that_ends_early_leaves_one_primary()
    {
        for (var seed = 1; seed <= 40; seed++)
        {
            var cluster = Formed(seed, new SimOptions { Ttl = 30, LoopWait = 10, RetryTimeout = 10 });
            for (var time = 0; time < 3; time++)
            {
                cluster.Dcs.Expire(cluster.Dcs.Snapshot.Leader!.LeaseId);
                cluster.World.RunFor(TimeSpan.FromSeconds(10));
                cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(60));
            }

            Assert.Null(cluster.Invariants.Violation);
            Assert.True(cluster.IsWhole, cluster.Describe());
        }
    }

    [Theory]
    [InlineData(true)]    // nobody can tell the leader
    [InlineData(false)]   // the first refusal ends its term
    public void A_consent_outlives_the_mode_that_it_was_given_in(bool isolated)
    {
        for (var seed = 1; seed <= 20; seed++)
        {
            var (cluster, leader) = FailsafeSwitchedOff(seed, isolated, null);

            Assert.Null(cluster.Invariants.Violation);
            Assert.NotEqual(leader, cluster.Leader);
        }
    }

    [Fact]
    public void A_refusal_ends_failsafe_mode_long_before_the_consent_would()
    {
        var (cluster, leader) = FailsafeSwitchedOff(1, isolated: false, null, untilAnotherLeads: false);

        cluster.World.RunUntil(() => !leader.Server.AcceptsWrites, TimeSpan.FromSeconds(30));

        // It asks at least every quarter of the ttl.
        Assert.False(leader.Server.AcceptsWrites);
        Assert.InRange(cluster.World.Now - _switchedOffAt, 0, TimeSpan.FromSeconds(11).Ticks);
    }

    [Fact]
    public void A_consent_that_ends_with_the_mode_is_found_out() => Finds(seed => FailsafeSwitchedOff(
        seed, isolated: true,
        (o, _) => HaLoop.Decide(o.Config.FailsafeMode ? o : o with { Failsafe = default })).Cluster);

    private static void Finds(Func<int, SimCluster> run)
    {
        var found = Enumerable.Range(1, 40).Select(seed => run(seed).Invariants.Violation).OfType<string>().ToList();

        Assert.Contains(found, violation => violation.Contains("two nodes accept writes", StringComparison.Ordinal)
            || violation.Contains("accepts writes although", StringComparison.Ordinal));
    }

    private static (SimCluster Cluster, SimNode Leader) CutOffInPause(
        int seed, SimOptions options, bool restarts = false)
    {
        var cluster = Formed(seed, options);
        var leader = cluster.Leader!;
        Pause(cluster, true);
        cluster.World.RunFor(TimeSpan.FromSeconds(3));
        Cut(leader, true);
        cluster.World.RunUntil(() => cluster.Dcs.Snapshot.Leader is null, TimeSpan.FromSeconds(30));
        if (restarts)
        {
            cluster.Nodes.Where(node => node != leader).ToList().ForEach(node => node.KillAgent("an upgrade"));
            cluster.Nodes.ForEach(node => node.StartAgent());
            cluster.World.RunFor(TimeSpan.FromSeconds(3));
        }
        Pause(cluster, false);
        cluster.World.RunFor(TimeSpan.FromSeconds(30));
        return (cluster, leader);
    }

    private (SimCluster Cluster, SimNode Leader) FailsafeSwitchedOff(
        int seed, bool isolated, Func<Observation, Decision, Decision>? spoil, bool untilAnotherLeads = true)
    {
        var cluster = Formed(
            seed, new SimOptions { Ttl = 30, LoopWait = 10, RetryTimeout = 10, Failsafe = true, Spoil = spoil });
        var leader = cluster.Leader!;
        cluster.World.RunFor(TimeSpan.FromSeconds(15));
        Cut(leader, true);
        cluster.World.RunUntil(() => cluster.Dcs.Snapshot.Leader is null, TimeSpan.FromSeconds(60));
        cluster.World.RunFor(TimeSpan.FromSeconds(10));
        Assert.True(leader.Server.AcceptsWrites);
        if (isolated)
        {
            cluster.Network.Isolate(leader.Name);
        }
        Configure(cluster,
            text => text.Replace("\"failsafe_mode\":true", "\"failsafe_mode\":false", StringComparison.Ordinal));
        _switchedOffAt = cluster.World.Now;
        if (untilAnotherLeads)
        {
            cluster.World.RunUntil(() => cluster.Leader is { } next && next != leader, TimeSpan.FromSeconds(60));
        }
        return (cluster, leader);
    }

    private static SimCluster Formed(int seed, SimOptions options)
    {
        var cluster = new SimCluster(seed, options with { Faults = s_notQuiet });
        cluster.Nodes.ForEach(node => node.StartAgent());
        cluster.World.RunUntil(() => cluster.IsWhole, TimeSpan.FromSeconds(90));
        Assert.True(cluster.IsWhole, cluster.Describe());
        cluster.World.RunFor(TimeSpan.FromSeconds(5));
        return cluster;
    }

    private static void Cut(SimNode node, bool isCut)
    {
        node.DcsLink = isCut ? DcsLink.Cut : DcsLink.Open;
        node.ApplyLinks();
    }

    private static void Pause(SimCluster cluster, bool paused) => Configure(cluster, text => paused
        ? text.TrimEnd()[..^1] + ",\"pause\":true}"
        : text.Replace(",\"pause\":true", "", StringComparison.Ordinal));

    private static void Configure(SimCluster cluster, Func<string, string> change)
    {
        var before = cluster.Dcs.Snapshot.Config!.Raw.GetRawText();
        var text = change(before);
        Assert.NotEqual(before, text);
        cluster.Dcs.Put(ClusterKeys.Config, text);
    }
}
