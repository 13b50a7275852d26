using System.Text;

namespace Routing.Cli.Output;

/// <summary>
/// The ASCII table: <c>+</c>, <c>-</c> and <c>|</c>, the title in the top border; colours where they are asked for.
/// </summary>
internal static class PrettyTable
{
    public static void Print(TextWriter output, Table table, bool flowObjects, bool isColoured)
    {
        var shown = Enumerable.Range(0, table.Columns.Count).Where(i => !table.Columns[i].InTitle).ToArray();
        var rows = table.Rows
            .Select(row => shown.Select(i => Table.CellText(row[i], flowObjects).Split('\n')).ToArray())
            .ToArray();
        var widths = shown
            .Select((column, i) => Math.Max(
                table.Columns[column].Heading.Length,
                rows.SelectMany(row => row[i]).Select(Width).DefaultIfEmpty(0).Max()))
            .ToArray();
        var alignRight = shown.Select(column => table.Columns[column].AlignRight).ToArray();
        var border = $"+{string.Join('+', widths.Select(width => new string('-', width + 2)))}+";
        // Cells of several lines are hard to tell apart without lines between the rows.
        var separateRows = rows.Any(row => row.Any(cell => cell.Length > 1));

        output.WriteLine(WithTitle(border, table.Title));
        PrintRow(output, [.. shown.Select(column => new[] { table.Columns[column].Heading })], widths, alignRight);
        output.WriteLine(border);
        for (var i = 0; i < rows.Length; i++)
        {
            var row = table.Rows[i];
            var colours = isColoured
                ? shown.Select(column => table.Columns[column].Colour?.Invoke(row[column])).ToArray()
                : null;
            PrintRow(output, rows[i], widths, alignRight, colours);
            if (separateRows || i == rows.Length - 1)
            {
                output.WriteLine(border);
            }
        }
        if (rows.Length == 0)
        {
            output.WriteLine(border);
        }
    }

    private static string WithTitle(string border, string? title)
    {
        var shown = title ?? "";
        shown = shown[..Math.Min(shown.Length, border.Length - 2)];
        return $"{border[0]}{shown}{border[(1 + shown.Length)..]}";
    }

    private static void PrintRow(
        TextWriter output, string[][] cells, int[] widths, bool[] alignRight, string?[]? colours = null)
    {
        var height = cells.Max(cell => cell.Length);
        for (var line = 0; line < height; line++)
        {
            var text = new StringBuilder("|");
            for (var i = 0; i < cells.Length; i++)
            {
                var cell = line < cells[i].Length ? cells[i][line] : "";
                var padding = new string(' ', widths[i] - Width(cell));
                var shown = colours?[i] is { } colour && cell.Length > 0 ? $"\e[{colour}m{cell}\e[0m" : cell;
                text.Append(' ').Append(alignRight[i] ? padding + shown : shown + padding).Append(" |");
            }
            output.WriteLine(text.ToString());
        }
    }

    private static int Width(string text) => text.EnumerateRunes().Count();
}
