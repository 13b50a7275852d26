using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Output;

namespace Routing.Cli.Sql;

/// <summary>The rows of one statement, or of one error.</summary>
/// <param name="Columns">The names of the columns; none for an error, whose rows stand alone.</param>
/// <param name="Rows">The rows; null is SQL's null.</param>
internal sealed record QueryResult(IReadOnlyList<Column> Columns, IReadOnlyList<IReadOnlyList<JsonNode?>> Rows)
{
    public static QueryResult Error(string timestamp, string message) => new([], [[timestamp, message]]);

    /// <summary>Prints the rows in a form.</summary>
    /// <remarks>Where they are text, scripts know true, false and null as True, False and None.</remarks>
    public void Print(TextWriter output, OutputFormat format, string delimiter)
    {
        if (format == OutputFormat.Tsv)
        {
            var lines = Rows.Select(row => row.Select(cell => Table.CellText(AsText(cell), flowObjects: true)));
            foreach (var line in Columns.Count == 0 ? lines : lines.Prepend(Columns.Select(column => column.Key)))
            {
                output.WriteLine(string.Join(delimiter, line));
            }
            return;
        }
        // Without columns, as for an error, they are numbered; two columns may have one name.
        var names = new HashSet<string>(StringComparer.Ordinal);
        var columns =
            (Columns.Count > 0 ? Columns : [.. Enumerable.Range(0, Rows[0].Count).Select(i => new Column($"{i}"))])
            .Select((column, i) => names.Add(column.Key) ? column : column with { Key = $"{column.Key}_{i}" })
            .ToArray();
        var rows = format.IsForPeople() ? [.. Rows.Select(row => row.Select(AsText).ToArray())] : Rows;
        new Table(columns, rows) { HasNulls = true }.Print(output, format);
    }

    private static JsonNode? AsText(JsonNode? cell) => cell?.GetValueKind() switch
    {
        null => "None",
        JsonValueKind.True => "True",
        JsonValueKind.False => "False",
        _ => cell,
    };
}
