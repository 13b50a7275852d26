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
    public void Print(TextWriter output, OutputFormat format, string delimiter)
    {
        if (format == OutputFormat.Tsv)
        {
            foreach (var line in (Columns.Count == 0 ? [] : new[] { Columns.Select(column => column.Key) })
                .Concat(Rows.Select(row => row.Select(cell => Table.CellText(cell, flowObjects: true)))))
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
        new Table(columns, Rows) { HasNulls = true }.Print(output, format);
    }
}
