using Xunit;

namespace Routing.TestKit;

/// <summary>Programs that are not part of PostgreSQL, and that a release of the system need not have.</summary>
/// <remarks>
/// <c>./test</c> installs them. <c>./test --on SUITE</c> names in <c>ROUTING_TEST_WITHOUT</c> those that the suite
/// lacks. A program that is missing and not named there lets its tests fail.
/// </remarks>
public static class Installed
{
    private static readonly string[] s_missing =
        (Environment.GetEnvironmentVariable("ROUTING_TEST_WITHOUT") ?? "")
            .Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Skips the running test when the system has no such program.</summary>
    /// <param name="program">As <c>scripts/roots.sh</c> calls it, such as <c>haproxy</c>.</param>
    public static void Require(string program) =>
        Assert.SkipWhen(s_missing.Contains(program), $"This release of the system has no {program}.");
}
