using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster;

/// <summary>A parameter of PostgreSQL as the server's own catalogue (<c>pg_settings</c>) describes it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type"><c>bool</c>, <c>integer</c>, <c>real</c>, <c>enum</c> or <c>string</c>.</param>
/// <param name="Unit">The unit of a plain number, such as <c>8kB</c> or <c>ms</c>; null for none.</param>
/// <param name="Minimum">The least value, in this unit; null for none.</param>
/// <param name="Maximum">The greatest value, in this unit; null for none.</param>
/// <param name="Words">The words of an enum.</param>
/// <param name="Context">When it can be changed: <c>postmaster</c> is at a start only.</param>
public sealed record ParameterDefinition(
    string Name, string Type, string? Unit, double? Minimum, double? Maximum, ImmutableArray<string> Words,
    string Context)
{
    private static readonly (string Name, double Bytes)[] s_sizes =
        [("B", 1), ("kB", 1024), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1L << 40)];

    private static readonly (string Name, double Milliseconds)[] s_times =
        [("us", 0.001), ("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

    /// <summary>
    /// Asks a server for all that it has: the columns of <see cref="FromRow"/>, all as texts. No rows when the user may
    /// not see all of them.
    /// </summary>
    public const string Query =
        """
        SELECT name, vartype, unit, min_val, max_val, array_to_string(enumvals, ','), context FROM pg_settings
        WHERE pg_has_role(current_user, 'pg_read_all_settings', 'member')
        """;

    /// <summary>Reads a row of <see cref="Query"/>.</summary>
    /// <param name="text">The text of a column, from 0; null for none.</param>
    public static ParameterDefinition FromRow(Func<int, string?> text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new(
            text(0) ?? "", text(1) ?? "", text(2), Number(text(3)), Number(text(4)),
            text(5) is { } words ? [.. words.Split(',')] : [], text(6) ?? "");

        static double? Number(string? value) =>
            value is null ? null : double.Parse(value, CultureInfo.InvariantCulture);
    }

    /// <summary>Whether a change takes effect at the next start of the server only.</summary>
    public bool NeedsRestart => Context == "postmaster";

    /// <summary>
    /// What is wrong with a value, as the end of a sentence that begins with the parameter; null when nothing is.
    /// </summary>
    public string? ProblemWith(JsonElement value)
    {
        var text = value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!.Trim(),
            JsonValueKind.Number => value.GetRawText(),
            JsonValueKind.True => "on",
            JsonValueKind.False => "off",
            _ => null,
        };
        return text is null ? "must be a single value" : Type switch
        {
            "bool" => IsBoolean(text) ? null : "must be on or off",
            "enum" => IsWord(text) ? null : $"must be one of {string.Join(", ", Words)}",
            "integer" or "real" => NumberProblem(text),
            _ => null,
        };
    }

    /// <summary>PostgreSQL takes any beginning of true, false, yes and no as well, and "of" for off.</summary>
    private static bool IsBoolean(string text) => Scalars.TryBoolean(text, out _)
        || (text.Length > 0 && ((string[])["true", "false", "yes", "no"]).Any(
            word => word.StartsWith(text, StringComparison.OrdinalIgnoreCase)))
        || string.Equals(text, "of", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// An enum that has the words on and off takes the other spellings of these too. The levels of messages have a
    /// word that the catalogue does not show.
    /// </summary>
    private bool IsWord(string text) => Words.Contains(text, StringComparer.OrdinalIgnoreCase)
        || (Words.Contains("debug2", StringComparer.Ordinal)
            && string.Equals(text, "debug", StringComparison.OrdinalIgnoreCase))
        || (Words.Contains("on", StringComparer.Ordinal) && IsBoolean(text));

    private string? NumberProblem(string text)
    {
        var digits = text.AsSpan().TrimEnd("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        var unit = text[digits.Length..];
        var isHexadecimal = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        double number;
        if (isHexadecimal)
        {
            if (!long.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
                out var whole))
            {
                return "must be a number";
            }
            number = whole;
        }
        else if (!double.TryParse(digits.TrimEnd(), NumberStyles.Float, CultureInfo.InvariantCulture, out number))
        {
            return "must be a number";
        }
        else if (unit.Length > 0)
        {
            if (Factor(unit) is not { } factor)
            {
                return $"has the unit {unit}; possible {PossibleUnits()}";
            }
            number *= factor;
        }
        if (Type == "integer")
        {
            number = Math.Round(number, MidpointRounding.ToEven);
        }
        return number < Minimum || number > Maximum
            ? string.Create(CultureInfo.InvariantCulture,
                $"must be from {Minimum} to {Maximum}{(Unit is null ? "" : $" (in units of {Unit})")}")
            : null;
    }

    private string PossibleUnits() =>
        Table() is { } table ? $"are {string.Join(", ", table.Select(one => one.Name))}" : "is none";

    private double? Factor(string unit)
    {
        if (Table() is not { } table || table.FirstOrDefault(one => one.Name == unit) is not { Name: not null } given)
        {
            return null;
        }
        var ofOwn = Unit!;
        var digits = ofOwn.TakeWhile(char.IsAsciiDigit).Count();
        var count = digits == 0 ? 1 : double.Parse(ofOwn.AsSpan(0, digits), CultureInfo.InvariantCulture);
        var own = table.FirstOrDefault(one => one.Name == ofOwn[digits..]);
        return own.Name is null ? null : given.Size / (own.Size * count);
    }

    private (string Name, double Size)[]? Table() => Unit switch
    {
        null => null,
        _ when Unit.EndsWith('B') => s_sizes,
        _ => s_times,
    };
}
