using Microsoft.Extensions.Time.Testing;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

public sealed class TopologyWatchTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly InMemoryDcs _dcs;
    private readonly InMemoryClusterStore _store;

    public TopologyWatchTests()
    {
        _dcs = new InMemoryDcs(_time);
        _store = _dcs.Connect();
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Before_the_first_answer_the_view_is_empty_and_not_live()
    {
        _store.IsCutOff = true;
        await using var topology = new TopologyWatch(_store, Stores.Logger<TopologyWatch>());

        topology.Start();

        Assert.Equal(0, topology.Current.Snapshot.Revision);
        Assert.False(topology.Current.IsLive);
        Assert.Equal(default, topology.Current.HighestTerm);
    }

    [Fact]
    public async Task Who_waits_gets_the_view_after_the_one_seen_and_who_is_late_gets_it_at_once()
    {
        await using var topology = await StartedAsync();
        var seen = topology.Current;
        var waiting = topology.WaitForNewerAsync(seen, Token).AsTask();

        var before = waiting.IsCompleted;
        var revision = _dcs.Put("config", "{}");
        var newer = await waiting;
        var late = topology.WaitForNewerAsync(seen, Token);

        Assert.False(before);
        Assert.Equal(revision, newer.Snapshot.Revision);
        Assert.Same(newer, await late);
    }

    [Fact]
    public async Task Nobody_who_waits_gets_a_view_before_the_handlers_have()
    {
        await using var topology = await StartedAsync();
        var seen = topology.Current;
        Task<ClusterView>? early = null;
        bool? wasEarly = null;
        topology.Changed += _ =>
        {
            early = topology.WaitForNewerAsync(seen, Token).AsTask();
            wasEarly = early.IsCompleted;
        };

        var revision = _dcs.Put("config", "{}");
        var newer = await topology.WaitForNewerAsync(seen, Token);

        Assert.Equal((revision, false), (newer.Snapshot.Revision, wasEarly));
        Assert.Same(newer, await early!);
    }

    [Fact]
    public async Task The_highest_term_stays_when_the_leader_goes()
    {
        await using var topology = await StartedAsync();
        var created = _dcs.Put(ClusterKeys.Leader, "a");
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Leader is not null);

        _dcs.Delete(ClusterKeys.Leader);
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Leader is null);

        Assert.Equal(new Term(created), topology.Current.HighestTerm);
    }

    [Fact]
    public async Task A_handler_that_throws_stops_neither_the_others_nor_the_watch()
    {
        await using var topology = await StartedAsync();
        var heard = 0L;
        topology.Changed += _ => throw new InvalidOperationException("a handler's own mistake");
        topology.Changed += view => Volatile.Write(ref heard, view.Snapshot.Revision);

        _dcs.Put("config", "{}");
        var last = _dcs.Put("config", """{"ttl":20}""");

        await WaitUntil.TrueAsync(() => Volatile.Read(ref heard) == last);
    }

    [Fact]
    public async Task Who_waits_on_a_watch_that_is_stopped_is_told()
    {
        var topology = await StartedAsync();
        var waiting = topology.WaitForNewerAsync(topology.Current, Token).AsTask();

        await topology.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
    }

    private async Task<TopologyWatch> StartedAsync()
    {
        var topology = new TopologyWatch(_store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);
        return topology;
    }
}
