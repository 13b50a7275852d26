using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// Random schedules about servers, their data and their guards, in mixes of their own. See <see cref="Replay"/>.
/// </summary>
public sealed class ServerScheduleTests(ITestOutputHelper output)
{
    public static TheoryData<string> Names => [.. Scenario.NamesOfServers];

    [Theory]
    [MemberData(nameof(Names))]
    public void No_schedule_breaks_an_invariant(string name) =>
        Schedules.Hold(_ => Scenario.OfServers[name], Schedules.Count / 10, output);
}
