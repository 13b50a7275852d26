using System.Globalization;
using System.Text;

namespace Routing.Cli.Editing;

/// <summary>The difference of two texts in the unified form, with three lines around each change.</summary>
internal static class UnifiedDiff
{
    private const int Context = 3;

    private enum Kind
    {
        Same,
        Removed,
        Added,
    }

    private readonly record struct Line(Kind Kind, string Text);

    /// <summary>The lines of the difference; none when the texts are equal.</summary>
    public static IReadOnlyList<string> Of(string before, string after)
    {
        var script = Script(Lines(before), Lines(after));
        var output = new List<string>();
        if (script.TrueForAll(line => line.Kind == Kind.Same))
        {
            return output;
        }
        output.Add("--- ");
        output.Add("+++ ");
        var (oldLine, newLine, at) = (1, 1, 0);
        foreach (var (from, to) in Hunks(script))
        {
            for (; at < from; at++)
            {
                Advance(script[at], ref oldLine, ref newLine);
            }
            var (oldStart, newStart) = (oldLine, newLine);
            var body = new List<string>();
            for (; at < to; at++)
            {
                body.Add($"{Sign(script[at].Kind)}{script[at].Text}");
                Advance(script[at], ref oldLine, ref newLine);
            }
            output.Add($"@@ -{Range(oldStart, oldLine - oldStart)} +{Range(newStart, newLine - newStart)} @@");
            output.AddRange(body);
        }
        return output;
    }

    /// <summary>The lines with the colours that people know: red for what goes, green for what comes.</summary>
    public static string Coloured(IEnumerable<string> lines)
    {
        var text = new StringBuilder();
        foreach (var line in lines)
        {
            var colour = line switch
            {
                ['-', '-', '-', ..] or ['+', '+', '+', ..] => "1",
                ['-', ..] => "31",
                ['+', ..] => "32",
                ['@', ..] => "36",
                _ => null,
            };
            text.Append(colour is null ? line : $"\e[{colour}m{line}\e[0m").Append('\n');
        }
        return text.ToString();
    }

    private static string[] Lines(string text) => text.Length == 0 ? [] : text.TrimEnd('\n').Split('\n');

    private static char Sign(Kind kind) => kind switch { Kind.Removed => '-', Kind.Added => '+', _ => ' ' };

    private static void Advance(Line line, ref int oldLine, ref int newLine)
    {
        oldLine += line.Kind == Kind.Added ? 0 : 1;
        newLine += line.Kind == Kind.Removed ? 0 : 1;
    }

    /// <summary>A range without lines names the line before it.</summary>
    private static string Range(int start, int count) => string.Create(
        CultureInfo.InvariantCulture, $"{(count == 0 ? start - 1 : start)}{(count == 1 ? "" : $",{count}")}");

    private static IEnumerable<(int From, int To)> Hunks(List<Line> script)
    {
        (int From, int To)? hunk = null;
        for (var i = 0; i < script.Count; i++)
        {
            if (script[i].Kind == Kind.Same)
            {
                continue;
            }
            var from = Math.Max(0, i - Context);
            if (hunk is { } open && from > open.To)
            {
                yield return open;
                hunk = null;
            }
            hunk = (hunk?.From ?? from, Math.Min(script.Count, i + 1 + Context));
        }
        if (hunk is { } last)
        {
            yield return last;
        }
    }

    /// <summary>
    /// The longest common subsequence, with what stands between: a configuration is short enough for the plain table.
    /// </summary>
    private static List<Line> Script(string[] before, string[] after)
    {
        var common = new int[before.Length + 1, after.Length + 1];
        for (var i = before.Length - 1; i >= 0; i--)
        {
            for (var j = after.Length - 1; j >= 0; j--)
            {
                common[i, j] =
                    before[i] == after[j] ? common[i + 1, j + 1] + 1 : Math.Max(common[i + 1, j], common[i, j + 1]);
            }
        }
        var script = new List<Line>();
        var (left, right) = (0, 0);
        while (left < before.Length || right < after.Length)
        {
            if (left < before.Length && right < after.Length && before[left] == after[right])
            {
                script.Add(new Line(Kind.Same, before[left++]));
                right++;
            }
            else if (left < before.Length
                && (right == after.Length || common[left + 1, right] >= common[left, right + 1]))
            {
                script.Add(new Line(Kind.Removed, before[left++]));
            }
            else
            {
                script.Add(new Line(Kind.Added, after[right++]));
            }
        }
        return script;
    }
}
