using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

/// <summary>A router follows a new life of the store from its first proven leader on, or after one ttl.</summary>
public sealed class ProvenViewsTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new();
    private readonly Channel<ClusterView> _given = Channel.CreateUnbounded<ClusterView>();
    private readonly List<ClusterView> _passed = [];
    private readonly CancellationTokenSource _stop = new();
    private Task _watching = Task.CompletedTask;

    public ValueTask InitializeAsync()
    {
        _watching = FollowAsync();
        return default;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
    }

    [Fact]
    public async Task A_store_that_is_empty_in_a_new_life_changes_nothing_until_a_leader_has_written_its_key()
    {
        await PassedAsync(View(0, 90, "b", term: 80), 1);
        await PassedAsync(View(1, 1, null), 2);
        Give(View(1, 2, null));
        await PassedAsync(View(1, 5, "b", term: 5), 3);

        Assert.Equal([("b", 80L, true), ("b", 80L, false), ("b", 5L, true)], Told());
    }

    [Fact]
    public async Task A_leader_key_that_came_back_is_believed_when_its_holder_has_written_something_as_the_primary()
    {
        await PassedAsync(View(0, 90, "b", term: 80), 1);
        await PassedAsync(View(1, 60, "a", term: 50), 2);
        await PassedAsync(View(1, 62, "a", term: 50, memberRevision: 62), 3);

        Assert.Equal([("b", 80L, true), ("b", 80L, false), ("a", 50L, true)], Told());
    }

    [Fact]
    public async Task After_one_ttl_the_new_life_is_taken_as_it_is()
    {
        await PassedAsync(View(0, 90, "b", term: 80), 1);
        await PassedAsync(View(1, 60, "a", term: 50), 2);
        await WaitUntil.TrueAsync(() =>
        {
            _time.Advance(TimeSpan.FromSeconds(5));
            return Told().Count == 3;
        });

        Assert.Equal(("a", 50L, true), Told()[^1]);
        Assert.True(_time.GetUtcNow() - _time.Start >= TimeSpan.FromSeconds(30));
    }

    private static ClusterView View(int life, long revision, string? leader, long term = 0, long memberRevision = 55)
    {
        var from = life == 0 ? 0 : 60;
        from = leader is null || term < 10 ? life : from;
        var snapshot = ClusterSnapshot.Empty with { Revision = revision, Life = new StoreLife(life, from) };
        if (leader is not null)
        {
            snapshot = snapshot with
            {
                Leader = new LeaderKey(leader, new Term(term, life), term, 1),
                Members = snapshot.Members.Add(leader, new Member
                {
                    Name = leader, Role = Role.Primary, State = PostgresState.Running, ModRevision = memberRevision,
                }),
            };
        }
        return new ClusterView(snapshot, IsLive: true, 1);
    }

    private void Give(ClusterView view) => Assert.True(_given.Writer.TryWrite(view));

    private async Task PassedAsync(ClusterView view, int count)
    {
        Give(view);
        await WaitUntil.TrueAsync(() => Told().Count >= count);
    }

    private List<(string? Leader, long Term, bool IsLive)> Told()
    {
        lock (_passed)
        {
            return _passed.ConvertAll(
                view => (view.Snapshot.Leader?.Holder, view.Snapshot.Leader?.Term.Revision ?? 0, view.IsLive));
        }
    }

    private async Task FollowAsync()
    {
        try
        {
            await foreach (var view in new ProvenViews(new Given(_given.Reader), _time).WatchAsync(_stop.Token))
            {
                lock (_passed)
                {
                    _passed.Add(view);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // the test is over
        }
    }

    private sealed class Given(ChannelReader<ClusterView> views) : IClusterViews
    {
        public async IAsyncEnumerable<ClusterView> WatchAsync(
            [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var view in views.ReadAllAsync(cancellationToken))
            {
                yield return view;
            }
        }
    }
}
