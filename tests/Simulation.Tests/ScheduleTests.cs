using System.Collections.Concurrent;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// Thousands of random schedules. A failure names its seeds, and shows the least part of the first one that still fails, with its diary.
/// See <see cref="Replay"/> for what can be asked for.
/// </summary>
public sealed class ScheduleTests(ITestOutputHelper output)
{
    private const int Most = 10;
    private static readonly int s_count = Replay.Count ?? 2000;

    [Fact]
    public void No_schedule_breaks_an_invariant() => Holds(seed => Scenario.Of(seed, Replay.Mix), s_count);

    /// <summary>Rare in the mix of all schedules: each was found there once, by one of tens of thousands.</summary>
    [Theory]
    [InlineData(nameof(Scenario.SilentPromotion))]
    [InlineData(nameof(Scenario.UnansweredSync))]
    [InlineData(nameof(Scenario.OutsideFailsafe))]
    [InlineData(nameof(Scenario.ChangingTimes))]
    public void What_broke_once_holds(string name) => Holds(_ => Scenario.Rare[name], s_count / 10);

    [Fact]
    public void The_same_seed_gives_the_same_schedule()
    {
        for (var seed = 1; seed <= 5; seed++)
        {
            var options = Scenario.Of(seed);
            var strikes = Strike.PlanOf(seed, options);
            Assert.Equal(Replay.Run(seed, options, strikes).Text, Replay.Run(seed, options, strikes).Text);
        }
    }

    private void Holds(Func<int, SimOptions> optionsOf, int count)
    {
        if (Replay.Seed is { } wanted)
        {
            var (text, violation) = Replay.Wanted(wanted, optionsOf(wanted));
            output.WriteLine(text);
            Assert.Null(violation);
            return;
        }

        var failures = new ConcurrentDictionary<int, string>();
        Parallel.For(Replay.First, Replay.First + count, (seed, loop) =>
        {
            // Each schedule has one thread to itself; which one it is makes no difference.
            if (new SimCluster(seed, optionsOf(seed)).Run() is { } violation)
            {
                failures[seed] = violation;
                if (failures.Count >= Most)
                {
                    loop.Stop();
                }
            }
        });
        if (!failures.IsEmpty)
        {
            var list = string.Join('\n', failures.OrderBy(f => f.Key).Select(f => $"seed {f.Key} ({optionsOf(f.Key)}): {f.Value}"));
            var first = failures.Keys.Min();
            Assert.Fail($"{list}\n{Replay.Explain(first, optionsOf(first), failures[first])}");
        }
    }
}
