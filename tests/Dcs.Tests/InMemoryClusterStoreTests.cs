using Microsoft.Extensions.Time.Testing;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

public sealed class InMemoryClusterStoreKeepsTheContract : ClusterStoreContract
{
    private readonly InMemoryDcs _dcs = new(TimeProvider.System);

    protected override IClusterStore Connect() => _dcs.Connect();
}

public sealed class InMemoryClusterStoreTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly InMemoryDcs _dcs;
    private readonly InMemoryClusterStore _a;
    private readonly InMemoryClusterStore _b;

    public InMemoryClusterStoreTests()
    {
        _dcs = new InMemoryDcs(_time);
        _a = _dcs.Connect("a");
        _b = _dcs.Connect("b");
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_cut_off_client_gets_no_answer_within_its_time_out_and_changes_nothing()
    {
        _a.IsCutOff = true;

        var read = _a.ReadAsync(Token).AsTask();
        var write = _a.PutAsync("config", "{}", WriteCondition.Always, 0, Token).AsTask();
        _time.Advance(_a.RequestTimeout);

        await Assert.ThrowsAsync<ClusterStoreException>(() => read);
        Assert.Equal(WriteStatus.Unknown, (await write).Status);
        Assert.Empty(_dcs.Keys);
        Assert.True((await _b.PutAsync("config", "{}", WriteCondition.Absent, 0, Token)).IsDone);
    }

    [Fact]
    public async Task A_lost_answer_is_unknown_and_the_write_stands()
    {
        var lease = await _a.GrantLeaseAsync(TimeSpan.FromSeconds(30), Token);
        _a.LoseAnswers();

        var acquire = _a.TryAcquireLeaderAsync("a", lease.Id, null, Token).AsTask();
        _time.Advance(_a.RequestTimeout);

        Assert.Equal(LeaseOutcome.Unknown, (await acquire).Outcome);
        Assert.Equal("a", _dcs.Keys[ClusterKeys.Leader].Value);
        Assert.Equal(LeaseOutcome.Held, (await _a.TryAcquireLeaderAsync("a", lease.Id, null, Token)).Outcome);
    }

    [Fact]
    public async Task A_request_slower_than_its_time_out_is_applied_after_it_was_given_up()
    {
        _a.RequestDelay = () => _a.RequestTimeout + TimeSpan.FromSeconds(1);

        var write = _a.PutAsync("config", "{}", WriteCondition.Always, 0, Token).AsTask();
        _time.Advance(_a.RequestTimeout);
        var outcome = await write;
        var before = _dcs.Keys.Count;
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(WriteStatus.Unknown, outcome.Status);
        Assert.Equal(0, before);
        Assert.Single(_dcs.Keys);
    }

    [Fact]
    public async Task A_confirmation_that_arrives_late_does_not_put_the_key_back_on_the_lease_before()
    {
        var old = await _a.GrantLeaseAsync(TimeSpan.FromSeconds(30), Token);
        await _a.TryAcquireLeaderAsync("a", old.Id, null, Token);
        _a.RequestDelay = () => _a.RequestTimeout + TimeSpan.FromSeconds(1);

        var late = _a.TryKeepLeaderAsync("a", old.Id, Token).AsTask();
        _time.Advance(_a.RequestTimeout);
        Assert.Equal(LeaseOutcome.Unknown, (await late).Outcome);
        _a.RequestDelay = null;
        var lease = await _a.GrantLeaseAsync(TimeSpan.FromSeconds(60), Token);
        var moved = await _a.TryKeepLeaderAsync("a", lease.Id, Token);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal((LeaseOutcome.Held, lease.Id), (moved.Outcome, moved.Leader!.LeaseId));
        Assert.Equal(moved.Leader, _dcs.Snapshot.Leader);
    }

    [Fact]
    public async Task A_move_of_the_key_that_arrives_late_does_not_undo_a_later_one()
    {
        var first = await _a.GrantLeaseAsync(TimeSpan.FromSeconds(30), Token);
        await _a.TryAcquireLeaderAsync("a", first.Id, null, Token);
        var (second, third) = (await _a.GrantLeaseAsync(TimeSpan.FromSeconds(30), Token),
            await _a.GrantLeaseAsync(TimeSpan.FromSeconds(60), Token));
        var requests = 0;
        // The look goes through at once, the write that follows it is slow.
        _a.RequestDelay = () =>
            requests++ == 0 ? TimeSpan.Zero : _a.RequestTimeout + TimeSpan.FromSeconds(1);

        var late = _a.TryKeepLeaderAsync("a", second.Id, Token).AsTask();
        _time.Advance(_a.RequestTimeout);
        Assert.Equal(LeaseOutcome.Unknown, (await late).Outcome);
        _a.RequestDelay = null;
        var moved = await _a.TryKeepLeaderAsync("a", third.Id, Token);
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal((LeaseOutcome.Held, third.Id), (moved.Outcome, moved.Leader!.LeaseId));
        Assert.Equal(moved.Leader, _dcs.Snapshot.Leader);
    }

    [Fact]
    public async Task A_lease_ends_exactly_when_its_life_is_over_counted_from_its_last_renewal()
    {
        var lease = await _a.GrantLeaseAsync(TimeSpan.FromSeconds(30), Token);
        await _a.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        _time.Advance(TimeSpan.FromSeconds(20));
        await _a.RenewLeaseAsync(lease.Id, Token);
        _time.Advance(TimeSpan.FromSeconds(29.999));
        var before = _dcs.Keys.Count;
        _time.Advance(TimeSpan.FromSeconds(0.001));

        Assert.Equal(1, before);
        Assert.Empty(_dcs.Keys);
    }

    [Fact]
    public async Task While_the_store_is_down_no_lease_ends_and_afterwards_each_has_its_full_life()
    {
        var lease = await _a.GrantLeaseAsync(TimeSpan.FromSeconds(30), Token);
        await _a.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        _dcs.IsDown = true;
        _time.Advance(TimeSpan.FromMinutes(5));
        _dcs.IsDown = false;
        _time.Advance(TimeSpan.FromSeconds(29));
        var before = _dcs.Keys.Count;
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(1, before);
        Assert.Empty(_dcs.Keys);
    }

    [Fact]
    public async Task A_watch_over_a_cut_link_says_so_after_the_silence_limit_and_catches_up_afterwards()
    {
        await using var views = _a.WatchAsync(Token).GetAsyncEnumerator(Token);
        await views.MoveNextAsync();
        _a.IsCutOff = true;

        var next = views.MoveNextAsync().AsTask();
        var written = _dcs.Put("config", "{}");
        _time.Advance(_a.WatchSilenceLimit - TimeSpan.FromMilliseconds(1));
        var early = next.IsCompleted;
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await next;
        var silent = views.Current;
        next = views.MoveNextAsync().AsTask();
        _a.IsCutOff = false;
        _time.Advance(_a.RequestTimeout);
        await next;

        Assert.False(early);
        Assert.False(silent.IsLive);
        Assert.True(silent.Snapshot.Revision < written);
        Assert.True(views.Current.IsLive);
        Assert.Equal(written, views.Current.Snapshot.Revision);
    }

    [Fact]
    public async Task A_short_cut_goes_unnoticed_and_loses_no_change()
    {
        await using var views = _a.WatchAsync(Token).GetAsyncEnumerator(Token);
        await views.MoveNextAsync();
        var next = views.MoveNextAsync().AsTask();

        _a.IsCutOff = true;
        var written = _dcs.Put("config", "{}");
        _time.Advance(TimeSpan.FromSeconds(1));
        _a.IsCutOff = false;
        await next;

        Assert.True(views.Current.IsLive);
        Assert.Equal(written, views.Current.Snapshot.Revision);
    }

    [Fact]
    public async Task Pushed_changes_may_be_late_but_never_overtake_each_other()
    {
        var delays = new Queue<TimeSpan>([TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(0)]);
        _a.PushDelay = delays.Dequeue;
        await using var views = _a.WatchAsync(Token).GetAsyncEnumerator(Token);
        await views.MoveNextAsync();
        var next = views.MoveNextAsync().AsTask();

        _dcs.Put("config", "{}");
        var last = _dcs.Put("config", """{"ttl":20}""");
        _time.Advance(TimeSpan.FromSeconds(1.9));
        var early = next.IsCompleted;
        _time.Advance(TimeSpan.FromSeconds(0.1));
        await next;

        Assert.False(early);
        Assert.Equal(last, views.Current.Snapshot.Revision);
    }
}
