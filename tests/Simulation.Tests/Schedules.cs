using System.Collections.Concurrent;
using System.Globalization;
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
        var (prints, steps) = (0ul, 0L);
        Parallel.For(Replay.First, Replay.First + count, (seed, loop) =>
        {
            // Each schedule has one thread to itself; which one it is makes no difference.
            var cluster = new SimCluster(seed, optionsOf(seed));
            var found = cluster.Run();
            Interlocked.Add(ref prints, cluster.Fingerprint());
            Interlocked.Add(ref steps, cluster.World.Steps);
            if (found is { } violation)
            {
                failures[seed] = violation;
                if (failures.Count >= Most)
                {
                    loop.Stop();
                }
            }
        });
        if (Replay.Count is not null)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{count} schedules from {Replay.First} on: {steps} steps, fingerprint {prints:x16}"));
        }
        if (!failures.IsEmpty)
        {
            var list = string.Join('\n',
                failures.OrderBy(f => f.Key).Select(f => $"seed {f.Key} ({optionsOf(f.Key)}): {f.Value}"));
            var first = failures.Keys.Min();
            Assert.Fail($"{list}\n{Replay.Explain(first, optionsOf(first), failures[first])}");
        }
    }
}
