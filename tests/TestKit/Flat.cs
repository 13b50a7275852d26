using System.Collections;
using System.Reflection;
using System.Text.Json;

namespace Routing.TestKit;

/// <summary>A value in an object, by the names of the fields that lead to it.</summary>
/// <param name="Type">Its type.</param>
/// <param name="Text">Its text.</param>
public readonly record struct Leaf(Type Type, string Text);

/// <summary>Takes objects apart, so that two can be compared by all that they hold.</summary>
public static class Flat
{
    private const BindingFlags Fields =
        BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private const int DeepestLevel = 8;

    /// <summary>All values that an object holds, by their paths. Types of other programs are one value each.</summary>
    public static IReadOnlyDictionary<string, Leaf> Of(object? value)
    {
        var leaves = new SortedDictionary<string, Leaf>(StringComparer.Ordinal);
        Add(leaves, "", value, 0);
        return leaves;
    }

    /// <summary>The paths at which two objects differ.</summary>
    public static IReadOnlyList<string> Differences(object? left, object? right)
    {
        var (one, other) = (Of(left), Of(right));
        return
        [
            .. one.Keys.Union(other.Keys).Where(path =>
                !one.TryGetValue(path, out var first) || !other.TryGetValue(path, out var second) || first != second),
        ];
    }

    private static void Add(SortedDictionary<string, Leaf> leaves, string path, object? value, int level)
    {
        switch (value)
        {
            case null:
                leaves[path] = new Leaf(typeof(object), "");
                return;
            case JsonElement element:
                var text = element.ValueKind == JsonValueKind.Undefined ? "" : element.GetRawText();
                leaves[path] = new Leaf(typeof(JsonElement), text);
                return;
            case not string and IEnumerable items when !IsDefault(value):
                var at = 0;
                foreach (var item in items)
                {
                    Add(leaves, $"{path}[{at++}]", item, level + 1);
                }
                return;
        }
        var type = value.GetType();
        if (type.IsEnum || type.Namespace?.StartsWith("Routing.", StringComparison.Ordinal) != true
            || level > DeepestLevel)
        {
            leaves[path] = new Leaf(type, value.ToString() ?? "");
            return;
        }
        for (var of = type; of is not null && of != typeof(object); of = of.BaseType)
        {
            foreach (var field in of.GetFields(Fields))
            {
                var name = field.Name.StartsWith('<') ? field.Name[1..field.Name.IndexOf('>', 1)] : field.Name;
                Add(leaves, $"{path}.{name}", field.GetValue(value), level + 1);
            }
        }
    }

    // An immutable array that was never set can't be walked.
    private static bool IsDefault(object value) =>
        value.GetType().GetProperty("IsDefault")?.GetValue(value) is true;
}
