using System.Globalization;
using System.Text.Json.Nodes;

namespace Routing.TestKit;

/// <summary>Every place of a configuration, and the configuration with something odd at one of them.</summary>
/// <param name="whole">A configuration in which every setting is given.</param>
public sealed class OddPlaces(JsonNode whole)
{
    private const char Separator = '/';
    private const string Mark = "placed-here";

    /// <summary>The path of each value, of those inside of objects and arrays too, such as <c>log/level</c>.</summary>
    public IReadOnlyList<string> Paths { get; } = [.. PathsOf(whole, "")];

    /// <summary>The configuration as JSON with each of the texts in the place of one value.</summary>
    /// <param name="path">One of <see cref="Paths"/>.</param>
    /// <param name="texts">YAML in flow form, such as <c>[null]</c>.</param>
    public IEnumerable<(string Text, string Whole)> With(string path, IEnumerable<string> texts)
    {
        var marked = Marked(path);
        return texts.Select(text => (text, marked.Replace($"\"{Mark}\"", text, StringComparison.Ordinal)));
    }

    private string Marked(string path)
    {
        var tree = whole.DeepClone();
        var keys = path.Split(Separator);
        var at = tree;
        foreach (var key in keys[..^1])
        {
            at = at is JsonArray list ? list[Index(key)]! : at[key]!;
        }
        if (at is JsonArray items)
        {
            items[Index(keys[^1])] = Mark;
        }
        else
        {
            at[keys[^1]] = Mark;
        }
        return tree.ToJsonString();
    }

    private static int Index(string key) => int.Parse(key, CultureInfo.InvariantCulture);

    private static IEnumerable<string> PathsOf(JsonNode node, string prefix)
    {
        IEnumerable<(string, JsonNode?)> inner = node switch
        {
            JsonObject map => map.Select(pair => (pair.Key, pair.Value)),
            JsonArray list => list.Select((item, index) => (index.ToString(CultureInfo.InvariantCulture), item)),
            _ => [],
        };
        foreach (var (key, value) in inner)
        {
            var path = prefix.Length == 0 ? key : $"{prefix}{Separator}{key}";
            yield return path;
            foreach (var deeper in value is null ? [] : PathsOf(value, path))
            {
                yield return deeper;
            }
        }
    }
}
