using Routing.Cluster;
using Routing.Ha.Synchronous;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>The store was set up anew or restored: what a member may believe, and what it must not forget.</summary>
public sealed class StoreLifeTests
{
    private static readonly LeaseView s_holdsEarlier =
        new(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));

    [Fact]
    public void A_standby_does_not_race_before_the_earlier_lease_has_ended()
    {
        var o = Standby() with { Peers = Every.Answers(200, isPrimary: false) };

        var first = HaLoop.Decide(o);
        var early = HaLoop.Decide(o with { Memory = first.Memory, Now = Every.Now + TimeSpan.FromSeconds(29) });
        var late = HaLoop.Decide(o with { Memory = early.Memory, Now = Every.Now + TimeSpan.FromSeconds(30) });

        Assert.Equal(("new_life", "new_life"), (first.Code, early.Code));
        Assert.NotEqual("new_life", late.Code);
    }

    [Fact]
    public void The_longer_of_the_two_ttls_is_waited_for()
    {
        var first = HaLoop.Decide(Standby() with
        {
            Memory = Before(leader: "b") with { LastTtl = TimeSpan.FromSeconds(100) },
        });

        Assert.Equal(Every.Now + TimeSpan.FromSeconds(100), first.Memory.EarlierLeaseUntil);
    }

    [Fact]
    public void Once_the_earlier_leader_has_carried_its_key_over_nobody_else_can_believe()
    {
        var first = HaLoop.Decide(Standby());
        var carried = Standby();
        carried = carried with
        {
            Memory = first.Memory,
            Cluster = carried.Cluster! with { Leader = new LeaderKey("b", new Term(7, 1), 7, 1) },
        };

        Assert.Null(HaLoop.Decide(carried).Memory.EarlierLeaseUntil);
    }

    [Fact]
    public void A_returned_key_that_names_this_member_is_deleted()
    {
        var o = Standby();
        o = o with { Cluster = o.Cluster! with { Returned = new LeaderKey("a", new Term(40, 1), 40, 1) } };

        var decision = HaLoop.Decide(o);

        Assert.Equal("returned_key", decision.Code);
        Assert.IsType<HaAction.ReleaseLeader>(Assert.Single(decision.Actions));
    }

    [Fact]
    public void A_leader_writes_no_other_key_before_its_own_stands_in_the_new_life()
    {
        var decision = HaLoop.Decide(
            InNewLife(Every.Of(Every.Server(ServerState.Running, isPrimary: true), null, s_holdsEarlier)) with
        {
            Memory = Before(leader: "a"),
        });

        Assert.Equal("new_life", decision.Code);
        Assert.Empty(decision.Actions);
    }

    [Fact]
    public void A_request_that_came_back_is_dropped()
    {
        var o = InNewLife(Every.Of(
            Every.Server(ServerState.Running, isPrimary: true), "a",
            s_holdsEarlier with { Term = new Term(60, 1) }, request: new FailoverRequest("a", "b", null, 5)));

        var decision = HaLoop.Decide(o with { Memory = Before("a") with { Life = 1 } });

        Assert.Equal("request_refused", decision.Code);
        Assert.Equal(new HaAction.ClearFailover(5), Assert.Single(decision.Actions));
    }

    [Fact]
    public void What_was_to_be_written_in_the_earlier_life_is_not_written_again()
    {
        var wrote = SyncMemory.Empty with { Wrote = new SyncState("a", SyncState.None.Standbys.Add("b"), 0, 0) };

        var decision =
            HaLoop.Decide(Standby() with { Memory = Before("b") with { Sync = wrote, Request = (70, Every.Now) } });

        Assert.Null(decision.Memory.Sync!.Wrote);
        Assert.Null(decision.Memory.Request);
    }

    [Fact]
    public void A_bootstrap_that_the_store_lost_sight_of_is_put_aside()
    {
        var o = InNewLife(Every.Of(Every.Server(ServerState.Running, isPrimary: true), null, default));

        var decision = HaLoop.Decide(
            o with { Memory = new LoopMemory { Life = 0, InitializeRevision = 7, BootstrapDone = true } });

        Assert.Equal("bootstrap_failed", decision.Code);
        Assert.IsType<HaAction.AbandonBootstrap>(Assert.Single(decision.Actions));
    }

    [Fact]
    public void A_term_of_a_later_life_is_newer_than_all_of_an_earlier_one()
    {
        Assert.True(new Term(3, 1) > new Term(80));
        Assert.True(new Term(80) < new Term(3, 1) && new Term(4, 1) >= new Term(3, 1));
    }

    [Fact]
    public void A_store_that_lost_the_synchronous_state_does_not_make_everybody_a_candidate()
    {
        var before = ClusterSnapshot.Empty with
        {
            Revision = 90,
            Sync = new SyncState("b", SyncState.None.Standbys.Add("c"), 0, 60),
            Status = LeaderStatus.None with { Optime = new Lsn(500) },
            Initialize = new InitializeKey("7000000000000000001"),
            RoutingKeys = ClusterSnapshot.Empty.RoutingKeys.Add(ClusterKeys.Timeline, "9"),
            Members =
                ClusterSnapshot.Empty.Members.Add("a", new Member { Name = "a" }).Add("b", new Member { Name = "b" }),
        };
        var now = ClusterSnapshot.Empty with
        {
            Revision = 5, Life = new StoreLife(1, 5), Leader = new LeaderKey("c", new Term(3, 1), 3, 1),
        };

        var seen = EarlierLife.Complete(now, before, "a", withMembers: true);

        Assert.Equal(("b", 0L), (seen.Sync.Leader, seen.Sync.ModRevision));
        Assert.Equal((500UL, 9U, "7000000000000000001"),
            (seen.Status.Optime.Value, seen.UsedTimeline, seen.Initialize.SystemId));
        Assert.Equal((null, "c"), (seen.Leader?.Holder, seen.Returned?.Holder));
        Assert.Equal(["b"], seen.Members.Keys);
        Assert.Empty(EarlierLife.Complete(now, before, "a", withMembers: false).Members);
    }

    [Fact]
    public void With_a_proven_leader_the_new_life_counts_and_only_the_synchronous_state_waits_for_its_key()
    {
        var before = ClusterSnapshot.Empty with
        {
            Revision = 90, Sync = new SyncState("b", SyncState.None.Standbys.Add("c"), 0, 60),
            Status = LeaderStatus.None with { Optime = new Lsn(500) },
        };
        var now = ClusterSnapshot.Empty with
        {
            Revision = 8, Life = new StoreLife(1, 5), Leader = new LeaderKey("b", new Term(7, 1), 7, 1),
        };
        var written = now with { Sync = new SyncState("b", SyncState.None.Standbys.Add("a"), 0, 8) };

        var seen = EarlierLife.Complete(now, before, "a", withMembers: true);

        Assert.Equal(("b", Lsn.Zero, "b"), (seen.Leader?.Holder, seen.Status.Optime, seen.Sync.Leader));
        Assert.Equal(written.Sync, EarlierLife.Complete(written, before, "a", withMembers: true).Sync);
    }

    private static LoopMemory Before(string? leader) => new()
    {
        Life = 0, LastLeader = leader, LastTtl = TimeSpan.FromSeconds(30), DivergenceTerm = new Term(50),
    };

    private static Observation InNewLife(Observation o) =>
        o with { Cluster = o.Cluster! with { Revision = 10, Life = new StoreLife(1, 5) } };

    private static Observation Standby() => InNewLife(
        Every.Of(Every.Server(ServerState.Running, isPrimary: false, isStreaming: true), null, default))
            with { Memory = Before("b") };
}
