using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Routing.Samples.Tests.Monitoring;

/// <summary>A query of a panel.</summary>
internal sealed record PanelQuery(string Dashboard, string Panel, string Expression)
{
    public override string ToString() => $"{Dashboard}: {Panel}: {Expression}";
}

/// <summary>What <c>deploy/</c> holds for Prometheus and Grafana.</summary>
internal static partial class ShippedMonitoring
{
    /// <summary>The folder with <c>prometheus</c> and <c>grafana</c>, beside the tests.</summary>
    public static string Folder => Path.Combine(AppContext.BaseDirectory, "deploy");

    /// <summary>The alert rules.</summary>
    public static string Rules => File.ReadAllText(Path.Combine(Folder, "prometheus", "routing.rules.yml"));

    /// <summary>The names of the alerts.</summary>
    public static IReadOnlyList<string> Alerts =>
        [.. AlertName().Matches(Rules).Select(match => match.Groups[1].Value)];

    /// <summary>All queries of all panels, with everything chosen in each of the dashboards' lists.</summary>
    public static IReadOnlyList<PanelQuery> Queries =>
    [
        .. from file in Directory.EnumerateFiles(Path.Combine(Folder, "grafana"), "*.json").Order()
           let dashboard = JsonNode.Parse(File.ReadAllText(file))!
           from panel in dashboard["panels"]!.AsArray()
           from target in panel!["targets"]!.AsArray()
           select new PanelQuery(
               Path.GetFileNameWithoutExtension(file), (string)panel["title"]!,
               Variable().Replace(
                   ((string)target!["expr"]!).Replace("$__rate_interval", "10s", StringComparison.Ordinal), ".*")),
    ];

    /// <summary>The rules with all times to wait shortened: a minute becomes some seconds.</summary>
    public static string RulesInSeconds(int secondsOfMinute) => Wait().Replace(Rules, wait => string.Create(
        CultureInfo.InvariantCulture,
        $"for: {int.Parse(wait.Groups[1].ValueSpan, CultureInfo.InvariantCulture)
            * (wait.Groups[2].Value switch { "h" => 60, "m" => 1, _ => 1.0 / 60 }) * secondsOfMinute:0}s"));

    /// <summary>The names of metrics that a text has.</summary>
    public static IEnumerable<string> MetricsOf(string text) =>
        Metric().Matches(text.Replace("(routing_driver_){1,2}", "routing_driver_", StringComparison.Ordinal))
            .Select(match => match.Value).Distinct();

    [GeneratedRegex(@"- alert: (\w+)")]
    private static partial Regex AlertName();

    [GeneratedRegex(@"for: (\d+)([hms])")]
    private static partial Regex Wait();

    [GeneratedRegex(@"\$\w+")]
    private static partial Regex Variable();

    [GeneratedRegex(@"\b(patroni|routing)_\w+")]
    private static partial Regex Metric();
}
