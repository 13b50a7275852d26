using System.Text.RegularExpressions;

namespace Routing.Simulation.Tests;

/// <summary>Leaves strikes out of a failing schedule for as long as it still fails in the same way.</summary>
/// <remarks>
/// Halves first, then quarters, and so on down to single strikes (Zeller's delta debugging). A strike less changes the
/// order of everything that comes after it, so each attempt is made with a few seeds of the world.
/// </remarks>
internal static partial class Shrinker
{
    private const int MostRuns = 300;
    private const int Worlds = 3;

    /// <summary>A failing schedule.</summary>
    /// <param name="World">The seed of the world.</param>
    /// <param name="Strikes">What goes wrong in it.</param>
    /// <param name="Violation">What it breaks.</param>
    internal sealed record Failing(int World, IReadOnlyList<Strike> Strikes, string Violation);

    public static Failing Shrink(int seed, SimOptions options, string violation)
    {
        var least = new Failing(seed, Strike.PlanOf(seed, options), violation);
        var runs = 0;
        var size = Math.Max(1, least.Strikes.Count / 2);
        while (runs < MostRuns && least.Strikes.Count > 0)
        {
            var before = least.Strikes.Count;
            for (var from = 0; from < least.Strikes.Count && runs < MostRuns;)
            {
                var fewer = least.Strikes.Where((_, index) => index < from || index >= from + size).ToList();
                if (Fails(seed, options, fewer, Kind(violation), ref runs) is { } failing)
                {
                    least = failing;
                }
                else
                {
                    from += size;
                }
            }
            if (size == 1 && least.Strikes.Count == before)
            {
                break;
            }
            size = Math.Max(1, size / 2);
        }
        return least;
    }

    private static Failing? Fails(
        int seed, SimOptions options, IReadOnlyList<Strike> strikes, string kind, ref int runs)
    {
        for (var world = seed; world < seed + Worlds; world++)
        {
            runs++;
            if (new SimCluster(world, options, strikes).Run() is { } violation && Kind(violation) == kind)
            {
                return new Failing(world, strikes, violation);
            }
        }
        return null;
    }

    /// <summary>The violation without names and numbers, up to its first colon.</summary>
    private static string Kind(string violation) => Particular().Replace(violation.Split(':')[0], "");

    [GeneratedRegex(@"\b([a-z]|[0-9A-F/.]+)\b")]
    private static partial Regex Particular();
}
