using CsCheck;
using Routing.Cluster;
using Routing.Ha.Synchronous;
using Xunit;

namespace Routing.Ha.Tests.Synchronous;

/// <summary>
/// Random schedules on a model cluster: whatever happens, whoever can win has every acknowledged commit.
/// </summary>
public sealed class SyncScheduleTests
{
    [Theory]
    [InlineData(SynchronousMode.Quorum, false)]
    [InlineData(SynchronousMode.Priority, false)]
    [InlineData(SynchronousMode.Quorum, true)]     // modes are switched on the way
    public void No_member_that_can_win_a_race_lacks_an_acknowledged_commit(SynchronousMode mode, bool switching) =>
        Gen.Int.Sample(seed => Run(seed, mode, switching), iter: 400);

    [Fact]
    public void Schedules_find_the_loss_when_standbys_are_believed_before_they_caught_up() => AssertFound(
        seed => Schedule(seed, SynchronousMode.Quorum, switching: false, o => o with { FlushLsn = Lsn.Zero }));

    [Fact]
    public void Schedules_find_the_loss_when_a_candidate_compares_positions_without_their_timelines() => AssertFound(
        seed => Schedule(seed, SynchronousMode.Quorum, switching: false, ignoresTimelines: true));

    private static void AssertFound(Func<int, (SyncWorld World, string[])> schedule) => Assert.Contains(
        Enumerable.Range(0, 20_000), seed => schedule(seed).World.Loss() is not null);

    [Theory]
    [InlineData(SynchronousMode.Quorum)]
    [InlineData(SynchronousMode.Priority)]
    [InlineData(SynchronousMode.Off)]
    public void From_wherever_it_was_interrupted_it_reaches_the_steady_state(SynchronousMode mode) =>
        Gen.Int.Sample(
            seed =>
            {
                var random = new Random(seed);
                var (world, names) = Run(seed, SynchronousMode.Quorum, switching: true);
                if (world.IsLeaderless)
                {
                    world.Configure(SynchronousMode.Quorum, 1, strict: false);
                    Assert.True(world.TryFailOver(diesBeforePromotion: false),
                        $"seed {seed}: nobody can lead\n{world.Diary}");
                }
                world.Configure(mode, random.Next(1, 4), strict: random.Next(2) == 0);
                for (var runs = 0; runs < 60; runs++)
                {
                    foreach (var name in names)
                    {
                        world.Connect(name);
                        world.Receive(name, all: true);
                    }
                    var decision = world.Step();
                    world.Pass(decision!.RunAgainAfter ?? TimeSpan.FromSeconds(10));
                }
                Assert.True(world.IsSteady(out var text), $"seed {seed}: {text}\n{world.Diary}");
                Assert.IsType<SyncStep.None>(world.Step()!.Step);
            },
            iter: 150);

    private static (SyncWorld World, string[] Names) Run(int seed, SynchronousMode mode, bool switching)
    {
        var (world, names) = Schedule(seed, mode, switching);
        Assert.True(world.Loss() is null, $"seed {seed}: {world.Loss()}\n{world.Diary}");
        return (world, names);
    }

    /// <summary>Eighty random events; ends early when a race could lose a commit.</summary>
    private static (SyncWorld World, string[] Names) Schedule(
        int seed, SynchronousMode mode, bool switching,
        Func<SyncObservation, SyncObservation>? eyes = null, bool ignoresTimelines = false)
    {
        var random = new Random(seed);
        string[] names = [.. "abcde".Take(random.Next(2, 6)).Select(c => c.ToString())];
        var world =
            new SyncWorld(random, names, eyes ?? (observed => observed)) { IgnoresTimelines = ignoresTimelines };
        world.Configure(mode, random.Next(1, 4), strict: random.Next(3) == 0);
        for (var i = 0; i < 80 && world.Loss() is null; i++)
        {
            var name = names[random.Next(names.Length)];
            switch (random.Next(20))
            {
                case < 3: world.Write(); break;
                case < 6: world.Receive(name, all: random.Next(3) == 0); break;
                case < 8: world.Connect(name); break;
                case < 9: world.Disconnect(name); break;
                case < 10: world.RestartAgent(); break;
                case < 11: world.TryFailOver(diesBeforePromotion: random.Next(3) == 0); break;
                case < 12:
                    world.Configure(switching ? (SynchronousMode)random.Next(3) : mode, random.Next(1, 4),
                        strict: random.Next(3) == 0);
                    break;
                default:
                    world.Step(failing: random.Next(10) == 0);
                    world.Pass(TimeSpan.FromMilliseconds(random.Next(600)));
                    break;
            }
        }
        return (world, names);
    }
}
