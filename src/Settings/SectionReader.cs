using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Settings;

/// <summary>Reads one section of a configuration, value by value. A key that was never read is unknown.</summary>
/// <remarks>A wrong value goes into the report with its place, and reads as missing, so that reading goes on.</remarks>
public sealed class SectionReader
{
    private readonly JsonObject? _section;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    /// <summary>The root of <paramref name="tree"/>.</summary>
    public SectionReader(SettingsTree tree, SettingsReport report)
        : this(tree ?? throw new ArgumentNullException(nameof(tree)), report, "", tree.Root)
    {
    }

    /// <summary>
    /// The section <paramref name="section"/> of <paramref name="tree"/>, which stands at <paramref name="path"/>.
    /// </summary>
    public SectionReader(SettingsTree tree, SettingsReport report, string path, JsonObject? section)
    {
        Tree = tree;
        Report = report;
        Path = path;
        _section = section;
    }

    /// <summary>The whole configuration.</summary>
    public SettingsTree Tree { get; }

    /// <summary>Where problems go.</summary>
    public SettingsReport Report { get; }

    /// <summary>The section's own path; empty for the root.</summary>
    public string Path { get; }

    /// <summary>Whether the section stands in the configuration at all.</summary>
    public bool Exists => _section is not null;

    /// <summary>The keys that have a value.</summary>
    public IEnumerable<string> Keys =>
        _section is null ? [] : _section.Where(pair => pair.Value is not null).Select(pair => pair.Key);

    /// <summary>The keys that have a value and that were not read yet.</summary>
    public IEnumerable<string> UnknownKeys => Keys.Where(key => !_known.Contains(key));

    /// <summary>The value as it stands, without taking note that it is known.</summary>
    public JsonNode? Peek(string key) => _section?[key];

    /// <summary>Whether <paramref name="key"/> has a value.</summary>
    public bool Has(string key) => _section?[key] is not null;

    /// <summary>The value as it stands; null when it is missing.</summary>
    public JsonNode? Any(string key)
    {
        _known.Add(key);
        return _section?[key];
    }

    /// <summary>Marks keys as known without reading them.</summary>
    public void Ignore(params ReadOnlySpan<string> keys)
    {
        foreach (var key in keys)
        {
            _known.Add(key);
        }
    }

    /// <summary>
    /// A text. A number is taken as its digits; a boolean is refused, since the word that was written is not known.
    /// </summary>
    public string? Text(string key)
    {
        var node = Any(key);
        switch (node)
        {
            case null:
                return null;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                var text = value.GetValue<string>();
                return text.Contains('\0', StringComparison.Ordinal)
                    // no path, name or command can hold one
                    ? Wrong<string>(key, node, "a text without null characters")
                    : text;
            case JsonValue value when value.GetValueKind() == JsonValueKind.Number:
                return value.ToJsonString();
            default:
                return Wrong<string>(key, node, "a text (a word such as on or yes needs quotes)");
        }
    }

    /// <summary>A text that must be there and not be empty; "" and an error when it is not.</summary>
    public string RequiredText(string key)
    {
        if (!Has(key))
        {
            _known.Add(key);
            Missing(key);
            return "";
        }
        if (Text(key) is not { } text)
        {
            return "";
        }
        if (text.Length == 0)
        {
            Wrong<string>(key, _section![key]!, "a text that is not empty");
        }
        return text;
    }

    /// <summary>A whole number between two bounds, also when it is written as text.</summary>
    public long? Whole(string key, long minimum = long.MinValue, long maximum = long.MaxValue)
    {
        if (Any(key) is not { } node)
        {
            return null;
        }
        return TryInteger(node, out var number) && number >= minimum && number <= maximum
            ? number
            : Wrong<long?>(key, node, Range(minimum, maximum));
    }

    /// <summary>A whole number between two bounds, also when it is written as text.</summary>
    public int? Number(string key, int minimum = int.MinValue, int maximum = int.MaxValue) =>
        (int?)Whole(key, minimum, maximum);

