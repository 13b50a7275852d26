using System.Collections.Immutable;
using System.Globalization;
using Routing.Cluster;

namespace Routing.Ha.Rewind;

/// <summary>One line of a timeline history file.</summary>
/// <param name="Timeline">The timeline that ended.</param>
/// <param name="SwitchPoint">Where it ended.</param>
/// <param name="Reason">Why, in PostgreSQL's words; empty when the line names no reason.</param>
public readonly record struct TimelineSwitch(uint Timeline, Lsn SwitchPoint, string Reason);

/// <summary>PostgreSQL's <c>.history</c> files: the ancestors of a timeline, oldest first.</summary>
public static class TimelineHistoryFile
{
    /// <summary>
    /// Reads the file's text. Blank lines and lines that begin with # are skipped; timelines must rise, as PostgreSQL
    /// demands.
    /// </summary>
    /// <exception cref="FormatException">A line is not "timeline, position, reason".</exception>
    public static ImmutableArray<TimelineSwitch> Parse(string text)
    {
        var lines = ImmutableArray.CreateBuilder<TimelineSwitch>();
        foreach (var raw in text.Split('\n'))
        {
            var line = raw.Trim();
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }
            var fields =
                line.Split(s_blanks, 3, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (fields.Length < 2
                || !uint.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out var timeline)
                || !Lsn.TryParse(fields[1], out var position))
            {
                throw new FormatException(
                    $"'{line}' is not a line of a timeline history file: timeline, position, reason.");
            }
            if (lines.Count > 0 && lines[^1].Timeline >= timeline)
            {
                throw new FormatException(
                    $"Timeline {timeline} stands after {lines[^1].Timeline} in a timeline history file.");
            }
            lines.Add(new TimelineSwitch(timeline, position, fields.Length > 2 ? fields[2] : ""));
        }
        return lines.ToImmutable();
    }

    private static readonly char[] s_blanks = [' ', '\t'];
}
