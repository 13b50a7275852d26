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

    [Fact]
    public void An_initialize_key_that_went_with_its_lease_is_created_anew() => Assert.Equal(
        [new HaAction.WriteInitialize(Own, 0), new HaAction.AcquireLeader()],
        HaLoop.Decide(Made(default, config: true)).Actions);

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
