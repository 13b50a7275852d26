using System.Globalization;

namespace Routing.Simulation.Tests;

/// <summary>Schedules that a developer asks for by environment variables, and the text of one schedule.</summary>
/// <remarks>
/// <c>ROUTING_SIM_COUNT</c>: how many schedules; <c>ROUTING_SIM_FROM</c>: the first seed; <c>ROUTING_SIM_MIX</c>: one
/// mix of faults, by name. <c>ROUTING_SIM_SEED</c>: that one alone, with its
/// diary; <c>ROUTING_SIM_STRIKES</c> (numbers with commas, or <c>none</c>): with only these of its strikes, in the
/// world of <c>ROUTING_SIM_WORLD</c> (default: the seed).
/// </remarks>
internal static class Replay
{
    public static int First => Number("ROUTING_SIM_FROM") ?? 1;

    public static int? Count => Number("ROUTING_SIM_COUNT");

    /// <summary>The mix of faults, by name; null: all.</summary>
    public static string? Mix => Environment.GetEnvironmentVariable("ROUTING_SIM_MIX");

    public static int? Seed => Number("ROUTING_SIM_SEED");

    /// <summary>The schedule that was asked for.</summary>
    public static (string Text, string? Violation) Wanted(int seed, SimOptions options)
    {
        var strikes = Strike.PlanOf(seed, options);
        if (Environment.GetEnvironmentVariable("ROUTING_SIM_STRIKES") is { Length: > 0 } kept)
        {
            var numbers = kept == "none"
                ? []
                : kept.Split(',').Select(n => int.Parse(n, CultureInfo.InvariantCulture)).ToHashSet();
            strikes = [.. strikes.Where(strike => numbers.Contains(strike.Number))];
        }
        return Run(Number("ROUTING_SIM_WORLD") ?? seed, options, strikes);
    }

    /// <summary>One schedule with its diary.</summary>
    public static (string Text, string? Violation) Run(int world, SimOptions options, IReadOnlyList<Strike> strikes)
    {
        var cluster = new SimCluster(world, options, strikes, keepDiary: true);
        var violation = cluster.Run();
        return ($"{options}\n{string.Join('\n', strikes)}\n{string.Join('\n', cluster.World.Diary!)}", violation);
    }

    /// <summary>A failing seed, shrunk, with how to see it again and its diary.</summary>
    public static string Explain(int seed, SimOptions options, string violation)
    {
        var least = Shrinker.Shrink(seed, options, violation);
        var numbers = least.Strikes.Count == 0 ? "none" : string.Join(',', least.Strikes.Select(s => s.Number));
        return $"The least of seed {seed}: ROUTING_SIM_SEED={seed} ROUTING_SIM_STRIKES={numbers} "
            + $"ROUTING_SIM_WORLD={least.World}\n"
            + Run(least.World, options, least.Strikes).Text;
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), out var number) ? number : null;
}
