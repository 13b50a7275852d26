using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Demo;

/// <summary>
/// One scenario from beginning to end: the outage that the writer saw, and what of its work is missing.
/// </summary>
internal sealed class Verdict(DemoOptions options, DemoCluster cluster, Observer observer, Action<string> say)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);
    private const int WritesBefore = 200, WritesAfter = 200;

    /// <summary>Returns the exit code: 0 when nothing acknowledged is missing and the cluster is whole again.</summary>
    public async Task<int> RunAsync(ScenarioKind kind)
    {
        await using var writer = new Writer(cluster, observer.Note);
        await using var reader = new Reader(cluster.Proxy);
        await WaitUntil.TrueAsync(() => writer.Count >= WritesBefore, s_patience, "the writer writes");
        await WaitUntil.TrueAsync(() => observer.IsWhole, s_patience, $"the cluster is whole: {observer}");
        say($"Before: {observer}");

        var (writesBefore, errorsBefore, began) = (writer.Count, writer.Errors, DateTimeOffset.Now);
        await new Scenarios(options, cluster, observer, say).RunAsync(kind);
        var problem = await RecoverAsync(writer);
        var outage = writer.LongestGap(writesBefore);
        await writer.StopAsync();

        // The operator's day has shown what it is about, and would be buried.
        foreach (var entry in observer.Events.Where(
            entry => entry.Time >= began && kind != ScenarioKind.Operator))
        {
            say($"  {entry}");
        }
        say($"After: {observer}");
        var missing = problem is null ? await MissingAsync(writer) : null;
        say(string.Create(CultureInfo.InvariantCulture,
            $"Outage seen by the writer: {outage.TotalSeconds:0.000} s ({writer.Errors - errorsBefore} errors)"));
        say(string.Create(CultureInfo.InvariantCulture,
            $"Acknowledged writes: {writer.Count}, missing: "
                + $"{missing?.ToString(CultureInfo.InvariantCulture) ?? "unknown"} (synchronous_mode quorum promises "
                + $"0)"));
        if (problem is not null)
        {
            say($"Not recovered: {problem}");
        }
        return problem is null && missing == 0 ? 0 : 1;
    }

    private async Task<string?> RecoverAsync(Writer writer)
    {
        try
        {
            var count = writer.Count;
            await WaitUntil.TrueAsync(() => writer.Count >= count + WritesAfter, s_patience, "the writer writes again");
            await WaitUntil.TrueAsync(() => observer.IsWhole, s_patience, "the cluster is whole again");
            return null;
        }
        catch (TimeoutException problem)
        {
            return $"{problem.Message} ({observer})";
        }
    }

    /// <summary>How many acknowledged numbers the present primary does not have.</summary>
    private async Task<int?> MissingAsync(Writer writer)
    {
        var primary = observer.Primary?.Name ?? throw new InvalidOperationException($"No primary: {observer}");
        await using var connection = new NpgsqlConnection(cluster[primary].ConnectionString);
        await connection.OpenAsync();
        await using var select = new NpgsqlCommand("SELECT id FROM demo_writes", connection) { CommandTimeout = 60 };
        var there = new HashSet<long>();
        await using var rows = await select.ExecuteReaderAsync();
        while (await rows.ReadAsync())
        {
            there.Add(rows.GetInt64(0));
        }
        return writer.From(0).Count(write => !there.Contains(write.Id));
    }
}
