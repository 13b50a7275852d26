using Routing.Cluster;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

/// <summary>
/// Writes that are applied and whose answer is lost: the first endpoint swallows answers, the second works.
/// </summary>
[Trait("Category", "Integration")]
public sealed class EtcdAmbiguousWriteTests : IClassFixture<EtcdFixture>, IAsyncLifetime
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(20);
    private readonly TcpRelay _relay;
    private readonly EtcdClusterStore _other;
    private readonly Uri _server;
    private readonly string _scope = Stores.NewScope();
    private EtcdClusterStore _store;

    public EtcdAmbiguousWriteTests(EtcdFixture etcd)
    {
        _server = etcd.Server.Endpoint;
        _relay = new TcpRelay(_server);
        _store = ConnectByRelay();
        _other = Stores.Connect([_server], _scope);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>
    /// Where the first attempt was held up, the store asks the server itself from then on, and nothing would be
    /// swallowed.
    /// </summary>
    public async ValueTask InitializeAsync() => await WaitUntil.TrueAsync(
        async () =>
        {
            await _store.ReadAsync(Token);
            if (_store.Status.Endpoint == _relay.Endpoint.GetLeftPart(UriPartial.Authority))
            {
                return true;
            }
            await _store.DisposeAsync();
            _store = ConnectByRelay();
            return false;
        },
        what: "the store asks the relay");

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _other.DisposeAsync();
        await _relay.DisposeAsync();
    }

    [Fact]
    public async Task A_leader_key_whose_creation_was_unheard_is_known_to_be_held()
    {
        var lease = await _store.GrantLeaseAsync(s_ttl, Token);

        _relay.SwallowsAnswers = true;
        var written = await _store.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        var leader = (await _other.ReadAsync(Token)).Leader;
        Assert.True(_relay.Swallowed > 0);
        Assert.Equal(LeaseOutcome.Held, written.Outcome);
        Assert.Equal(leader, written.Leader);
    }

    [Fact]
    public async Task A_leader_key_that_was_moved_unheard_to_another_lease_is_known_to_be_held()
    {
        var old = await _store.GrantLeaseAsync(s_ttl, Token);
        await _store.TryAcquireLeaderAsync("a", old.Id, null, Token);
        var lease = await _store.GrantLeaseAsync(s_ttl, Token);

        _relay.SwallowsAnswers = true;
        var kept = await _store.TryKeepLeaderAsync("a", lease.Id, Token);

        Assert.Equal(LeaseOutcome.Held, kept.Outcome);
        Assert.Equal((await _other.ReadAsync(Token)).Leader, kept.Leader);
    }

    [Fact]
    public async Task A_release_that_was_unheard_is_known_to_be_done()
    {
        var lease = await _store.GrantLeaseAsync(s_ttl, Token);
        await _store.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        _relay.SwallowsAnswers = true;
        var released = await _store.ReleaseLeaderAsync("a", Token);

        Assert.Equal(WriteStatus.Done, released.Status);
        Assert.Null((await _other.ReadAsync(Token)).Leader);
    }

    [Fact]
    public async Task A_creation_that_was_unheard_is_known_to_be_ours_even_without_a_lease()
    {
        _relay.SwallowsFrom = "/claims/";   // the transaction, not what comes before it
        var written = await _store.PutAsync(ClusterKeys.Initialize, "", WriteCondition.Absent, 0, Token);

        Assert.True(_relay.Swallowed > 0);
        Assert.Equal(WriteStatus.Done, written.Status);
        Assert.True((await _other.ReadAsync(Token)).Initialize.IsInProgress);
    }

    [Fact]
    public async Task The_same_value_created_by_another_is_never_taken_for_ours()
    {
        await _other.PutAsync(ClusterKeys.Initialize, "", WriteCondition.Absent, 0, Token);

        _relay.SwallowsFrom = "/claims/";
        var written = await _store.PutAsync(ClusterKeys.Initialize, "", WriteCondition.Absent, 0, Token);

        Assert.True(_relay.Swallowed > 0);
        Assert.Equal(WriteStatus.Conflict, written.Status);
    }

    [Fact]
    public async Task A_change_that_was_unheard_is_done_once()
    {
        var first = await _store.PutAsync("config", """{"ttl":20}""", WriteCondition.Always, 0, Token);

        _relay.SwallowsAnswers = true;
        var second =
            await _store.PutAsync("config", """{"ttl":30}""", WriteCondition.Unchanged(first.Revision), 0, Token);

        Assert.Equal(WriteStatus.Done, second.Status);
        Assert.Equal(WriteStatus.Done,
            (await _other.PutAsync("config", "{}", WriteCondition.Unchanged(second.Revision), 0, Token)).Status);
    }

    [Fact]
    public async Task A_write_that_nobody_answers_is_unknown_within_the_time_allowed()
    {
        await using var alone = Stores.Connect(
            [_relay.Endpoint], _scope,
            options => options with { UseProxies = true, OperationTimeout = TimeSpan.FromSeconds(2) });
        var lease = await alone.GrantLeaseAsync(s_ttl, Token);

        _relay.SwallowsAnswers = true;
        await Promise.KeptAsync(async () =>
        {
            var started = TimeProvider.System.GetTimestamp();
            var acquired = await alone.TryAcquireLeaderAsync("a", lease.Id, null, Token);
            var took = TimeProvider.System.GetElapsedTime(started);

            Assert.Equal(LeaseOutcome.Unknown, acquired.Outcome);
            Assert.NotNull(acquired.Problem);
            Assert.True(took > TimeSpan.FromSeconds(1.5), $"given up after {took}");
            return took < TimeSpan.FromSeconds(3.5) ? null : $"took {took}";
        });
        Assert.Equal("a", (await _other.ReadAsync(Token)).Leader?.Holder);
    }

    [Fact]
    public async Task A_renewal_and_a_read_that_nobody_answers_end_within_the_time_allowed()
    {
        await using var alone = Stores.Connect(
            [_relay.Endpoint], _scope,
            options => options with { UseProxies = true, OperationTimeout = TimeSpan.FromSeconds(2) });
        var lease = await alone.GrantLeaseAsync(s_ttl, Token);

        _relay.SwallowsAnswers = true;
        var renewal = alone.RenewLeaseAsync(lease.Id, Token).AsTask();
        var refusal = await Assert.ThrowsAsync<ClusterStoreException>(() => alone.ReadAsync(Token).AsTask());

        Assert.False(refusal.IsRefusal);
        Assert.Equal(RenewOutcome.Unknown, await renewal);
    }

    [Fact]
    public async Task A_watch_whose_connection_breaks_says_so_and_then_goes_on_with_what_was_missed()
    {
        await using var alone =
            Stores.Connect([_relay.Endpoint], _scope, options => options with { UseProxies = true });
        await using var views = alone.WatchAsync(Token).GetAsyncEnumerator(Token);
        await views.MoveNextAsync();

        _relay.Cut();
        await views.MoveNextAsync();
        var cut = views.Current;
        var missed = await _other.PutAsync("config", "{}", WriteCondition.Always, 0, Token);
        _relay.Refuses = false;
        await views.MoveNextAsync();

        Assert.False(cut.IsLive);
        Assert.True(views.Current.IsLive);
        Assert.Equal(missed.Revision, views.Current.Snapshot.Revision);
        Assert.True(alone.Status is { WatchReconnects: > 0, Resyncs: > 0 });
    }

    private EtcdClusterStore ConnectByRelay() =>
        Stores.Connect([_relay.Endpoint, _server], _scope, options => options with { UseProxies = true });
}
