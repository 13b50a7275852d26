using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Loop;
using Routing.Cluster;
using Routing.Dcs;
using Routing.TestKit;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>The keeper alone with a DCS, on virtual time.</summary>
public sealed class LeaseKeeperTests : IDisposable
{
    private readonly SimWorld _world = new(1);
    private readonly SimProcess _process;
    private readonly SimClock _clock;
    private readonly InMemoryDcs _dcs;
    private readonly InMemoryClusterStore _store;
    private readonly FakeLeaseListener _listener = new();
    private readonly LeaseKeeper _keeper;
    private Task? _keeping;

    public LeaseKeeperTests()
    {
        _process = new SimProcess(_world);
        _clock = new SimClock(_world, _process, TimeSpan.FromSeconds(500), 0, TimeSpan.Zero);
        _dcs = new InMemoryDcs(_clock.For(null));
        _store = _dcs.Connect("a");
        _store.RequestDelay = _store.AnswerDelay = () => TimeSpan.FromMilliseconds(5);
        _keeper = new LeaseKeeper(_store, "a", _listener, _clock, NullLogger<LeaseKeeper>.Instance);
        _process.Run(() => _keeping = _keeper.RunAsync(CancellationToken.None));
    }

    public void Dispose()
    {
        _process.Kill();
        _keeper.Dispose();
    }

    [Fact]
    public void A_shorter_ttl_holds_from_the_first_lease_on()
    {
        _world.RunFor(TimeSpan.FromSeconds(1));

        _process.Run(
            () => _keeper.Adopt(new Timing(TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1))));
        Acquire();
        _world.RunFor(TimeSpan.FromSeconds(20));

