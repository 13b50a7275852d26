using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>
/// A new cluster: from the empty initialize key to the first leader, whatever stands in the DCS already.
/// </summary>
public sealed class BootstrapTests
{
    private const string Own = "7000000000000000001";

    [Fact]
    public void The_new_cluster_gets_its_keys_and_its_leader() => Assert.Equal(
        [new HaAction.WriteInitialize(Own, 40), new HaAction.WriteConfig(), new HaAction.AcquireLeader()],
        HaLoop.Decide(Made(Empty(40), config: false)).Actions);

    [Fact]
    public void A_configuration_that_is_there_is_used() => Assert.Equal(
        [new HaAction.WriteInitialize(Own, 40), new HaAction.AcquireLeader()],
        HaLoop.Decide(Made(Empty(40), config: true)).Actions);

    /// <summary>
    /// Empty and on the lease first: a creation that names the data, and that arrives after they were put aside, would
    /// leave a scope in which nobody can lead.
    /// </summary>
    [Fact]
    public void An_initialize_key_that_went_with_its_lease_is_taken_anew_before_it_names_the_data()
    {
        var o = Made(default, config: true);

        Assert.Equal(new HaAction.RaceInitialize(), Assert.Single(HaLoop.Decide(o).Actions));
    }

    [Fact]
    public void The_key_that_was_taken_anew_is_the_own_although_the_answer_was_lost()
    {
        var o = Made(Empty(60) with { LeaseId = 1 }, config: true);

        var found = HaLoop.Decide(o with { Memory = o.Memory with { AskedForInitialize = true } });

        Assert.Equal(60, found.Memory.InitializeRevision);
        Assert.Contains(new HaAction.WriteInitialize(Own, 60), HaLoop.Decide(o with { Memory = found.Memory }).Actions);
    }

    [Fact]
    public void What_is_written_already_is_not_written_again() => Assert.Equal(
        [new HaAction.AcquireLeader()],
        HaLoop.Decide(Made(new InitializeKey(Own) { ModRevision = 41 }, config: true)).Actions);

    [Theory]
    [InlineData("", 60)]
    [InlineData("7000000000000000002", 60)]
    public void A_cluster_that_another_member_makes_or_has_made_is_left_to_it(string value, long revision)
    {
        var first = HaLoop.Decide(Made(new InitializeKey(value) { ModRevision = revision }, config: true));
        var next = HaLoop.Decide(
            Made(new InitializeKey(value) { ModRevision = revision }, config: true) with { Memory = first.Memory });

        Assert.Equal(("bootstrap_failed", 0), (first.Code, first.Actions.Length));
        Assert.Equal(new HaAction.AbandonBootstrap(), Assert.Single(next.Actions));
    }

    [Fact]
    public void A_bootstrap_that_lost_the_scope_to_another_member_is_cancelled()
    {
        var o = Made(Empty(60), config: true) with
        {
            Job = new JobView(JobKind.Bootstrap, Every.Now, "started"),
            Memory = new LoopMemory { InitializeRevision = 40 },
        };

        Assert.Equal(new HaAction.CancelJob(), Assert.Single(HaLoop.Decide(o).Actions));
        Assert.Empty(HaLoop.Decide(o with { Cluster = o.Cluster! with { Initialize = Empty(40) } }).Actions);
        Assert.Empty(HaLoop.Decide(o with { Cluster = o.Cluster! with { Initialize = default } }).Actions);
    }

    /// <summary>
    /// The key was created and the answer was lost: without this everybody waits for a member that does not know.
    /// </summary>
    [Fact]
    public void An_empty_initialize_key_on_the_own_lease_is_the_own()
    {
        var o = Every.Of(new LocalPostgres { Data = DataDirectory.Empty }, null, default);
        o = o with { Cluster = o.Cluster! with { Initialize = Empty(40) with { LeaseId = 1 } } };

        Assert.Equal("bootstrap_waits", HaLoop.Decide(o).Code);
        var found = HaLoop.Decide(o with { Memory = new LoopMemory { AskedForInitialize = true } });

        Assert.Equal(40, found.Memory.InitializeRevision);
        Assert.Equal(new HaAction.Bootstrap(), Assert.Single(HaLoop.Decide(o with { Memory = found.Memory }).Actions));
    }

    /// <summary>Its server ended after the keys were written: the data are the only ones of the cluster.</summary>
    [Theory]
    [InlineData(ServerState.Stopped)]
    [InlineData(ServerState.Unresponsive)]
    public void Data_whose_identity_is_written_are_kept(ServerState state)
    {
        var o = Made(new InitializeKey(Own) { ModRevision = 41 }, config: true);
        o = o with { Local = o.Local with { Server = state, IsPrimary = false } };

        var decision = HaLoop.Decide(o);

        Assert.Equal("initialized", decision.Code);
        Assert.Null(HaLoop.Decide(o with { Memory = decision.Memory }).Memory.BootstrapFailure);
    }

    /// <summary>The write may have been carried out though its answer did not come.</summary>
    [Fact]
    public void Data_whose_identity_may_be_written_are_kept_until_the_DCS_answers()
    {
        var o = Made(Empty(40), config: true);
        o = o with { Local = Every.Server(ServerState.Stopped, isPrimary: false), IsDcsLive = false };

        Assert.Equal("bootstrap_waits", HaLoop.Decide(o).Code);
        Assert.Equal("bootstrap_failed", HaLoop.Decide(o with { IsDcsLive = true }).Code);
    }

    /// <summary>
    /// The store lost its keys, and the others still have the data: a new cluster would make them foreign.
    /// </summary>
    [Theory]
    [InlineData(Role.Replica, 200ul, "bootstrap_waits")]
    [InlineData(Role.Replica, 0ul, "initialize_race")]
    [InlineData(Role.Uninitialized, 200ul, "initialize_race")]
    public void Nobody_makes_a_new_cluster_where_a_member_has_data(Role role, ulong position, string code)
    {
        var o = Every.Of(new LocalPostgres { Data = DataDirectory.Empty }, null, default);
        var b = Every.Member("b", role) with { XlogLocation = position == 0 ? null : new Lsn(position) };
        var c = Every.Member("c", Role.Uninitialized);

        Assert.Equal(code, HaLoop.Decide(o with
        {
            Cluster = o.Cluster! with
            {
                Initialize = default,
                Members = o.Cluster.Members.SetItem("b", b).SetItem("c", c),
            },
        }).Code);
    }

    [Fact]
    public void Nobody_makes_a_new_cluster_while_a_leader_of_the_stores_earlier_life_may_come_back()
    {
        var o = Every.Of(new LocalPostgres { Data = DataDirectory.Empty }, null, default);
        o = o with { Cluster = o.Cluster! with { Initialize = default, Life = new StoreLife(1, 5) } };

        Assert.Equal("bootstrap_waits", HaLoop.Decide(o).Code);
        Assert.Equal("initialize_race", HaLoop.Decide(o with { Memory = new LoopMemory { Life = 1 } }).Code);
    }

    private static InitializeKey Empty(long revision) => new("") { ModRevision = revision };

    private static Observation Made(InitializeKey initialize, bool config)
    {
        var o = Every.Of(Every.Server(ServerState.Running, isPrimary: true), null, default);
        return o with
        {
            Cluster = o.Cluster! with { Initialize = initialize, Config = config ? o.Config : null },
            Memory = new LoopMemory { InitializeRevision = 40, BootstrapDone = true },
        };
    }
}
