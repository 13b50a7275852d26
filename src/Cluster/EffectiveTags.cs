using System.Collections.Immutable;
using System.Text.Json;

namespace Routing.Cluster;

/// <summary>Which of the configured tags a member publishes.</summary>
public static class EffectiveTags
{
    /// <summary>
    /// All configured tags, without the known flags that say no; <c>nofailover</c> stays beside a
    /// <c>failover_priority</c>, and <c>nosync</c> beside a <c>sync_priority</c>, because there "no" means something.
    /// </summary>
    /// <param name="configured">The tags of the member's own configuration.</param>
    /// <param name="leavesSynchronousSet">
    /// The member asks to be synchronous no longer: <c>nosync</c> and a <c>sync_priority</c> of 0.
    /// </param>
    public static MemberTags From(
        IEnumerable<KeyValuePair<string, JsonElement>> configured, bool leavesSynchronousSet = false)
    {
        var tags = ImmutableSortedDictionary.CreateBuilder<string, JsonElement>(StringComparer.Ordinal);
        foreach (var (name, value) in configured)
        {
            tags[name] = value.ValueKind == JsonValueKind.Undefined ? JsonElement.Parse("null") : value.Clone();
        }
        if (leavesSynchronousSet)
        {
            tags["nosync"] = JsonElement.Parse("true");
            tags["sync_priority"] = JsonElement.Parse("0");
        }
        foreach (var name in tags.Keys.ToArray())
        {
            var isKept = name switch
            {
                "clonefrom" or "noloadbalance" or "nostream" => IsTruthy(tags[name]),
                "nofailover" => IsTruthy(tags[name]) || tags.ContainsKey("failover_priority"),
                "nosync" => IsTruthy(tags[name]) || tags.ContainsKey("sync_priority"),
                _ => true,
            };
            if (!isKept)
            {
                tags.Remove(name);
            }
        }
        return tags.Count == 0 ? MemberTags.Empty : new MemberTags(tags.ToImmutable());
    }

    /// <summary>The same from a JSON object; anything else counts as no tags.</summary>
    public static MemberTags From(JsonElement configured, bool leavesSynchronousSet = false) => From(
        configured.ValueKind == JsonValueKind.Object
            ? configured.EnumerateObject().Select(property => KeyValuePair.Create(property.Name, property.Value))
            : [],
        leavesSynchronousSet);

    /// <summary>Whether the value says anything: not null, false, 0, "", [] or {}. (The text "false" does.)</summary>
    internal static bool IsTruthy(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.Number => !value.TryGetDouble(out var number) || number != 0,
        JsonValueKind.String => value.GetString() is { Length: > 0 },
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.Object => value.EnumerateObject().Any(),
        JsonValueKind.Undefined or JsonValueKind.Null or JsonValueKind.False or _ => false,
    };
}
