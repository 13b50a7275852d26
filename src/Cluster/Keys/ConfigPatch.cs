using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Keys;

/// <summary>Merges a patch into a configuration; the order of existing fields stays.</summary>
internal static class ConfigPatch
{
    /// <summary>The merged document, or null when the patch changes nothing.</summary>
    public static string? Apply(JsonElement config, JsonElement patch)
    {
        var changed = config.ValueKind != JsonValueKind.Object;
        var present = changed ? JsonElement.Parse("{}") : JsonText.Readable(config);
        var merged = JsonText.Write(json => Merge(json, present, patch, ref changed));
        return changed ? merged : null;
    }

    private static void Merge(Utf8JsonWriter json, JsonElement config, JsonElement patch, ref bool changed)
    {
        var fields = Fields(config);
        var wanted = Fields(patch);
        json.WriteStartObject();
        foreach (var (name, present) in fields)
        {
            if (!wanted.TryGetValue(name, out var value))
            {
                json.WritePropertyName(name);
                present.WriteTo(json);
            }
            else if (value.ValueKind == JsonValueKind.Null)
            {
                changed = true;
            }
            else if (value.ValueKind == JsonValueKind.Object && present.ValueKind == JsonValueKind.Object)
            {
                json.WritePropertyName(name);
                Merge(json, present, value, ref changed);
            }
            else
            {
                changed |= !IsSame(present, value);
                json.WritePropertyName(name);
                Add(json, IsSame(present, value) ? present : value);
            }
        }
        foreach (var (name, value) in wanted)
        {
            if (value.ValueKind != JsonValueKind.Null && !fields.ContainsKey(name))
            {
                changed = true;
                json.WritePropertyName(name);
                Add(json, value);
            }
        }
        json.WriteEndObject();
    }

    /// <summary>Writes a new value; inside an object a null means "not there" as well.</summary>
    private static void Add(Utf8JsonWriter json, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            value.WriteTo(json);
            return;
        }
        json.WriteStartObject();
        foreach (var (name, inner) in Fields(value))
        {
            if (inner.ValueKind != JsonValueKind.Null)
            {
                json.WritePropertyName(name);
                Add(json, inner);
            }
        }
        json.WriteEndObject();
    }

    /// <summary>By name in order of appearance; of two fields with one name the last counts.</summary>
    private static OrderedDictionary<string, JsonElement> Fields(JsonElement json)
    {
        var fields = new OrderedDictionary<string, JsonElement>(StringComparer.Ordinal);
        if (json.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in json.EnumerateObject())
            {
                fields[property.Name] = property.Value;
            }
        }
        return fields;
    }

    private static bool IsSame(JsonElement left, JsonElement right) =>
        Text(left) is { } leftText && Text(right) is { } rightText
            ? leftText == rightText
            : JsonElement.DeepEquals(left, right);

    /// <summary>A scalar as Patroni prints it.</summary>
    private static string? Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number => value.GetRawText(),
        JsonValueKind.True => "True",
        JsonValueKind.False => "False",
        JsonValueKind.Null => "None",
        JsonValueKind.Undefined or JsonValueKind.Object or JsonValueKind.Array or _ => null,
    };
}
