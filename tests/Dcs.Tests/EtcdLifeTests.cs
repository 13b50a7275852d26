using Routing.Cluster;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

/// <summary>An etcd that is set up anew or restored from a snapshot under its clients.</summary>
[Trait("Category", "Integration")]
public sealed class EtcdLifeTests : IAsyncLifetime
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_bound = TimeSpan.FromSeconds(15);
    private readonly string _scope = Stores.NewScope();
    private EtcdServer _etcd = null!;
    private EtcdClusterStore _store = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _etcd = await EtcdServer.StartAsync();
        _store = Connect(_etcd.Endpoint);
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _etcd.DisposeAsync();
    }

    [Theory]
    [InlineData(null)]
    [InlineData("another-token")]
    public async Task A_store_that_was_set_up_anew_begins_a_new_life_in_which_the_leader_goes_on(string? token)
    {
        var (topology, lease, old) = await LedByAAsync();
        await using var _ = topology;

        await _etcd.WipeAsync(token);
        await WaitUntil.TrueAsync(() => topology.Current is { IsLive: true, Snapshot.Life.Number: 1 }, s_bound);
        var gone = topology.Current.Snapshot.Leader;
        var again = await _store.GrantLeaseAsync(s_ttl, Token);
        var carried = await _store.TryCarryLeaderAsync("a", again.Id, Token);
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Leader?.Holder == "a", s_bound);

        Assert.Null(gone);
        Assert.Equal(RenewOutcome.Gone, await _store.RenewLeaseAsync(lease, Token));
        Assert.Equal((LeaseOutcome.Held, 1), (carried.Outcome, carried.Life));
        Assert.True(carried.Leader!.Term > old.Term && carried.Leader.Term.Revision < old.Term.Revision);
        Assert.Equal(carried.Leader.Term, topology.Current.HighestTerm);
        Assert.True(topology.Current.Snapshot.IsLeaderProven);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("another-token")]
    public async Task A_leader_key_that_came_back_with_a_snapshot_gives_way_to_the_leader_that_goes_on(string? token)
    {
        var (topology, lease, _) = await LedByAAsync();
        await using var __ = topology;
        var snapshot = await _etcd.SaveSnapshotAsync();
        await _store.ReleaseLeaderAsync("a", Token);
        var other = await _store.GrantLeaseAsync(s_ttl, Token);
        var second = await _store.TryAcquireLeaderAsync("b", other.Id, null, Token);
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Leader?.Holder == "b", s_bound);

        await _etcd.RestoreAsync(snapshot, token);
        await WaitUntil.TrueAsync(() => topology.Current is { IsLive: true, Snapshot.Life.Number: 1 }, s_bound);
        var returned = topology.Current.Snapshot;
        var renewed = await _store.RenewLeaseAsync(lease, Token);
        var fresh = await _store.GrantLeaseAsync(s_ttl, Token);
        var carried = await _store.TryCarryLeaderAsync("b", fresh.Id, Token);
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Leader?.Holder == "b", s_bound);

        Assert.Equal(("a", false), (returned.Leader?.Holder, returned.IsLeaderProven));
        Assert.Equal(RenewOutcome.Renewed, renewed);   // leases come back with a snapshot
        Assert.Equal(LeaseOutcome.Held, carried.Outcome);
        Assert.True(carried.Leader!.Term > second.Leader!.Term);
        Assert.True(topology.Current.Snapshot.IsLeaderProven);
    }

    [Fact]
    public async Task A_leader_whose_own_key_came_back_writes_it_anew()
    {
        var (topology, lease, first) = await LedByAAsync();
        await using var _ = topology;
        var snapshot = await _etcd.SaveSnapshotAsync();
        await _store.PutAsync(ClusterKeys.Config, "{}", WriteCondition.Always, 0, Token);

        await _etcd.RestoreAsync(snapshot);
        await WaitUntil.TrueAsync(() => topology.Current is { IsLive: true, Snapshot.Life.Number: 1 }, s_bound);
        var returned = topology.Current.Snapshot;
        var carried = await _store.TryCarryLeaderAsync("a", lease, Token);
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.IsLeaderProven, s_bound);

        Assert.False(returned.IsLeaderProven);
        Assert.Equal((LeaseOutcome.Held, first.Term.Revision), (carried.Outcome, carried.Leader!.Term.Revision));
        Assert.True(carried.Leader.ModRevision > returned.Revision);
    }

    [Fact]
    public async Task A_watch_that_comes_back_late_to_a_restored_store_sees_by_the_leader_key_that_it_is_another()
    {
        await using var relay = new TcpRelay(_etcd.Endpoint);
        await using var late = Stores.Connect([relay.Endpoint], _scope, options => options with { UseProxies = true });
        var snapshot = await _etcd.SaveSnapshotAsync();
        await _store.PutAsync(ClusterKeys.Config, "{}", WriteCondition.Always, 0, Token);
        var (lease, old) = await LeadAsync("a");
        await using var topology = new TopologyWatch(late, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Leader?.Holder == "a", s_bound);

        relay.Cut();
        await _etcd.RestoreAsync(snapshot);
        await using var store = Connect(_etcd.Endpoint);
        var fresh = await store.GrantLeaseAsync(s_ttl, Token);
        var now = await store.TryAcquireLeaderAsync("b", fresh.Id, null, Token);
        for (var i = 0; i < 10; i++)
        {
            await store.PutAsync(ClusterKeys.Initialize, $"{i}", WriteCondition.Always, 0, Token);
        }
        relay.Refuses = false;
        await WaitUntil.TrueAsync(
            () => topology.Current is { IsLive: true } view && view.Snapshot.Leader?.Holder == "b", s_bound);

        Assert.True(now.Leader!.Term.Revision < old.Term.Revision,
            "the test needs a restored store whose leader is older");
        Assert.Equal(1, topology.Current.Snapshot.Life.Number);
        Assert.Equal(new Term(now.Leader.Term.Revision, 1), topology.Current.HighestTerm);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_later_process_knows_by_a_mark_whether_the_store_is_the_one_that_it_knew(bool isRestored)
    {
        var snapshot = await _etcd.SaveSnapshotAsync();
        var (topology, _, _) = await LedByAAsync();
        await topology.DisposeAsync();
        var mark = _store.Mark;
        if (isRestored)
        {
            await _etcd.RestoreAsync(snapshot);
        }
        await using var later = Connect(_etcd.Endpoint);
        later.Recall(mark);

        var read = await later.ReadAsync(Token);

        Assert.Equal(isRestored ? 1 : 0, read.Life.Number);
        Assert.Equal(isRestored, read.Life.From > 0);
    }

    [Fact]
    public async Task An_endpoint_of_another_etcd_is_not_believed_while_the_right_one_answers()
    {
        await using var stranger = await EtcdServer.StartAsync();
        await using var relay = new TcpRelay(_etcd.Endpoint);
        await using var store = Stores.Connect(
            [relay.Endpoint, stranger.Endpoint], _scope, options => options with { UseProxies = true });
        await LeadAsync("a");
        await using var topology = new TopologyWatch(store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Leader?.Holder == "a", s_bound);

        for (var i = 0; i < 10; i++)
        {
            relay.Cut();
            relay.Refuses = false;
            Assert.Equal("a", (await store.ReadAsync(Token)).Leader?.Holder);
        }

        Assert.Equal(0, topology.Current.Snapshot.Life.Number);
        Assert.Equal("a", topology.Current.Snapshot.Leader?.Holder);
    }

    private static EtcdClusterStore ConnectTo(Uri endpoint, string scope) =>
        Stores.Connect([endpoint], scope, options => options with { OperationTimeout = TimeSpan.FromSeconds(3) });

    private EtcdClusterStore Connect(Uri endpoint) => ConnectTo(endpoint, _scope);

    private async Task<(long Lease, LeaderKey Leader)> LeadAsync(string member)
    {
        var lease = await _store.GrantLeaseAsync(s_ttl, Token);
        return (lease.Id, (await _store.TryAcquireLeaderAsync(member, lease.Id, null, Token)).Leader!);
    }

    private async Task<(TopologyWatch Topology, long Lease, LeaderKey Leader)> LedByAAsync()
    {
        for (var i = 0; i < 20; i++)
        {
            await _store.PutAsync(ClusterKeys.Initialize, $"{i}", WriteCondition.Always, 0, Token);
        }
        var (lease, leader) = await LeadAsync("a");
        var topology = new TopologyWatch(_store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Leader?.Holder == "a", s_bound);
        return (topology, lease, leader);
    }
}
