using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Routing.Driver.Settings;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>
/// Default, unit, range and words of each keyword in the driver's document are those of the connection string.
/// </summary>
public sealed partial class DocumentedSettingsTests
{
    [Fact]
    public void A_keyword_is_read_as_its_entry_says()
    {
        var probe = new SettingProbe(
            Read, [new JsonObject { ["Cluster"] = "orders", ["Etcd"] = "127.0.0.1", ["Rest"] = "127.0.0.1" }]);
        // The last entry stands for all of Npgsql's.
        var settings = DocumentedSetting.Of(Repository.Section("driver.md", "## Settings"), "");

        var problems = settings.SelectMany(probe.ProblemsOf).ToList();

        Assert.True(settings.Count > 20, $"{settings.Count} settings");
        Assert.True(problems.Count == 0, string.Join('\n', problems));
    }

    private static ProbedSettings Read(JsonObject keywords)
    {
        try
        {
            var options = RoutingConnectionString.Parse(
                string.Join(';', keywords.Select(pair => $"{pair.Key}={pair.Value}")));
            RoutingConnectionString.Check(options);
            return new ProbedSettings(options, [], []);
        }
        catch (ArgumentException problem)
        {
            return new ProbedSettings(null, [Plain(problem.Message)], []);
        }
    }

    /// <summary>The words of an enum as the document writes them: <c>LeastBusy</c> is <c>least-busy</c>.</summary>
    private static string Plain(string message) => Names().Match(message) is { Success: true } names
        ? "must be one of " + Capital().Replace(names.Groups[1].Value, "-$1").ToLowerInvariant()
        : message;

    [GeneratedRegex(@"one of ([\w, ]+)\.")]
    private static partial Regex Names();

    [GeneratedRegex("(?<=[a-z])([A-Z])")]
    private static partial Regex Capital();
}
