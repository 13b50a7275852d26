using Routing.Cluster;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

/// <summary>A server of its own per test: it is killed, frozen, stopped.</summary>
[Trait("Category", "Integration")]
public sealed class EtcdFaultTests : IAsyncLifetime
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(30);
    private readonly string _scope = Stores.NewScope();
    private EtcdServer _etcd = null!;
    private EtcdClusterStore _store = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _etcd = await EtcdServer.StartAsync();
        _store = Stores.Connect([_etcd.Endpoint], _scope,
            options => options with { OperationTimeout = TimeSpan.FromSeconds(3) });
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _etcd.DisposeAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task After_a_restart_of_the_server_lease_leader_and_watch_go_on(bool killed)
    {
        var lease = await _store.GrantLeaseAsync(s_ttl, Token);
        var acquired = await _store.TryAcquireLeaderAsync("a", lease.Id, null, Token);
        await using var topology = await WatchAsync(view => view.Snapshot.Leader?.Holder == "a");

        await (killed ? _etcd.KillAsync() : _etcd.StopAsync());
        await WaitUntil.TrueAsync(() => !topology.Current.IsLive);
        var lost = topology.Current;
        await _etcd.RestartAsync();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);

        Assert.Equal("a", lost.Snapshot.Leader?.Holder);
        Assert.Equal(RenewOutcome.Renewed, await _store.RenewLeaseAsync(lease.Id, Token));
        Assert.Equal(acquired, await _store.TryKeepLeaderAsync("a", lease.Id, Token));
        var written = await _store.PutAsync("config", "{}", WriteCondition.Absent, 0, Token);
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Revision >= written.Revision);
    }

    [Fact]
    public async Task While_the_server_is_frozen_everything_ends_in_time_and_afterwards_all_works_again()
    {
        var lease = await _store.GrantLeaseAsync(s_ttl, Token);
        await _store.TryAcquireLeaderAsync("a", lease.Id, null, Token);
        await using var topology = await WatchAsync(view => view.IsLive);

        await Promise.KeptAsync(async () =>
        {
            _etcd.Freeze();
            var frozen = TimeProvider.System.GetTimestamp();
            var renewal = _store.RenewLeaseAsync(lease.Id, Token).AsTask();
            var keeping = _store.TryKeepLeaderAsync("a", lease.Id, Token).AsTask();
            var writing = _store.PutAsync("config", "{}", WriteCondition.Absent, lease.Id, Token).AsTask();
            var reading = Assert.ThrowsAsync<ClusterStoreException>(() => _store.ReadAsync(Token).AsTask());
            await WaitUntil.TrueAsync(() => !topology.Current.IsLive);
            var noticed = TimeProvider.System.GetElapsedTime(frozen);
            var outcomes = (await renewal, (await keeping).Outcome, (await writing).Status, (await reading).IsRefusal);
            var took = TimeProvider.System.GetElapsedTime(frozen);
            _etcd.Thaw();
            await WaitUntil.TrueAsync(() => topology.Current.IsLive);

            Assert.Equal((RenewOutcome.Unknown, LeaseOutcome.Unknown, WriteStatus.Unknown, false), outcomes);
            Assert.Equal(RenewOutcome.Renewed, await _store.RenewLeaseAsync(lease.Id, Token));
            Assert.Equal(LeaseOutcome.Held, (await _store.TryKeepLeaderAsync("a", lease.Id, Token)).Outcome);
            return noticed < TimeSpan.FromSeconds(4) && took < TimeSpan.FromSeconds(5)
                ? null
                : $"noticed after {noticed}, took {took}";
        });
    }

    [Fact]
    public async Task A_watch_that_begins_before_there_is_a_server_gets_its_first_view_when_there_is_one()
    {
        await _etcd.KillAsync();
        await using var topology = new TopologyWatch(_store, Stores.Logger<TopologyWatch>());
        topology.Start();
        var first = topology.WaitForNewerAsync(topology.Current, Token).AsTask();

        await WaitUntil.TrueAsync(() => _store.Status.FailedAttempts > 0);
        var early = first.IsCompleted;
        await _etcd.RestartAsync();

        Assert.False(early);
        Assert.True((await first).IsLive);
    }

    [Fact]
    public async Task Changes_that_were_compacted_while_nobody_was_connected_are_read_anew()
    {
        await using var relay = new TcpRelay(_etcd.Endpoint);
        await using var store = Stores.Connect([relay.Endpoint], _scope, options => options with { UseProxies = true });
        await using var topology = await WatchAsync(view => view.IsLive, store);

        relay.Cut();
        await WaitUntil.TrueAsync(() => !topology.Current.IsLive);
        var last = default(WriteOutcome);
        for (var i = 0; i < 10; i++)
        {
            last = await _store.PutAsync(ClusterKeys.Initialize, $"{i}", WriteCondition.Always, 0, Token);
        }
        await RawEtcd.CompactAsync(_etcd.Endpoint, last.Revision);
        relay.Refuses = false;
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Revision >= last.Revision);

        Assert.Equal("9", topology.Current.Snapshot.Initialize.Value);
    }

    [Fact]
    public async Task A_connection_that_breaks_at_any_moment_ends_neither_watch_nor_renewals()
    {
        var random = new Random(1);
        await using var relay = new TcpRelay(_etcd.Endpoint);
        await using var store = Stores.Connect([relay.Endpoint], _scope, options => options with { UseProxies = true });
        var lease = await store.GrantLeaseAsync(s_ttl, Token);
        await using var topology = await WatchAsync(view => view.IsLive, store);

        for (var i = 0; i < 100; i++)
        {
            var renewal = store.RenewLeaseAsync(lease.Id, Token).AsTask();
            await Task.Delay(random.Next(4), Token);   // the moment is what is tried
            relay.Cut();
            relay.Refuses = false;
            Assert.Equal(RenewOutcome.Renewed, await renewal);
        }
        var last = await store.PutAsync("config", "{}", WriteCondition.Absent, lease.Id, Token);
        await WaitUntil.TrueAsync(
            () => topology.Current is { IsLive: true } view && view.Snapshot.Revision >= last.Revision);

        Assert.True(last.IsDone, $"{last}");
    }

    [Fact]
    public async Task A_stream_that_begins_at_a_compacted_revision_says_so()
    {
        var last = default(WriteOutcome);
        for (var i = 0; i < 10; i++)
        {
            last = await _store.PutAsync(ClusterKeys.Initialize, $"{i}", WriteCondition.Always, 0, Token);
        }
        await RawEtcd.CompactAsync(_etcd.Endpoint, last.Revision);
        var watch = _store.NewWatch(System.Threading.Channels.Channel.CreateUnbounded<ClusterView>().Writer);

        var end = await watch.FollowAsync(_store.CurrentEndpoint, from: 2, Token);

        Assert.Contains("compacted", end.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_without_space_refuses_writes_while_leases_and_reads_go_on()
    {
        await using var small =
            await EtcdServer.StartAsync(new() { ExtraArguments = ["--quota-backend-bytes", "200000"] });
        await using var store = Stores.Connect([small.Endpoint], _scope);
        var lease = await store.GrantLeaseAsync(s_ttl, Token);
        await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        WriteOutcome written = default;
        await WaitUntil.TrueAsync(async () =>
            (written = await store.PutAsync(
                "history", new string('x', 50_000), WriteCondition.Always, 0, Token)) is { IsDone: false });

        Assert.Equal(WriteStatus.Refused, written.Status);
        Assert.Contains("space", written.Problem, StringComparison.Ordinal);
        Assert.Equal(RenewOutcome.Renewed, await store.RenewLeaseAsync(lease.Id, Token));
        Assert.Equal(LeaseOutcome.Held, (await store.TryKeepLeaderAsync("a", lease.Id, Token)).Outcome);
        Assert.Equal("a", (await store.ReadAsync(Token)).Leader?.Holder);
    }

    private async Task<TopologyWatch> WatchAsync(Func<ClusterView, bool> until, IClusterStore? store = null)
    {
        var topology = new TopologyWatch(store ?? _store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => until(topology.Current));
        return topology;
    }
}

/// <summary>Three members, of which one freezes.</summary>
[Trait("Category", "Integration")]
public sealed class EtcdFailoverTests : IAsyncLifetime
{
    private static readonly TimeSpan s_bound = TimeSpan.FromSeconds(4);
    private EtcdServers _etcd = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _etcd = await EtcdServers.StartAsync();

    public ValueTask DisposeAsync() => _etcd.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public Task When_the_member_in_use_freezes_renewal_and_watch_go_on_elsewhere_within_four_seconds(bool leader) =>
        Promise.KeptAsync(() => FreezeMemberInUseAsync(leader));

    [Fact]
    public async Task Members_that_the_configuration_does_not_name_are_found_and_used()
    {
        await using var store = Stores.Connect([_etcd.Members[0].Endpoint], Stores.NewScope());
        await store.ReadAsync(Token);

        await WaitUntil.TrueAsync(() => store.Status.EndpointCount == 3);
        await _etcd.Members[0].KillAsync();

        Assert.True((await store.PutAsync("config", "{}", WriteCondition.Absent, 0, Token)).IsDone);
    }

    [Fact]
    public async Task Without_a_majority_nothing_is_granted_and_a_cut_off_member_is_not_believed()
    {
        await using var store = Stores.Connect(
            [_etcd.Members[0].Endpoint], Stores.NewScope(),
            options => options with { UseProxies = true, OperationTimeout = TimeSpan.FromSeconds(3) });
        await using var topology = new TopologyWatch(store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);

        _etcd.Members[1].Freeze();
        _etcd.Members[2].Freeze();
        await WaitUntil.TrueAsync(() => !topology.Current.IsLive);
        var refused = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());
        _etcd.Members[1].Thaw();
        _etcd.Members[2].Thaw();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive, TimeSpan.FromSeconds(30));

        Assert.False(refused.IsRefusal);
    }

    private async Task<string?> FreezeMemberInUseAsync(bool leader)
    {
        var scope = Stores.NewScope();
        var (frozen, others) = await ChooseAsync(leader);
        await using var store = Stores.Connect([frozen.Endpoint, .. others.Select(member => member.Endpoint)], scope);
        await using var writer = Stores.Connect(others.Select(member => member.Endpoint), scope);
        var lease = await store.GrantLeaseAsync(TimeSpan.FromSeconds(30), Token);
        await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);
        await using var topology = new TopologyWatch(store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);
        Assert.Equal(RenewOutcome.Renewed, await store.RenewLeaseAsync(lease.Id, Token));
        if (store.Status.Endpoint != frozen.Endpoint.GetLeftPart(UriPartial.Authority))
        {
            // an attempt was held up, and another member asked
            return $"{store.Status.Endpoint} was in use, not {frozen.Endpoint}";
        }

        frozen.Freeze();
        var started = TimeProvider.System.GetTimestamp();
        var renewal = store.RenewLeaseAsync(lease.Id, Token).AsTask();
        var written = await writer.PutAsync("config", "{}", WriteCondition.Absent, 0, Token);
        await WaitUntil.TrueAsync(
            () => topology.Current is { IsLive: true } view && view.Snapshot.Revision >= written.Revision);
        var seen = TimeProvider.System.GetElapsedTime(started);
        var renewed = await renewal;
        var took = TimeProvider.System.GetElapsedTime(started);

        TestContext.Current.SendDiagnosticMessage($"change seen after {seen}, both after {took}");
        Assert.Equal(RenewOutcome.Renewed, renewed);
        Assert.Equal(LeaseOutcome.Held, (await store.TryKeepLeaderAsync("a", lease.Id, Token)).Outcome);
        frozen.Thaw();
        await frozen.WaitUntilHealthyAsync();
        return took < s_bound ? null : $"change seen after {seen}, both after {took}";
    }

    private async Task<(EtcdServer Frozen, EtcdServer[] Others)> ChooseAsync(bool leader)
    {
        foreach (var member in _etcd.Members)
        {
            if (await RawEtcd.IsLeaderAsync(member.Endpoint) == leader)
            {
                return (member, [.. _etcd.Members.Where(other => other != member)]);
            }
        }
        throw new InvalidOperationException("No such member.");
    }
}
