using System.Collections.Concurrent;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>Many schedules at once.</summary>
internal static class Schedules
{
    private const int Most = 10;

    /// <summary>
    /// Schedules of the mix of all; of each other mix a tenth as many. By default 10,005 in all.
    /// </summary>
    public static int Count => Replay.Count ?? 3450;

    /// <summary>Runs schedules side by side; fails with what the first ten of them broke.</summary>
    public static void Hold(Func<int, SimOptions> optionsOf, int count, ITestOutputHelper output)
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
            var list = string.Join('\n',
                failures.OrderBy(f => f.Key).Select(f => $"seed {f.Key} ({optionsOf(f.Key)}): {f.Value}"));
            var first = failures.Keys.Min();
            Assert.Fail($"{list}\n{Replay.Explain(first, optionsOf(first), failures[first])}");
        }
    }
}
