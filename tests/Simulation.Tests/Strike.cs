using System.Globalization;

namespace Routing.Simulation.Tests;

/// <summary>
/// One thing that goes wrong. What is drawn for it depends on its own seed alone, so that it stays the same when others
/// are left out.
/// </summary>
/// <param name="Number">From 1, in the order of time.</param>
/// <param name="At">Since the storm began.</param>
/// <param name="Fault">What it is.</param>
/// <param name="Seed">Of its own random numbers.</param>
internal sealed record Strike(int Number, TimeSpan At, Fault Fault, int Seed)
{
    /// <summary>The plan of a whole storm.</summary>
    public static IReadOnlyList<Strike> PlanOf(int seed, SimOptions options)
    {
        var strikes = new List<Strike>();
        if (options.Faults.Count == 0)
        {
            return strikes;
        }
        var chance = new Chance(seed);
        var at = TimeSpan.Zero;
        while (true)
        {
            at += options.MeanPause * (0.05 - Math.Log(1 - chance.Factor()));
            if (at >= options.Storm)
            {
                return strikes;
            }
            Add(at);
            if (options.Together > 0 && chance.Happens(options.Together))
            {
                Add(at + chance.Between(0, 1000));
            }
        }

        void Add(TimeSpan when) =>
            strikes.Add(new Strike(strikes.Count + 1, when, chance.Pick(options.Faults), chance.Next(int.MaxValue)));
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Number}: {Fault} after {At.TotalSeconds:F3} s");
}
