using System.Collections.Concurrent;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// Thousands of random schedules. A failure names its seed; <c>ROUTING_SIM_SEED=n</c> runs that schedule alone and prints
/// its diary, <c>ROUTING_SIM_COUNT=n</c> runs any number of them.
/// </summary>
public sealed class ScheduleTests(ITestOutputHelper output)
{
    private static readonly int s_count = Number("ROUTING_SIM_COUNT") ?? 2000;

    [Fact]
    public void No_schedule_breaks_an_invariant()
    {
        if (Number("ROUTING_SIM_SEED") is { } wanted)
        {
            output.WriteLine(Replay(wanted, Scenario.Of(wanted), out var violation));
            Assert.Null(violation);
            return;
        }

        var failures = new ConcurrentDictionary<int, string>();
        Parallel.For(1, s_count + 1, (seed, loop) =>
        {
            // Each schedule has one thread to itself; which one it is makes no difference.
            if (new SimCluster(seed, Scenario.Of(seed)).Run() is { } violation)
            {
                failures[seed] = $"seed {seed} ({Scenario.Of(seed)}): {violation}";
                if (failures.Count >= 10)
                {
                    loop.Stop();
                }
            }
        });

        Assert.True(failures.IsEmpty, string.Join("\n", failures.OrderBy(f => f.Key).Select(f => f.Value)));
    }

    /// <summary>Rare in the mix of all schedules: each was found there once, by one of tens of thousands.</summary>
    [Theory]
    [InlineData(nameof(Scenario.SilentPromotion))]
    [InlineData(nameof(Scenario.UnansweredSync))]
    [InlineData(nameof(Scenario.OutsideFailsafe))]
    [InlineData(nameof(Scenario.ChangingTimes))]
    public void What_broke_once_holds(string name)
    {
        if (Number("ROUTING_SIM_SEED") is { } wanted)
        {
            output.WriteLine(Replay(wanted, Scenario.Rare[name], out var found));
            Assert.Null(found);
            return;
        }
        var failures = new ConcurrentDictionary<int, string>();
        Parallel.For(1, (s_count / 10) + 1, seed =>
        {
            if (new SimCluster(seed, Scenario.Rare[name]).Run() is { } violation)
            {
                failures[seed] = $"seed {seed}: {violation}";
            }
        });

        Assert.True(failures.IsEmpty, string.Join("\n", failures.OrderBy(f => f.Key).Take(10).Select(f => f.Value)));
    }

    [Fact]
    public void The_same_seed_gives_the_same_schedule()
    {
        for (var seed = 1; seed <= 5; seed++)
        {
            Assert.Equal(Replay(seed, Scenario.Of(seed), out _), Replay(seed, Scenario.Of(seed), out _));
        }
    }

    private static string Replay(int seed, SimOptions options, out string? violation)
    {
        var cluster = new SimCluster(seed, options, keepDiary: true);
        violation = cluster.Run();
        return $"{cluster.Options}\n{string.Join('\n', cluster.World.Diary!)}";
    }

    private static int? Number(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), out var number) ? number : null;
}