        Assert.Equal("a", _dcs.Snapshot.Leader?.Holder);
        Assert.True(_keeper.View.HoldsLeader);
    }

    [Fact]
    public void Conviction_ends_one_ttl_after_the_last_good_renewal_was_sent()
    {
        Acquire();
        _world.RunFor(TimeSpan.FromSeconds(10));

        _store.IsCutOff = true;
        var lastPossible = _world.Now;
        while (_keeper.View.LeaderLeft > TimeSpan.Zero)
        {
            _world.RunFor(TimeSpan.FromMilliseconds(1));
        }

        Assert.InRange(_world.Now - lastPossible, TimeSpan.FromSeconds(20).Ticks, TimeSpan.FromSeconds(30).Ticks);
        Assert.Equal("a", _dcs.Snapshot.Leader?.Holder);   // the DCS ends the lease later than we stop to believe in it
    }

    [Fact]
    public void The_guards_act_and_requests_end_earlier_while_a_hardware_watchdog_is_active()
    {
        _listener.Reserve = TimeSpan.FromSeconds(5);

        Acquire();

        var view = _keeper.View;
        var told = _listener.LastHeld!.Value;
        Assert.Equal(TimeSpan.FromSeconds(10), view.SafetyMargin);   // of the watchdog, and of the lease that it leaves
        Assert.Equal(TimeSpan.FromSeconds(7.5), new TimeSpan(
            (told.Until - told.Deadline) * TimeSpan.TicksPerSecond / _clock.TimestampFrequency));

        _store.IsCutOff = true;
        var lastPossible = _world.Now;
        while (_keeper.View.Leads)
        {
            _world.RunFor(TimeSpan.FromMilliseconds(10));
        }
        Assert.True(_world.Now - lastPossible <= TimeSpan.FromSeconds(20.1).Ticks);
    }

    /// <summary>It was cut off, and its lease was over; it never saw who led since.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]   // the lease did not come back, only the key
    public void A_key_that_comes_back_with_a_restored_store_after_its_lease_was_over_is_given_up(bool withLease)
    {
        Acquire();
        var backup = _dcs.Backup();
        _store.IsCutOff = true;
        _world.RunFor(TimeSpan.FromSeconds(40));
        Assert.Null(_dcs.Snapshot.Leader);

        _dcs.Restore(withLease ? backup : backup with { Leases = [] });
        _store.IsCutOff = false;
        _world.RunFor(TimeSpan.FromSeconds(15));

        Assert.False(_keeper.View.HoldsLeader);
        Assert.Null(_dcs.Snapshot.Leader);
    }

    /// <summary>
    /// Another may have led since the backup: that the key names this member is no answer to the request.
    /// </summary>
    [Theory]
    [InlineData(true)]    // the request was not answered, and the next renewal finds the key
    [InlineData(false)]   // the answer tells of the key
    public void A_key_that_comes_back_with_a_restored_store_while_it_is_asked_for_is_given_up(bool isUnheard)
    {
        Acquire();
        var backup = _dcs.Backup();
        Assert.True(Run(_keeper.ReleaseAsync).IsDone);
        if (isUnheard)
        {
            var (usual, requests) = (_store.RequestDelay, 0);
            // The lease is renewed, and then the request for the key is on its way for long.
            _store.RequestDelay = () => TimeSpan.FromSeconds(requests++ == 0 ? 0.005 : 60);
            Assert.Equal(LeaseOutcome.Unknown, Run(token => _keeper.AcquireAsync(null, null, token)).Outcome);
            _store.RequestDelay = usual;
        }
        _dcs.Restore(backup);
        _store.LifeDoubt = TimeSpan.Zero;
        if (!isUnheard)
        {
            Assert.Equal(LeaseOutcome.Lost, Run(token => _keeper.AcquireAsync(null, null, token)).Outcome);
        }
        _world.RunFor(TimeSpan.FromSeconds(15));

        Assert.False(_keeper.View.HoldsLeader);
        Assert.Null(_dcs.Snapshot.Leader);

        // What the watch shows of the new life is known from here on.
        _keeper.Observe(_dcs.Snapshot);
        Acquire();
    }

    [Fact]
    public void A_ttl_of_years_is_kept_like_any_other()
    {
        var years = TimeSpan.FromSeconds(int.MaxValue);
        _process.Run(() => _keeper.Adopt(new Timing(years, years / 3, years / 3)));

        Acquire();
        _world.RunFor(TimeSpan.FromSeconds(20));

        Assert.True(_keeper.View.Leads);
        Assert.False(_keeping!.IsCompleted, _keeping.Exception?.ToString());
    }

    [Fact]
    public void A_refusal_ends_what_was_vouched_for_at_once_and_leaves_the_guards_a_moment()
    {
        Acquire();
        _store.IsCutOff = true;
        _world.RunFor(TimeSpan.FromSeconds(40));   // the lease is over
        _process.Run(
            () => _keeper.Vouch(_clock.GetTimestamp(), _clock.GetTimestamp() + (30 * _clock.TimestampFrequency)));
        var vouched = _listener.Conviction!.Value;

        _process.Run(_keeper.Withdraw);

        var told = _listener.Conviction!.Value;
        Assert.Null(_keeper.VouchedUntil);
        Assert.True(vouched.Until > _clock.GetTimestamp());
        Assert.True(told.Until < _clock.GetTimestamp());
        Assert.InRange(
            _clock.GetElapsedTime(_clock.GetTimestamp(), told.Deadline), TimeSpan.FromSeconds(0.1),
            TimeSpan.FromSeconds(2.5));
    }

    [Fact]
    public void A_loop_that_is_stuck_costs_the_lease()
    {
        Acquire();
        _world.RunFor(TimeSpan.FromSeconds(5));

        _listener.IsLoopAlive = false;
        _world.RunFor(TimeSpan.FromSeconds(45));

        Assert.Null(_dcs.Snapshot.Leader);
    }

    [Fact]
    public void A_release_without_an_answer_is_unknown_and_nothing_believes_in_the_key_any_more()
    {
        Acquire();
        _store.IsCutOff = true;

        var released = Run(_keeper.ReleaseAsync);

        Assert.Equal(WriteStatus.Unknown, released.Status);
        Assert.False(_keeper.View.HoldsLeader);
    }

    [Theory]
    [InlineData(false)]   // the DCS deleted the key, and its answer was lost
    [InlineData(true)]    // the request was lost
    public void A_release_without_an_answer_is_asked_for_again_at_once(bool requestIsLost)
    {
        Acquire();
        (_store.IsMute, _store.IsDeaf) = (requestIsLost, !requestIsLost);
        Assert.Equal(WriteStatus.Unknown, Run(_keeper.ReleaseAsync).Status);
        Assert.True(_keeper.View.ReleaseLeft > TimeSpan.Zero);

        var woken = _listener.Woken;
        (_store.IsMute, _store.IsDeaf) = (false, false);
        _world.RunUntil(() => _keeper.View.ReleaseLeft == TimeSpan.Zero, TimeSpan.FromSeconds(10));

        Assert.Null(_dcs.Snapshot.Leader);
        Assert.Equal(TimeSpan.Zero, _keeper.View.ReleaseLeft);
        Assert.True(_listener.Woken > woken);
    }

    [Fact]
    public void A_key_that_cannot_be_released_ends_with_its_lease_although_renewals_would_pass()
    {
        Acquire();
        var released = _world.Now;
        _store.IsMute = true;
        Assert.Equal(WriteStatus.Unknown, Run(_keeper.ReleaseAsync).Status);

        // Every delete is refused from here on, as by a store whose rights were changed; the lease could be renewed.
        _store.RefusesReleases = true;
        _store.IsMute = false;
        _world.RunUntil(() => _dcs.Snapshot.Leader is null, TimeSpan.FromSeconds(60));
        _world.RunUntil(() => _keeper.View.ReleaseLeft == TimeSpan.Zero, TimeSpan.FromSeconds(60));
        Assert.Null(_dcs.Snapshot.Leader);
        Assert.InRange(_world.Now - released, TimeSpan.FromSeconds(15).Ticks, TimeSpan.FromSeconds(40).Ticks);

        // The agent goes on with a lease of its own.
        Acquire();
    }

    [Fact]
    public void A_key_that_was_given_up_is_not_kept_because_taking_it_again_failed_before_it_was_asked_for()
    {
        Acquire();
        _store.IsMute = true;
        Run(_keeper.ReleaseAsync);

        var again = Run(token => _keeper.AcquireAsync(null, null, token));
        _store.IsMute = false;
        _world.RunUntil(() => _dcs.Snapshot.Leader is null, TimeSpan.FromSeconds(5));

        Assert.Equal(LeaseOutcome.Unknown, again.Outcome);
        Assert.Null(_dcs.Snapshot.Leader);
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("b", false)]
    public void A_key_that_was_written_over_keeps_its_term_and_is_lost_all_the_same(string holder, bool isKept)
    {
        Acquire();
        var term = _dcs.Snapshot.Leader!.Term;

        _dcs.Put(ClusterKeys.Leader, holder);
        _keeper.Observe(_dcs.Snapshot);

        Assert.Equal(term, _dcs.Snapshot.Leader!.Term);
        Assert.Equal(isKept, _keeper.View.HoldsLeader);
    }

    private void Acquire() =>
        Assert.Equal(LeaseOutcome.Held, Run(token => _keeper.AcquireAsync(null, null, token)).Outcome);

    private T Run<T>(Func<CancellationToken, Task<T>> act)
    {
        Task<T>? task = null;
        _process.Run(() => task = act(CancellationToken.None));
        _world.RunUntil(() => task!.IsCompleted, TimeSpan.FromSeconds(60));
        Assert.True(task!.IsCompletedSuccessfully, task.Exception?.ToString() ?? "it did not end");
        return task.GetAwaiter().GetResult();
    }
}
