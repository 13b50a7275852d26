using System.Diagnostics;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>Processes that neither run nor end.</summary>
[Collection(SharedCluster.Name)]
public sealed class FrozenProcessTests(SynchronousCluster fixture)
{
    [Fact]
    public async Task The_primary_of_a_frozen_agent_is_fenced_before_another_leads_and_nothing_is_lost()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var judge = await Judge.StartAsync(cluster, leader);

        leader.SignalAgent(ProcessSignal.Stop);
        var next = await cluster.LeaderAsync(not: leader);
        await judge[next].MoreAsync(50);
        var fenced = leader.PostmasterPid is null;
        leader.SignalAgent(ProcessSignal.Continue);

        Assert.True(fenced, "the fence has not stopped the old primary");
        Assert.Equal(next, await cluster.HealthyAsync());
        await judge.OnePrimaryAndNothingLostAsync(next);
    }

    [Fact]
    public async Task A_short_freeze_of_the_agent_changes_nothing()
    {
        for (var round = 0; round < 3; round++)
        {
            var (cluster, leader) = await fixture.TakeAsync();
            var postmaster = leader.PostmasterPid;
            await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);

            var began = Stopwatch.GetTimestamp();
            leader.SignalAgent(ProcessSignal.Stop);
            // the fault itself: a quarter of the lease
            await Task.Delay(TimeSpan.FromSeconds(1.5), TestContext.Current.CancellationToken);
            leader.SignalAgent(ProcessSignal.Continue);
            if (Stopwatch.GetElapsedTime(began) > cluster.Ttl * 0.4)
            {
                continue;   // we were held up ourselves: that freeze was not short
            }
            await judge[leader].MoreAsync(1000);

            Assert.Equal(leader, await cluster.HealthyAsync());
            Assert.Equal(postmaster, leader.PostmasterPid);
            Assert.Empty(judge[leader].Errors);
            await judge.OnePrimaryAndNothingLostAsync(leader);
            return;
        }
        Assert.Skip("Three times the freeze took longer than it was meant to.");
    }

    [Fact]
    public async Task A_frozen_agent_of_a_replica_troubles_nobody()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var replica = cluster.ReplicasOf(leader)[0];
        await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);

        replica.SignalAgent(ProcessSignal.Stop);
        await cluster.UntilAsync(
            async () => await cluster.Keys.GetAsync($"members/{replica.Name}") is null,
            "the member key of the frozen one ends");
        await judge[leader].MoreAsync(100);
        replica.SignalAgent(ProcessSignal.Continue);

        Assert.Equal(leader, await cluster.HealthyAsync());
        Assert.Empty(judge[leader].Errors);
        await judge.OnePrimaryAndNothingLostAsync(leader);
    }

    [Fact]
    public async Task A_frozen_PostgreSQL_of_the_primary_leads_to_one_primary_in_the_end()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var judge = await Judge.StartAsync(cluster, leader);

        using (leader.FreezePostgres())
        {
            await Task.Delay(TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken);   // the fault itself
        }
        var now = await cluster.HealthyAsync();
        await judge[now].MoreAsync(50);

        await judge.OnePrimaryAndNothingLostAsync(now);
    }

    /// <summary>
    /// The request is made first, so that the demotion has begun when etcd falls silent; each fence is killed as soon
    /// as it lives.
    /// </summary>
    [Fact]
    [Trait("Runs", "Last")]
    public async Task A_demotion_that_hangs_in_a_script_is_overtaken_before_the_lease_ends_though_no_fence_lives()
    {
        await using var cluster = await TestCluster.StartAsync(new()
        {
            Nodes = 2,
            Ttl = 15,
            Configure = static (_, config) => config["postgresql"]!["before_stop"] = "sleep 600",
        });
        var leader = await cluster.HealthyAsync();
        var postmaster = leader.PostmasterPid;
        await leader.SendAsync("POST", "/switchover", new JsonObject { ["leader"] = leader.Name });
        await cluster.UntilAsync(() => leader.CountInLog("Job: demoting: started") > 0, "the demotion has begun");

        cluster.Etcd.Freeze();
        var silent = Stopwatch.GetTimestamp();
        await cluster.UntilAsync(
            () =>
            {
                if (leader.FencePid is { } fence)
                {
                    OrdinaryProcess.Send(fence, ProcessSignal.Kill);
                }
                return leader.PostmasterPid != postmaster;
            },
            "the primary is stopped");
        var took = Stopwatch.GetElapsedTime(silent);
        cluster.Etcd.Thaw();

        Assert.True(took < cluster.Ttl, $"it took {took}{cluster.Report()}");
        Assert.Equal(0, leader.CountInLog("The fence stopped the primary"));
        TestContext.Current.SendDiagnosticMessage(
            "stopped {0:F2} s before the lease ended", (cluster.Ttl - took).TotalSeconds);
    }

    [Fact]
    public async Task A_killed_fence_is_replaced_and_the_new_one_guards()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var judge = await Judge.StartAsync(cluster, leader, Writer.LongPatience);
        var before = leader.FencePid!.Value;

        OrdinaryProcess.Send(before, ProcessSignal.Kill);
        await cluster.UntilAsync(() => leader.FencePid is { } now && now != before, "a new fence runs");
        await judge[leader].MoreAsync(50);
        Assert.Empty(judge[leader].Errors);
        await leader.KillAgentAsync();
        var next = await cluster.LeaderAsync(not: leader);
        await judge[next].MoreAsync(50);
        leader.Start();

        Assert.Equal(next, await cluster.HealthyAsync());
        await judge.OnePrimaryAndNothingLostAsync(next);
    }
}
