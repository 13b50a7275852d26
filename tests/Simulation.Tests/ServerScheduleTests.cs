using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// Random schedules about servers, their data and their guards, in mixes of their own. See <see cref="Replay"/>.
/// </summary>
public sealed class ServerScheduleTests(ITestOutputHelper output)
{
    private static readonly int s_count = Replay.Count ?? 1000;

    public static TheoryData<string> Names => [.. Scenario.NamesOfServers];

    [Theory]
    [MemberData(nameof(Names))]
    public void No_schedule_breaks_an_invariant(string name) =>
        Schedules.Hold(_ => Scenario.OfServers[name], s_count / 10, output);
}
