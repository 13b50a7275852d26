using System.Collections.Immutable;
using Routing.Ha;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>Looks whether the checkers find a bug that was planted.</summary>
internal static class Planted
{
    private const int Most = 200;

    /// <summary>The decision with another action.</summary>
    public static Decision With(Decision decision, HaAction action) => decision with { Actions = [action] };

    /// <summary>Runs schedules until one of them shows the violation; fails when none does.</summary>
    public static void Finds(string violation, SimOptions options)
    {
        var others = ImmutableArray.CreateBuilder<string>();
        for (var seed = 1; seed <= Most; seed++)
        {
            if (new SimCluster(seed, options).Run() is not { } found)
            {
                continue;
            }
            if (found.Contains(violation, StringComparison.Ordinal))
            {
                return;
            }
            others.Add(found);
        }

        Assert.Fail($"{Most} schedules did not find it; others found: {string.Join("; ", others.Take(3))}");
    }
}
