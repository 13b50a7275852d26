using System.Text.Json.Nodes;
using Routing.Cli.Output;
using Routing.Cluster.Events;
using Routing.Cluster.Text;

namespace Routing.Cli.Events;

/// <summary>Events in each output format, one by one or together.</summary>
internal static class EventText
{
    private static readonly Column[] s_columns =
    [
        new("Time"), new("Member"), new("Id"), new("Kind"), new("Code"), new("Text"),
    ];

    /// <summary>Prints events that are all there.</summary>
    public static void Print(TextWriter output, IReadOnlyList<ClusterEvent> events, OutputFormat format)
    {
        switch (format)
        {
            case OutputFormat.Json:
                output.WriteLine(JsonLine.Write(ToJson(events)));
                break;
            case OutputFormat.Yaml:
                output.Write(SortedYaml.WriteBlock(ToJson(events)));
                break;
            case OutputFormat.Tsv:
                new Table(s_columns, [.. events.Select(Row)]).Print(output, format);
                break;
            default:
                var width = events.Select(item => item.Member.Length).DefaultIfEmpty(0).Max();
                foreach (var item in events)
                {
                    output.WriteLine(Line(item, width));
                }
                break;
        }
    }

    /// <summary>What stands above events that are printed one by one; null for nothing.</summary>
    public static string? Heading(OutputFormat format) =>
        format == OutputFormat.Tsv ? string.Join('\t', s_columns.Select(column => column.Key)) : null;

    /// <summary>Prints one event of a row that has no end: one line, or one YAML document.</summary>
    public static void PrintOne(TextWriter output, ClusterEvent item, OutputFormat format, int width)
    {
        switch (format)
        {
            case OutputFormat.Json:
                output.WriteLine(JsonLine.Write(ToJson(item)));
                break;
            case OutputFormat.Yaml:
                output.Write("---\n" + SortedYaml.WriteBlock(ToJson(item)));
                break;
            case OutputFormat.Tsv:
                output.WriteLine(string.Join('\t',
                    Row(item).Select(cell => Table.CellText(cell, flowObjects: true).Replace('\t', ' '))));
                break;
            default:
                output.WriteLine(Line(item, width));
                break;
        }
        output.Flush();
    }

    private static string Line(ClusterEvent item, int width) =>
        $"{IsoTime.FormatUtc(item.Time)} {item.Member.PadRight(width)} {item.Kind}/{item.Code}: {item.Text}";

    private static JsonNode?[] Row(ClusterEvent item) =>
        [IsoTime.FormatUtc(item.Time), item.Member, item.Id, item.Kind, item.Code, item.Text];

    private static JsonArray ToJson(IEnumerable<ClusterEvent> events) => [.. events.Select(ToJson)];

    private static JsonNode? ToJson(ClusterEvent item) => JsonNode.Parse(ClusterEventJson.Line(item));
}
