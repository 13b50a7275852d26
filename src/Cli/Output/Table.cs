using System.Text.Json.Nodes;

namespace Routing.Cli.Output;

/// <summary>A column of a table.</summary>
/// <param name="Key">The column's name in TSV, JSON and YAML.</param>
/// <param name="AlignRight">Whether the pretty form aligns it to the right.</param>
internal sealed record Column(string Key, bool AlignRight = false)
{
    /// <summary>The column's name in the pretty form.</summary>
    public string Heading { get; init; } = Key;

    /// <summary>The colour of a cell in the pretty form, as the code of an SGR sequence; null for none.</summary>
    public Func<JsonNode?, string?>? Colour { get; init; }

    /// <summary>Left out in the pretty form, because the title says it.</summary>
    public bool InTitle { get; init; }
}

/// <summary>Rows under columns, printable in every form. A null cell is empty.</summary>
/// <param name="Columns">The columns.</param>
/// <param name="Rows">One cell per column: text, a number, or an object.</param>
internal sealed record Table(IReadOnlyList<Column> Columns, IReadOnlyList<IReadOnlyList<JsonNode?>> Rows)
{
    /// <summary>What the top border of the pretty form says, or null for a plain one.</summary>
    public string? Title { get; init; }

    /// <summary>Whether JSON and YAML leave out empty cells instead of showing them as empty text.</summary>
    public bool OmitsEmpty { get; init; }

    /// <summary>Whether an empty cell is a null in JSON and YAML, rather than an empty text.</summary>
    public bool HasNulls { get; init; }

    /// <summary>Prints the table, ended by a line break.</summary>
    public void Print(TextWriter output, OutputFormat format, bool isColoured = false)
    {
        switch (format)
        {
            case OutputFormat.Json:
                output.WriteLine(JsonLine.Write(ToObjects()));
                break;
            case OutputFormat.Yaml:
                output.Write(SortedYaml.WriteBlock(ToObjects()));
                break;
            case OutputFormat.Tsv:
                PrintTsv(output);
                break;
            default:
                PrettyTable.Print(output, this, flowObjects: format == OutputFormat.Topology, isColoured);
                break;
        }
    }

    /// <summary>A cell as text; objects in YAML's flow form, or in its block form.</summary>
    public static string CellText(JsonNode? cell, bool flowObjects) => cell switch
    {
        null => "",
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        _ => flowObjects ? SortedYaml.WriteFlow(cell) : SortedYaml.WriteBlock(cell).TrimEnd('\n'),
    };

    private JsonArray ToObjects()
    {
        var objects = new JsonArray();
        foreach (var row in Rows)
        {
            var item = new JsonObject();
            for (var i = 0; i < Columns.Count; i++)
            {
                if (row[i] is { } cell)
                {
                    item[Columns[i].Key] = cell.DeepClone();
                }
                else if (!OmitsEmpty)
                {
                    item[Columns[i].Key] = HasNulls ? null : "";
                }
            }
            objects.Add((JsonNode)item);
        }
        return objects;
    }

    private void PrintTsv(TextWriter output)
    {
        output.WriteLine(string.Join('\t', Columns.Select(column => column.Key)));
        foreach (var row in Rows)
        {
            // A line break or tab inside a cell would tear the row apart.
            var cells =
                row.Select(
                    cell => CellText(cell, flowObjects: true).Replace("\n", "; ", StringComparison.Ordinal)
                        .Replace('\t', ' '));
            output.WriteLine(string.Join('\t', cells));
        }
    }
}
