using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

/// <summary>
/// The topology from agents' REST: the answer that knows most counts, nothing goes back, and one who is silent holds
/// nobody up.
/// </summary>
public sealed class RestClusterViewsTests : IAsyncLifetime
{
    private readonly PretendAgent _a = new();
    private readonly PretendAgent _b = new();
    private readonly List<ClusterView> _views = [];
    private readonly CancellationTokenSource _stop = new();
    private RestClusterViews? _source;
    private Task _watching = Task.CompletedTask;

    private ClusterView? Last
    {
        get
        {
            lock (_views)
            {
                return _views.LastOrDefault();
            }
        }
    }

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _source?.Dispose();
        _stop.Dispose();
        _a.Dispose();
        _b.Dispose();
    }

    [Fact]
    public async Task An_agent_that_was_cut_off_and_answers_alone_brings_no_old_leader_back()
    {
        _a.Document = Led("a", 1);
        _b.Document = Led("b", 2);
        Watch(interval: 0.05, _a, _b);
        await WaitUntil.TrueAsync(() => Last?.Snapshot.Leader?.Holder == "b");

        _b.Document = "gone";
        await WaitUntil.TrueAsync(() => Last is { IsLive: false });
        var asked = _a.Asked;
        await WaitUntil.TrueAsync(() => _a.Asked > asked + 5);

        Assert.Equal(("b", false), (Last!.Snapshot.Leader?.Holder, Last.IsLive));
        _b.Document = Led("b", 2);
        await WaitUntil.TrueAsync(() => Last is { IsLive: true });
        lock (_views)
        {
            var terms = _views.ConvertAll(view => view.Snapshot.Leader?.Term.Revision ?? 0);
            Assert.Equal(terms.Order(), terms);
        }
    }

    [Fact]
    public async Task One_who_never_answers_does_not_keep_the_news_of_the_others()
    {
        _a.Document = null;
        _b.Document = Led("b", 2);
        var time = new MomentTime();
        Watch(time, interval: 0.05, _a, _b);
        await time.PassMomentAsync();
        await WaitUntil.TrueAsync(() => Last?.Snapshot.Leader?.Holder == "b");

        _b.Document = Led("a", 3);

        await time.PassMomentAsync();   // these answers may be from before
        await time.PassMomentAsync();
        await WaitUntil.TrueAsync(() => Last?.Snapshot.Leader?.Holder == "a");
        // the silent one would have been given up after 2 s
        Assert.Equal(TimeSpan.FromMilliseconds(750), time.Passed);
    }

    [Fact]
    public async Task Without_a_leader_the_questions_follow_one_another_closely()
    {
        _a.Document = Led("nobody", 1);
        Watch(interval: 60, _a);
        await WaitUntil.TrueAsync(() => Last?.IsLive == true);

        _a.Document = Led("b", 2);   // would be heard of in a minute

        await WaitUntil.TrueAsync(() => Last?.Snapshot.Leader?.Holder == "b");
        Assert.True(_source!.LastContact > 0);
    }

    [Fact]
    public async Task A_member_counts_as_written_anew_when_it_has_changed_and_not_with_each_answer()
    {
        _a.Document = Led("a", 1);
        Watch(interval: 0.05, _a);
        await WaitUntil.TrueAsync(() => Last?.Snapshot.Revision > 3);
        var (first, second) = (Last!.Snapshot.Members["a"].ModRevision, Last.Snapshot.Members["b"].ModRevision);
        Assert.Equal((1, 1), (first, second));

        _a.Document = Led("a", 1, stateOfB: "stopped");

        await WaitUntil.TrueAsync(() => Last.Snapshot.Members["b"].State == PostgresState.Stopped);
        Assert.Equal(1, Last.Snapshot.Members["a"].ModRevision);
        Assert.True(Last.Snapshot.Members["b"].ModRevision > 3);
    }

    [Theory]
    [InlineData(true, 10)]
    [InlineData(false, 60)]
    public async Task A_cluster_that_was_made_anew_is_followed_when_every_answer_has_told_of_it_for_a_while(
        bool bothAnswer, int seconds)
    {
        var time = new JumpingTime();
        _a.Document = _b.Document = Led("b", 7);
        Watch(time, interval: 0.05, _a, _b);
        await WaitUntil.TrueAsync(() => Last?.Snapshot.Leader?.Holder == "b");
        var before = Last!.Snapshot.Leader!.Term;

        _a.Document = bothAnswer ? Led("a", 1) : "gone";
        _b.Document = Led("a", 1);
        await WaitUntil.TrueAsync(() => Last is { IsLive: false });
        time.Jump(TimeSpan.FromSeconds(seconds - 5));
        await AskedOnceMoreAsync();
        var early = Last!.Snapshot.Leader?.Holder;
        time.Jump(TimeSpan.FromSeconds(5));
        await WaitUntil.TrueAsync(() => Last is { IsLive: true });

        Assert.Equal(("b", "a"), (early, Last!.Snapshot.Leader?.Holder));
        Assert.True(Last.Snapshot.Leader!.Term > before && Last.Snapshot.IsLeaderProven);
    }

    [Fact]
    public async Task Agents_that_name_different_leaders_on_old_timelines_are_not_believed_however_long()
    {
        var time = new JumpingTime();
        _a.Document = _b.Document = Led("b", 7);
        Watch(time, interval: 0.05, _a, _b);
        await WaitUntil.TrueAsync(() => Last?.Snapshot.Leader?.Holder == "b");

        _a.Document = Led("a", 1);
        _b.Document = Led("b", 2);
        await WaitUntil.TrueAsync(() => Last is { IsLive: false });
        time.Jump(TimeSpan.FromMinutes(10));
        await AskedOnceMoreAsync();

        Assert.Equal(
            ("b", 7L, false), (Last!.Snapshot.Leader?.Holder, Last.Snapshot.Leader!.Term.Revision, Last.IsLive));
    }

    private async Task AskedOnceMoreAsync()
    {
        var asked = _b.Asked;
        await WaitUntil.TrueAsync(() => _b.Asked > asked + 3);
    }

    private string Led(string leader, int timeline, string stateOfB = "running")
    {
        return $$"""{"members":[{{One(_a, "a", "running")}},{{One(_b, "b", stateOfB)}}],"scope":"pay"}""";

        string One(PretendAgent agent, string name, string state) =>
            agent.Member(name, name == leader ? "leader" : "replica", state, timeline);
    }

    private void Watch(double interval, params PretendAgent[] agents) => Watch(TimeProvider.System, interval, agents);

    private void Watch(TimeProvider time, double interval, params PretendAgent[] agents)
    {
        _source = new RestClusterViews(
            new RestOptions { Endpoints = [.. agents.Select(agent => agent.Address)],
                Interval = TimeSpan.FromSeconds(interval) },
            time, NullLogger<RestClusterViews>.Instance);
        _watching = FollowAsync(_source);
    }

    private async Task FollowAsync(RestClusterViews source)
    {
        try
        {
            await foreach (var view in source.WatchAsync(_stop.Token))
            {
                lock (_views)
                {
                    _views.Add(view);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // the end of the test
        }
    }

    /// <summary>The system's time, with timestamps that jump ahead.</summary>
    private sealed class JumpingTime : TimeProvider
    {
        private long _ahead;

        public void Jump(TimeSpan by) => Interlocked.Add(ref _ahead, (long)(by.TotalSeconds * TimestampFrequency));

        public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref _ahead);
    }

    /// <summary>A time that stands still but for the moments that the others are given once one has answered.</summary>
    private sealed class MomentTime : FakeTimeProvider
    {
        private static readonly TimeSpan s_moment = TimeSpan.FromMilliseconds(250);
        private int _asked;
        private int _passed;

        public TimeSpan Passed => s_moment * _passed;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            if (dueTime == s_moment)
            {
                Interlocked.Increment(ref _asked);
            }
            return timer;
        }

        /// <summary>Waits until somebody has answered, and lets the moment pass.</summary>
        public async Task PassMomentAsync()
        {
            await WaitUntil.TrueAsync(() => Volatile.Read(ref _asked) > _passed);
            _passed++;
            Advance(s_moment);
        }
    }
}
