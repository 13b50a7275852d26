using System.Text.Json.Nodes;

namespace Routing.Settings;

/// <summary>A configuration as nested JSON objects, which remembers where each value was written.</summary>
public sealed class SettingsTree
{
    private readonly Dictionary<string, string> _origins = new(StringComparer.Ordinal);

    /// <summary>The values.</summary>
    public JsonObject Root { get; } = [];

    /// <summary>
    /// Where the value at <paramref name="path"/> stands, or its nearest parent when it stands nowhere.
    /// </summary>
    /// <param name="path">Keys joined by dots, list items as <c>[0]</c>.</param>
    public string OriginOf(string path)
    {
        for (var at = path; at.Length > 0;)
        {
            if (_origins.TryGetValue(at, out var origin))
            {
                return origin;
            }
            var cut = at.LastIndexOfAny(['.', '[']);
            at = cut <= 0 ? "" : at[..cut];
        }
        return _origins.GetValueOrDefault("", "");
    }

    /// <summary>Says where the value at <paramref name="path"/> stands.</summary>
    public void SetOrigin(string path, string origin) => _origins[path] = origin;

    /// <summary>
    /// Puts <paramref name="other"/> over this tree: objects are merged, null deletes, everything else replaces.
    /// </summary>
    public void Patch(SettingsTree other)
    {
        ArgumentNullException.ThrowIfNull(other);
        Patch(Root, other.Root);
        foreach (var (path, origin) in other._origins)
        {
            if (path.Length > 0 || !_origins.ContainsKey(""))
            {
                _origins[path] = origin;
            }
        }
    }

    /// <summary>
    /// Puts <paramref name="patch"/> over <paramref name="target"/>: objects are merged, null deletes, the rest
    /// replaces.
    /// </summary>
    public static void Patch(JsonObject target, JsonObject patch)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(patch);
        foreach (var (key, value) in patch)
        {
            switch (value)
            {
                case null:
                    target.Remove(key);
                    break;
                case JsonObject inner when target[key] is JsonObject existing:
                    Patch(existing, inner);
                    break;
                default:
                    target[key] = value.DeepClone();
                    break;
            }
        }
    }

    /// <summary>The path of <paramref name="key"/> below <paramref name="parent"/>.</summary>
    public static string Join(string parent, string key) => parent.Length == 0 ? key : $"{parent}.{key}";
}