    /// <summary>Seconds, as a whole number.</summary>
    public TimeSpan? Seconds(string key, int minimum = 0) =>
        Number(key, minimum) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;

    /// <summary>The permission bits of a file: an octal number in YAML's form, or octal digits in a text.</summary>
    public int? FileMode(string key)
    {
        const int All = 0b111_111_111;
        if (Any(key) is not { } node)
        {
            return null;
        }
        if (node.GetValueKind() == JsonValueKind.String)
        {
            var digits = node.GetValue<string>().Trim();
            var octal = digits.StartsWith("0o", StringComparison.OrdinalIgnoreCase) ? digits[2..] : digits;
            if (octal.Length is > 0 and <= 5 && octal.All(digit => digit is >= '0' and <= '7'))
            {
                var mode = octal.Aggregate(0, (sum, digit) => (sum * 8) + (digit - '0'));
                return mode <= All ? mode : Wrong<int?>(key, node, "octal digits from 0000 to 0777");
            }
        }
        return TryInteger(node, out var number) && number is >= 0 and <= All
            ? (int)number
            : Wrong<int?>(key, node, "octal digits from 0000 to 0777");
    }

    /// <summary>on, off, true, false, yes, no, 1, 0 in any case, quoted or not.</summary>
    public bool? Boolean(string key)
    {
        if (Any(key) is not { } node)
        {
            return null;
        }
        return node is JsonValue && Scalars.TryBoolean(ToElement(node), out var value)
            ? value
            : Wrong<bool?>(key, node, "on, off, true, false, yes, no, 1 or 0");
    }

