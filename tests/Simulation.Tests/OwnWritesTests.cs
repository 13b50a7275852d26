using System.Collections.Immutable;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Loop;
using Routing.Cluster;
using Routing.Dcs;
using Routing.TestKit;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>The failsafe list that a leader has written, while the watch does not show it.</summary>
public sealed class OwnWritesTests : IDisposable
{
    private const long Written = 40;

    private static readonly ImmutableSortedDictionary<string, string> s_members =
        ImmutableSortedDictionary<string, string>.Empty.Add("a", "http://a/").Add("b", "http://b/");

    private readonly SimWorld _world = new(1);
    private readonly SimProcess _process;
    private readonly LeaseKeeper _keeper;
    private readonly TopologyWatch _watch;
    private readonly OwnWrites _writes;

    public OwnWritesTests()
    {
        _process = new SimProcess(_world);
        var clock = new SimClock(_world, _process, TimeSpan.FromSeconds(500), 0, TimeSpan.Zero);
        var store = new InMemoryDcs(clock.For(null)).Connect("a");
        _keeper = new LeaseKeeper(store, "a", new FakeLeaseListener(), clock, NullLogger<LeaseKeeper>.Instance);
        _watch = new TopologyWatch(store, NullLogger<TopologyWatch>.Instance);
        _writes = new OwnWrites(_watch, _keeper, "a", clock);
        Task? acquiring = null;
        _process.Run(() => acquiring = _keeper.AcquireAsync(null, null, CancellationToken.None));
        _world.RunFor(TimeSpan.FromSeconds(1));
        Assert.True(acquiring!.IsCompletedSuccessfully && _keeper.Held is not null);
    }

    public void Dispose()
    {
        _process.Kill();
        _keeper.Dispose();
    }

    [Fact]
    public void A_list_that_was_confirmed_counts_before_the_watch_shows_it()
    {
        _writes.WritesFailsafe(s_members, 0);
        _writes.HasWrittenFailsafe(Written);

        Assert.Equal(s_members, _writes.Over(Seen(Written - 1, null)).Failsafe);
    }

    /// <summary>Where there may be no list any member may race, and not every one of them is asked.</summary>
    [Fact]
    public void A_list_without_an_answer_does_not_count_where_none_was_seen()
    {
        _writes.WritesFailsafe(s_members, 0);

        Assert.Null(_writes.Over(Seen(Written - 1, null)).Failsafe);
    }

    [Fact]
    public void A_list_that_was_deleted_since_does_not_count()
    {
        _writes.WritesFailsafe(s_members, 0);
        _writes.HasWrittenFailsafe(Written);

        Assert.Null(_writes.Over(Seen(Written + 1, null)).Failsafe);
    }

    [Fact]
    public void A_list_of_an_earlier_life_of_the_store_does_not_count()
    {
        _writes.WritesFailsafe(s_members, 0);
        _writes.HasWrittenFailsafe(Written);

        Assert.Null(_writes.Over(Seen(5, null) with { Life = new StoreLife(1, 0) }).Failsafe);
    }

    /// <summary>The members of both may race: the one that was seen, and the one that was written since.</summary>
    [Fact]
    public void A_list_that_was_seen_counts_beside_the_one_that_was_written_since()
    {
        _writes.WritesFailsafe(s_members, 0);
        _writes.HasWrittenFailsafe(Written);

        var seen = Seen(Written - 1, ImmutableSortedDictionary<string, string>.Empty.Add("c", "http://c/"));

        Assert.Equal(["a", "b", "c"], _writes.Over(seen).Failsafe!.Keys);
    }

    private static ClusterSnapshot Seen(long revision, ImmutableSortedDictionary<string, string>? failsafe) =>
        ClusterSnapshot.Empty with { Revision = revision, Failsafe = failsafe };
}
