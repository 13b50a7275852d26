using System.Collections.Immutable;

namespace Routing.TestKit;

/// <summary>Patroni as a distribution ships it, unchanged: its agent and its <c>patronictl</c>.</summary>
/// <remarks>
/// Version 3.0 is Debian 12's own package. <c>ROUTING_TEST_PATRONI4</c> names a folder in which the package of version
/// 4 from a newer Debian was unpacked (<c>scripts/fetch-patroni</c>); it is Python alone, and runs with the interpreter
/// and the libraries of this system.
/// </remarks>
public sealed record PatroniPackage
{
    private const string Variable = "ROUTING_TEST_PATRONI4";
    private const string Interpreter = "/usr/bin/python3";

    private PatroniPackage(string series, string root, params ImmutableArray<string> before) =>
        (Series, Agent, Ctl) =
            (series, [.. before, $"{root}/usr/bin/patroni"], [.. before, $"{root}/usr/bin/patronictl"]);

    /// <summary>Version 3.0, of Debian 12.</summary>
    public static PatroniPackage Debian12 { get; } = new("3", "", Interpreter);

    /// <summary>Version 4; null when no folder with it is named.</summary>
    public static PatroniPackage? Newer { get; } =
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } root
            ? new("4", root, "/usr/bin/env", $"PYTHONPATH={root}/usr/lib/python3/dist-packages", Interpreter)
            : null;

    /// <summary>Those that can be had here.</summary>
    public static IEnumerable<PatroniPackage> All => Newer is null ? [Debian12] : [Debian12, Newer];

    /// <summary>The first number of its version.</summary>
    public string Series { get; }

    /// <summary>The words that start the agent, before its configuration file.</summary>
    public ImmutableArray<string> Agent { get; }

    /// <summary>The words that start <c>patronictl</c>, before its arguments.</summary>
    public ImmutableArray<string> Ctl { get; }

    /// <summary>The package of a series.</summary>
    /// <exception cref="InvalidOperationException">It cannot be had here.</exception>
    public static PatroniPackage Of(string series) =>
        All.FirstOrDefault(package => package.Series == series)
            ?? throw new InvalidOperationException($"Name a folder with Patroni {series} in {Variable}.");
}
