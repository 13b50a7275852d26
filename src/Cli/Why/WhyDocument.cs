using System.Text.Json.Nodes;

namespace Routing.Cli.Why;

/// <summary>Reads a member's <c>GET /why</c>.</summary>
internal static class WhyDocument
{
    /// <summary>The path of the document in the REST interface.</summary>
    public const string Path = "/why";

    /// <summary>A field that the document has, and that Patroni's answers have not.</summary>
    public const string Field = "answer";

    /// <summary>A text at this place; null when there is none.</summary>
    public static string? Text(this JsonObject json, params ReadOnlySpan<string> path) =>
        Find(json, path) is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    /// <summary>A number at this place; null when there is none.</summary>
    public static long? Number(this JsonObject json, params ReadOnlySpan<string> path) =>
        Find(json, path) is JsonValue value && value.TryGetValue<long>(out var number) ? number : null;

    /// <summary>A boolean at this place; false when there is none.</summary>
    public static bool Flag(this JsonObject json, params ReadOnlySpan<string> path) =>
        Find(json, path) is JsonValue value && value.TryGetValue<bool>(out var flag) && flag;

    private static JsonNode? Find(JsonObject json, ReadOnlySpan<string> path)
    {
        JsonNode? node = json;
        foreach (var name in path)
        {
            node = (node as JsonObject)?[name];
        }
        return node;
    }
}
