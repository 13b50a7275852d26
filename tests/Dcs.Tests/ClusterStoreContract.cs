using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

/// <summary>What every store promises. Each implementation inherits these tests.</summary>
public abstract class ClusterStoreContract
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(10);

    /// <summary>Another client of the cluster that belongs to this test; new and empty for each test.</summary>
    protected abstract IClusterStore Connect();

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_empty_cluster_is_read_at_a_revision()
    {
        await using var store = Connect();

        var snapshot = await store.ReadAsync(Token);

        Assert.True(snapshot.Revision > 0);
        Assert.Null(snapshot.Leader);
        Assert.Empty(snapshot.Members);
    }

    [Fact]
    public async Task A_write_is_seen_by_the_next_read_of_another_client()
    {
        await using var writer = Connect();
        await using var reader = Connect();

        var written = await writer.PutAsync(ClusterKeys.Initialize, "7123", WriteCondition.Always, 0, Token);
        var snapshot = await reader.ReadAsync(Token);

        Assert.True(written.IsDone, $"{written}");
        Assert.Equal("7123", snapshot.Initialize.Value);
        Assert.True(snapshot.Revision >= written.Revision);
    }

    [Fact]
    public async Task Of_two_creations_of_a_key_the_second_is_a_conflict()
    {
        await using var store = Connect();

        var first = await store.PutAsync(ClusterKeys.Initialize, "", WriteCondition.Absent, 0, Token);
        var second = await store.PutAsync(ClusterKeys.Initialize, "", WriteCondition.Absent, 0, Token);

        Assert.Equal(WriteStatus.Done, first.Status);
        Assert.Equal(WriteStatus.Conflict, second.Status);
    }

    [Fact]
    public async Task A_write_on_a_seen_revision_needs_the_key_to_be_unchanged()
    {
        await using var store = Connect();
        var first = await store.PutAsync("config", "{}", WriteCondition.Always, 0, Token);

        var second =
            await store.PutAsync("config", """{"ttl":20}""", WriteCondition.Unchanged(first.Revision), 0, Token);
        var stale =
            await store.PutAsync("config", """{"ttl":40}""", WriteCondition.Unchanged(first.Revision), 0, Token);
        var deletion = await store.DeleteAsync("config", WriteCondition.Unchanged(first.Revision), Token);

        Assert.Equal(WriteStatus.Done, second.Status);
        Assert.Equal(WriteStatus.Conflict, stale.Status);
        Assert.Equal(WriteStatus.Conflict, deletion.Status);
        Assert.True(second.Revision > first.Revision);
    }

    [Fact]
    public async Task A_key_is_deleted_on_its_condition()
    {
        await using var store = Connect();
        var written = await store.PutAsync(ClusterKeys.Initialize, "1", WriteCondition.Always, 0, Token);

        var deleted =
            await store.DeleteAsync(ClusterKeys.Initialize, WriteCondition.Unchanged(written.Revision), Token);
        var created = await store.PutAsync(ClusterKeys.Initialize, "2", WriteCondition.Absent, 0, Token);

        Assert.True(deleted.IsDone);
        Assert.True(created.IsDone);
    }

    [Fact]
    public async Task A_granted_lease_is_not_shorter_than_asked_and_can_be_renewed()
    {
        await using var store = Connect();

        var lease = await store.GrantLeaseAsync(s_ttl, Token);
        var renewed = await store.RenewLeaseAsync(lease.Id, Token);

        Assert.NotEqual(0, lease.Id);
        Assert.True(lease.Ttl >= s_ttl);
        Assert.Equal(RenewOutcome.Renewed, renewed);
    }

    [Fact]
    public async Task What_is_left_of_a_lease_can_be_read_and_of_one_that_does_not_exist_nothing_is()
    {
        await using var store = Connect();
        var lease = await store.GrantLeaseAsync(TimeSpan.FromMinutes(5), Token);

        var left = await store.ReadLeaseAsync(lease.Id, Token);

        Assert.InRange(Assert.NotNull(left), TimeSpan.FromSeconds(1), lease.Ttl);
        Assert.Null(await store.ReadLeaseAsync(4711, Token));
    }

    [Fact]
    public async Task A_lease_that_does_not_exist_is_gone_for_everything_that_hangs_on_it()
    {
        await using var store = Connect();
        const long unknown = 4711;

        Assert.Equal(RenewOutcome.Gone, await store.RenewLeaseAsync(unknown, Token));
        Assert.Equal(WriteStatus.LeaseGone,
            (await store.PutAsync("members/a", "{}", WriteCondition.Always, unknown, Token)).Status);
        Assert.Equal(LeaseOutcome.LeaseGone, (await store.TryAcquireLeaderAsync("a", unknown, null, Token)).Outcome);
    }

    [Fact]
    public async Task Of_two_members_that_want_the_leader_key_one_gets_it_and_the_other_sees_whose_it_is()
    {
        await using var a = Connect();
        await using var b = Connect();
        var (leaseA, leaseB) = (await a.GrantLeaseAsync(s_ttl, Token), await b.GrantLeaseAsync(s_ttl, Token));

        var results = await Task.WhenAll(
            a.TryAcquireLeaderAsync("a", leaseA.Id, null, Token).AsTask(),
            b.TryAcquireLeaderAsync("b", leaseB.Id, null, Token).AsTask());

        var winner = Assert.Single(results, result => result.Outcome == LeaseOutcome.Held);
        var loser = Assert.Single(results, result => result.Outcome == LeaseOutcome.Lost);
        Assert.Equal(winner.Leader, loser.Leader);
        Assert.True(winner.Leader!.Term.Revision > 0);
    }

    [Fact]
    public async Task Acquiring_what_is_ours_on_this_lease_is_held_with_the_same_term()
    {
        await using var store = Connect();
        var lease = await store.GrantLeaseAsync(s_ttl, Token);

        var first = await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);
        var again = await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        Assert.Equal(LeaseOutcome.Held, again.Outcome);
        Assert.Equal(first.Leader, again.Leader);
    }

    [Fact]
    public async Task The_leader_key_is_not_taken_by_what_has_changed_since()
    {
        await using var store = Connect();
        var lease = await store.GrantLeaseAsync(s_ttl, Token);
        var before = RaceBasis.Of(await store.ReadAsync(Token));
        await store.PutAsync(ClusterKeys.Sync, """{"leader":"b"}""", WriteCondition.Always, 0, Token);
        var between = RaceBasis.Of(await store.ReadAsync(Token));
        await store.PutAsync(ClusterKeys.Status, """{"optime":1}""", WriteCondition.Always, 0, Token);
        var now = RaceBasis.Of(await store.ReadAsync(Token));

        var late = await store.TryAcquireLeaderAsync("a", lease.Id, before, Token);
        var lessLate = await store.TryAcquireLeaderAsync("a", lease.Id, between, Token);
        var inTime = await store.TryAcquireLeaderAsync("a", lease.Id, now, Token);

        Assert.Equal((LeaseOutcome.Lost, null, null), (late.Outcome, late.Leader, late.Problem));
        Assert.Equal((LeaseOutcome.Lost, null, null), (lessLate.Outcome, lessLate.Leader, lessLate.Problem));
        Assert.Equal((LeaseOutcome.Held, "a"), (inTime.Outcome, inTime.Leader?.Holder));
    }

    [Fact]
    public async Task Keeping_the_key_writes_nothing_while_it_hangs_on_our_lease()
    {
        await using var store = Connect();
        var lease = await store.GrantLeaseAsync(s_ttl, Token);
        var acquired = await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        var kept = await store.TryKeepLeaderAsync("a", lease.Id, Token);

        Assert.Equal(LeaseOutcome.Held, kept.Outcome);
        Assert.Equal(acquired.Leader, kept.Leader);
    }

    [Fact]
    public async Task Keeping_moves_our_key_from_an_old_lease_to_this_one_within_the_same_term()
    {
        await using var store = Connect();
        var old = await store.GrantLeaseAsync(s_ttl, Token);
        var acquired = await store.TryAcquireLeaderAsync("a", old.Id, null, Token);
        var lease = await store.GrantLeaseAsync(s_ttl, Token);

        var kept = await store.TryKeepLeaderAsync("a", lease.Id, Token);

        Assert.Equal(LeaseOutcome.Held, kept.Outcome);
        Assert.Equal(lease.Id, kept.Leader!.LeaseId);
        Assert.Equal(acquired.Leader!.Term, kept.Leader.Term);
        Assert.True(kept.Leader.ModRevision > acquired.Leader.ModRevision);
    }

    [Fact]
    public async Task Keeping_never_creates_the_key_and_never_takes_it_from_another()
    {
        await using var store = Connect();
        var (leaseA, leaseB) = (await store.GrantLeaseAsync(s_ttl, Token), await store.GrantLeaseAsync(s_ttl, Token));

        var missing = await store.TryKeepLeaderAsync("a", leaseA.Id, Token);
        await store.TryAcquireLeaderAsync("b", leaseB.Id, null, Token);
        var foreign = await store.TryKeepLeaderAsync("a", leaseA.Id, Token);

        Assert.Equal(LeaseOutcome.Lost, missing.Outcome);
        Assert.Null(missing.Leader);
        Assert.Equal(LeaseOutcome.Lost, foreign.Outcome);
        Assert.Equal("b", foreign.Leader!.Holder);
    }

    [Fact]
    public async Task Moving_the_key_to_a_lease_that_does_not_exist_says_so()
    {
        await using var store = Connect();
        var lease = await store.GrantLeaseAsync(s_ttl, Token);
        await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        var kept = await store.TryKeepLeaderAsync("a", 4711, Token);

        Assert.Equal(LeaseOutcome.LeaseGone, kept.Outcome);
    }

    [Fact]
    public async Task Only_the_holder_releases_the_key_and_the_next_term_has_a_higher_term()
    {
        await using var store = Connect();
        var lease = await store.GrantLeaseAsync(s_ttl, Token);
        var first = await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);

        var foreign = await store.ReleaseLeaderAsync("b", Token);
        var released = await store.ReleaseLeaderAsync("a", Token);
        var nothing = await store.ReleaseLeaderAsync("a", Token);
        var second = await store.TryAcquireLeaderAsync("b", lease.Id, null, Token);

        Assert.Equal(WriteStatus.Conflict, foreign.Status);
        Assert.Equal(WriteStatus.Done, released.Status);
        Assert.Equal(WriteStatus.Conflict, nothing.Status);
        Assert.True(second.Leader!.Term > first.Leader!.Term);
    }

    [Fact]
    public async Task A_lease_that_nobody_renews_takes_its_keys_with_it()
    {
        await using var store = Connect();
        var lease = await store.GrantLeaseAsync(TimeSpan.FromSeconds(1), Token);
        await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);
        await store.PutAsync(ClusterKeys.Member("a"), "{}", WriteCondition.Always, lease.Id, Token);

        await WaitUntil.TrueAsync(async () => (await store.ReadAsync(Token)) is { Leader: null, Members.Count: 0 });

        Assert.Equal(RenewOutcome.Gone, await store.RenewLeaseAsync(lease.Id, Token));
    }

    [Fact]
    public async Task Deleting_the_cluster_leaves_no_key()
    {
        await using var store = Connect();
        var lease = await store.GrantLeaseAsync(s_ttl, Token);
        await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);
        await store.PutAsync(ClusterKeys.Initialize, "1", WriteCondition.Always, 0, Token);

        await store.DeleteClusterAsync(Token);

        Assert.Equal(WriteStatus.Done,
            (await store.PutAsync(ClusterKeys.Initialize, "2", WriteCondition.Absent, 0, Token)).Status);
        Assert.Equal(LeaseOutcome.Held, (await store.TryAcquireLeaderAsync("b", lease.Id, null, Token)).Outcome);
    }

    [Fact]
    public async Task A_watch_starts_with_what_is_there_and_pushes_what_comes()
    {
        await using var store = Connect();
        await using var other = Connect();
        var lease = await other.GrantLeaseAsync(s_ttl, Token);
        await other.TryAcquireLeaderAsync("a", lease.Id, null, Token);
        await using var views = store.WatchAsync(Token).GetAsyncEnumerator(Token);

        await views.MoveNextAsync();
        var first = views.Current;
        await other.ReleaseLeaderAsync("a", Token);
        await views.MoveNextAsync();
        var second = views.Current;

        Assert.Equal("a", first.Snapshot.Leader?.Holder);
        Assert.True(first.IsLive);
        Assert.Null(second.Snapshot.Leader);
        Assert.True(second.IsLive);
        Assert.True(second.Snapshot.Revision > first.Snapshot.Revision);
    }

    [Fact]
    public async Task A_slow_reader_of_a_watch_ends_up_at_the_newest_state_and_never_goes_back()
    {
        await using var store = Connect();
        await using var views = store.WatchAsync(Token).GetAsyncEnumerator(Token);
        await views.MoveNextAsync();
        var last = default(WriteOutcome);
        for (var i = 1; i <= 100; i++)
        {
            last = await store.PutAsync(ClusterKeys.Initialize, $"{i}", WriteCondition.Always, 0, Token);
        }

        var revisions = new List<long>();
        do
        {
            await views.MoveNextAsync();
            revisions.Add(views.Current.Snapshot.Revision);
        }
        while (revisions[^1] < last.Revision);

        Assert.Equal(revisions.Order(), revisions);
        Assert.Equal("100", views.Current.Snapshot.Initialize.Value);
    }

    [Fact]
    public async Task A_watch_ends_only_with_its_token()
    {
        await using var store = Connect();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        await using var views = store.WatchAsync(stop.Token).GetAsyncEnumerator(stop.Token);
        await views.MoveNextAsync();
        var next = views.MoveNextAsync().AsTask();

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => next);
    }

    [Fact]
    public async Task A_cancelled_call_throws_that_it_was_cancelled()
    {
        await using var store = Connect();
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => store.ReadAsync(stop.Token).AsTask());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => store.PutAsync("config", "{}", WriteCondition.Always, 0, stop.Token).AsTask());
    }
}
