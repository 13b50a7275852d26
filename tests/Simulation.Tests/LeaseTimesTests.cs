using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Loop;
using Routing.Cluster;
using Routing.TestKit;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// The ttl is changed while a leader leads: what it believes in stays true whatever happens at that moment, and it goes
/// on leading.
/// </summary>
public sealed class LeaseTimesTests
{
    [Theory]
    [InlineData(3, 30)]
    [InlineData(5, 30)]
    [InlineData(30, 3)]
    [InlineData(30, 5)]
    public void Whenever_the_link_breaks_the_key_outlives_what_was_believed_and_what_the_guards_were_told(
        int before, int after)
    {
        for (var changeAt = 0; changeAt < 700; changeAt += 7)
        {
            for (var cutAt = 0; cutAt <= 44; cutAt += 4)
            {
                using var leader = new Leader(before);
                leader.RunFor(5000 + changeAt);
                leader.Adopt(after);
                leader.RunFor(cutAt);

                leader.Store.IsCutOff = true;
                var (until, deadline) = (leader.Until, leader.Deadline);
                var end = leader.UntilKeyIsGone();

                Assert.True(
                    until <= end && deadline < end,
                    $"changed at {changeAt} ms, cut off {cutAt} ms later: the key ended at {end}, believed until "
                        + $"{until}, guarded until {deadline}");
            }
        }
    }

    [Theory]
    [InlineData(3, 30)]
    [InlineData(5, 30)]
    [InlineData(30, 3)]
    public void A_change_of_the_ttl_never_brings_a_healthy_leader_near_the_end_of_its_lease(int before, int after)
    {
        using var leader = new Leader(before);
        leader.RunFor(10_000);
        leader.Adopt(after);
        for (var step = 0; step < 3000; step++)
        {
            leader.RunFor(1);

            var view = leader.Keeper.View;
            Assert.True(view.HoldsLeader && view.LeaderLeft > view.Ttl / 2, $"{view} after {step} ms");
        }
        Assert.Equal(TimeSpan.FromSeconds(after), leader.Keeper.View.Ttl);
    }

    /// <summary>A keeper that holds the leader key, and its DCS, on virtual time.</summary>
    private sealed class Leader : IDisposable
    {
        private readonly SimWorld _world = new(1);
        private readonly SimProcess _process;
        private readonly SimClock _clock;
        private readonly FakeLeaseListener _listener = new();

        public Leader(int ttl)
        {
            _process = new SimProcess(_world);
            _clock = new SimClock(_world, _process, TimeSpan.FromSeconds(500), 0, TimeSpan.Zero);
            Dcs = new InMemoryDcs(_clock.For(null));
            Store = Dcs.Connect("a");
            Store.RequestDelay = Store.AnswerDelay = () => TimeSpan.FromMilliseconds(5);
            Keeper = new LeaseKeeper(Store, "a", _listener, _clock, NullLogger<LeaseKeeper>.Instance);
            Adopt(ttl);
            _process.Run(() => _ = Keeper.RunAsync(CancellationToken.None));
            _process.Run(() => _ = Keeper.AcquireAsync(null, null, CancellationToken.None));
            _world.RunUntil(() => Keeper.View.HoldsLeader, TimeSpan.FromSeconds(1));
        }

        public InMemoryDcs Dcs { get; }

        public InMemoryClusterStore Store { get; }

        public LeaseKeeper Keeper { get; }

        /// <summary>What the keeper believes, as a time of the world.</summary>
        public TimeSpan Until => Now + Keeper.View.LeaderLeft;

        /// <summary>What the guards were told last, as a time of the world.</summary>
        public TimeSpan Deadline =>
            Now + _clock.GetElapsedTime(_clock.GetTimestamp(), _listener.LastHeld!.Value.Deadline);

        private TimeSpan Now => TimeSpan.FromTicks(_world.Now);

        public void Adopt(int ttl) => _process.Run(
            () =>
                Keeper.Adopt(new Timing(TimeSpan.FromSeconds(ttl), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1))));

        public void RunFor(int milliseconds) => _world.RunFor(TimeSpan.FromMilliseconds(milliseconds));

        public TimeSpan UntilKeyIsGone()
        {
            _world.RunUntil(() => Dcs.Snapshot.Leader is null, TimeSpan.FromSeconds(120));
            Assert.Null(Dcs.Snapshot.Leader);
            return Now;
        }

        public void Dispose()
        {
            _process.Kill();
            Keeper.Dispose();
        }
    }
}
