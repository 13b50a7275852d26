using System.Globalization;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>
/// Applications as they are out there, each through ten planned switchovers: they see pauses, and nothing else.
/// </summary>
/// <remarks>ROUTING_TEST_FULL=1 runs them; ROUTING_DRILLS_REPORT=FILE writes the table of what they saw.</remarks>
public sealed class SwitchoverDrillTests(DrillCluster fixture) : IClassFixture<DrillCluster>
{
    private const int Rounds = 10;
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(1), s_median = TimeSpan.FromSeconds(0.5);
    private static readonly bool s_isFull = Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 };

    private static IEnumerable<DrillClient> All =>
    [
        .. from script in (PgbenchScript[])[PgbenchScript.TpcB, PgbenchScript.Select]
           from mode in (string[])["simple", "extended", "prepared"]
           from clients in (int[])[16, 64]
           select new PgbenchClient(script, mode, clients),
        new PgbenchClient(PgbenchScript.Insert, "simple", clients: 8, reconnects: true),
        ScriptClient.Psycopg, ScriptClient.Psycopg2, ScriptClient.Node, ScriptClient.Jdbc,
        NpgsqlClient.Kept, NpgsqlClient.Plain, NpgsqlClient.Pooled, NpgsqlClient.Preparing,
        new DriverClient(DriverWay.Connections), new DriverClient(DriverWay.UnitsOfWork),
        new DriverClient(DriverWay.EntityFramework),
        new NotifyClient(), new StatefulClient(),
    ];

    // Those alone whose names contain the text of this variable.
    private static string Only => Environment.GetEnvironmentVariable("ROUTING_DRILLS_ONLY") ?? "";

    public static TheoryData<string> Names =>
        [.. All.Select(client => client.Name).Where(name => name.Contains(Only, StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Ten_in_a_row_cost_a_client_a_pause_and_nothing_else(string name)
    {
        Assert.SkipUnless(s_isFull, "ROUTING_TEST_FULL=1 runs this drill.");
        var client = All.Single(one => one.Name == name);
        if (client.Missing is { } packages)
        {
            DrillReport.Add(client, $"not run: {packages} not installed");
            Assert.Skip($"{name} needs {packages}.");
        }
        var (cluster, leader) = await fixture.TakeAsync();
        DrillOutcome outcome;
        try
        {
            outcome = await new SwitchoverDrill(cluster, [client]).RunAsync(leader, Rounds);
        }
        catch (Exception failed)
        {
            var words = failed.Message.Split('\n');
            var telling = words.FirstOrDefault(
                line => line.Contains("error:", StringComparison.Ordinal)
                    || line.Contains("FATAL", StringComparison.Ordinal),
                words[0]);
            DrillReport.Add(client, $"FAILED: {telling}");
            throw;
        }
        DrillReport.Add(outcome);
        var pauses = outcome.Clients[0].Pauses.Order().ToList();
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{client.Acknowledged} rows, pauses {string.Join(", ", pauses.Select(one => $"{one:0}"))} ms"));
        BusyMachine.AssertWithin(s_longest, TimeSpan.FromMilliseconds(pauses[^1]));
        BusyMachine.AssertWithin(s_median, TimeSpan.FromMilliseconds(DrillReport.MedianOf(pauses)));
    }
}