    /// <summary>One of several words, in any case.</summary>
    public T? Choice<T>(string key, params ReadOnlySpan<(string Word, T Value)> choices)
        where T : struct
    {
        if (Any(key) is not { } node)
        {
            return null;
        }
        // YAML makes a boolean of a bare on or off; here it may be meant as the word.
        var word = node.GetValueKind() switch
        {
            JsonValueKind.True => "on",
            JsonValueKind.False => "off",
            JsonValueKind.String => node.GetValue<string>().Trim(),
            _ => Shown(node),
        };
        foreach (var (candidate, value) in choices)
        {
            if (string.Equals(candidate, word, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }
        var words = new List<string>();
        foreach (var (candidate, _) in choices)
        {
            words.Add(candidate);
        }
        return Wrong<T?>(key, node, "one of " + string.Join(", ", words));
    }

    /// <summary><c>host:port</c>; without a port only where there is a default.</summary>
    public HostPort? Address(string key, int? defaultPort = null)
    {
        if (Text(key) is not { } text)
        {
            return null;
        }
        return HostPort.TryParse(text, defaultPort ?? -1, out var address) && address.Port > 0
            ? address
            : Wrong<HostPort?>(key, _section![key]!, "host:port with a port from 1 to 65535");
    }

    /// <summary>
    /// A list of texts; a single text stands for a list of one, unless it holds commas: then they separate.
    /// </summary>
    public ImmutableArray<string>? CommaList(string key) =>
        Any(key) is JsonValue value && value.GetValueKind() == JsonValueKind.String
            ? [.. value.GetValue<string>()
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)]
            : TextList(key);

    /// <summary>A list of texts; null when it is missing.</summary>
    public ImmutableArray<string>? TextList(string key)
    {
        switch (Any(key))
        {
            case null:
                return null;
            case JsonArray list:
                var texts = ImmutableArray.CreateBuilder<string>(list.Count);
                for (var index = 0; index < list.Count; index++)
                {
                    if (ScalarText(list[index]) is { } text)
                    {
                        texts.Add(text);
                    }
                    else
                    {
                        Wrong<string>(string.Create(CultureInfo.InvariantCulture, $"{key}[{index}]"), list[index],
                            "a text");
                    }
                }
                return texts.ToImmutable();
            case var node:
                return Wrong<ImmutableArray<string>?>(key, node, "a list of texts");
        }
    }

    /// <summary>
    /// A mapping of names to texts; numbers and booleans become text (on, off); null when it is missing.
    /// </summary>
    public ImmutableSortedDictionary<string, string>? TextMap(string key, StringComparer? comparer = null)
    {
        switch (Any(key))
        {
            case null:
                return null;
            case JsonObject map:
                var texts = ImmutableSortedDictionary.CreateBuilder<string, string>(comparer ?? StringComparer.Ordinal);
                foreach (var (name, value) in map.Where(pair => pair.Value is not null))
                {
                    if (ScalarText(value) is { } text)
                    {
                        texts[name] = text;
                    }
                    else
                    {
                        Wrong<string>(SettingsTree.Join(key, name), value, "a text, a number or a boolean");
                    }
                }
                return texts.ToImmutable();
            case var node:
                return Wrong<ImmutableSortedDictionary<string, string>?>(key, node, "a mapping of names to values");
        }
    }

    /// <summary>
    /// The section below <paramref name="key"/>; one that does not exist when it is missing or no mapping.
    /// </summary>
    public SectionReader Section(string key)
    {
        var node = Any(key);
        if (node is not null and not JsonObject)
        {
            Wrong<string>(key, node, "a mapping of keys to values");
        }
        return new SectionReader(Tree, Report, SettingsTree.Join(Path, key), node as JsonObject);
    }

    /// <summary>Warns of every key that was never read.</summary>
    public void WarnUnknownKeys()
    {
        foreach (var key in UnknownKeys.ToList())
        {
            Warn(key, "this key is not known and has no effect");
        }
    }

    /// <summary>Reports a missing value.</summary>
    public void Missing(string key)
    {
        var path = SettingsTree.Join(Path, key);
        Report.Error(new SettingsProblem(Tree.OriginOf(path), path, null, "is not defined."));
    }

    /// <summary>Reports a wrong value: <paramref name="allowed"/> completes "must be …".</summary>
    public void Wrong(string key, string allowed) => Wrong<string>(key, _section?[key], allowed);

    /// <summary>Reports something to know about a key.</summary>
    public void Warn(string key, string message)
    {
        var path = SettingsTree.Join(Path, key);
        Report.Warning(new SettingsProblem(Tree.OriginOf(path), path, null, message));
    }

    /// <summary>A scalar as text: booleans as on and off, numbers as written; null for anything else.</summary>
    public static string? ScalarText(JsonNode? node) => node?.GetValueKind() switch
    {
        JsonValueKind.String => node.GetValue<string>(),
        JsonValueKind.Number => node.ToJsonString(),
        JsonValueKind.True => "on",
        JsonValueKind.False => "off",
        _ => null,
    };

    /// <summary>A scalar as text; of anything else its kind alone, for what stands in it may be secret.</summary>
    public static string Shown(JsonNode? node) => ScalarText(node) ?? node switch
    {
        null => "null",
        JsonArray => "(a list)",
        _ => "(a mapping)",
    };

    /// <summary>The node as an element that outlives the tree.</summary>
    public static JsonElement ToElement(JsonNode? node) => JsonElement.Parse(node?.ToJsonString() ?? "null");

    private T? Wrong<T>(string key, JsonNode? node, string allowed)
    {
        var path = SettingsTree.Join(Path, key);
        Report.Error(new SettingsProblem(Tree.OriginOf(path), path, Shown(node), $"must be {allowed}"));
        return default;
    }

    private static bool TryInteger(JsonNode node, out long number)
    {
        number = 0;
        return node is JsonValue && Scalars.TryInteger(ToElement(node), out number);
    }

    private static string Range(long minimum, long maximum) => (minimum, maximum) switch
    {
        (long.MinValue or int.MinValue, long.MaxValue or int.MaxValue) => "a whole number",
        (_, long.MaxValue or int.MaxValue) =>
            string.Create(CultureInfo.InvariantCulture, $"a whole number of at least {minimum}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"a whole number from {minimum} to {maximum}"),
    };
}
