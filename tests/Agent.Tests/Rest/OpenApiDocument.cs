using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using Json.Schema;

namespace Routing.Agent.Tests.Rest;

/// <summary>An OpenAPI document of JSON answers, and what an answer has that the document does not say.</summary>
internal sealed class OpenApiDocument
{
    private static readonly string[] s_methods = ["get", "head", "options", "post", "put", "patch", "delete"];

    private readonly JsonObject _root;
    private readonly ConcurrentDictionary<string, JsonSchema> _schemas = new(StringComparer.Ordinal);

    private OpenApiDocument(JsonObject root) => _root = root;

    /// <summary>The methods of each path, with what stands there; references are followed.</summary>
    public IReadOnlyDictionary<(string Method, string Path), JsonObject> Operations { get; private init; } =
        new Dictionary<(string, string), JsonObject>();

    /// <summary>Reads a document.</summary>
    public static OpenApiDocument Parse(string text)
    {
        var document = new OpenApiDocument(JsonNode.Parse(text)!.AsObject());
        return new OpenApiDocument(document._root) { Operations = document.ReadOperations() };
    }

    /// <summary>The references that lead nowhere.</summary>
    public IReadOnlyList<string> LooseReferences() => [.. References(_root).Where(target => Find(target) is null)];

    /// <summary>What is wrong with an answer; null when nothing is.</summary>
    /// <param name="method">The method, in capitals.</param>
    /// <param name="path">The path as the document has it.</param>
    /// <param name="code">The code of the answer.</param>
    /// <param name="contentType">Its type without parameters; null for none.</param>
    /// <param name="body">Its body.</param>
    public string? ProblemWith(string method, string path, int code, string? contentType, string body)
    {
        if (!Operations.TryGetValue((method, path), out var operation))
        {
            return $"{method} {path} is not in the document.";
        }
        if (operation["responses"]?[code.ToString(System.Globalization.CultureInfo.InvariantCulture)] is not { } answer)
        {
            return $"{method} {path} answered {code}, which is not in the document: {body}";
        }
        var content = Followed(answer)["content"];
        if (contentType is null || content is null)
        {
            return (contentType is null) == (content is null) && body.Length == 0
                ? null
                : $"{method} {path} {code}: the type {contentType ?? "(none)"} is not what the document says.";
        }
        if (content[contentType]?["schema"] is not JsonObject schema)
        {
            return $"{method} {path} {code}: the type {contentType} is not in the document.";
        }
        return contentType == "application/json" ? SchemaProblem($"{method} {path} {code}", schema, body) : null;
    }

    private string? SchemaProblem(string what, JsonObject schema, string body)
    {
        var result = _schemas.GetOrAdd(schema.ToJsonString(), Compile).Evaluate(
            JsonElement.Parse(body), new EvaluationOptions { OutputFormat = OutputFormat.List });
        return result.IsValid
            ? null
            : $"{what}: "
                + string.Join("; ", (result.Details ?? []).Where(detail => detail.Errors is { Count: > 0 })
                    .Select(detail => $"{detail.InstanceLocation}: {string.Join(", ", detail.Errors!.Values)}"))
                + $" in {body}";
    }

    /// <summary>A schema of its own with all that it refers to. It allows no field that it does not name.</summary>
    private JsonSchema Compile(string schema)
    {
        var definitions = (JsonObject)_root["components"]!["schemas"]!.DeepClone();
        foreach (var definition in definitions)
        {
            Close(definition.Value);
        }
        var whole = JsonNode.Parse(schema)!.AsObject();
        Close(whole);
        whole["$defs"] = definitions;
        return JsonSchema.FromText(
            whole.ToJsonString().Replace("#/components/schemas/", "#/$defs/", StringComparison.Ordinal));
    }

    private static void Close(JsonNode? schema)
    {
        if (schema is JsonObject json)
        {
            foreach (var (_, inner) in json.ToArray())
            {
                Close(inner);
            }
            if (json["properties"] is JsonObject && json["type"] is not null
                && !json.ContainsKey("additionalProperties"))
            {
                json["additionalProperties"] = false;
            }
        }
        else if (schema is JsonArray array)
        {
            foreach (var inner in array)
            {
                Close(inner);
            }
        }
    }

    private Dictionary<(string Method, string Path), JsonObject> ReadOperations()
    {
        var operations = new Dictionary<(string, string), JsonObject>();
        foreach (var (path, entry) in _root["paths"]!.AsObject())
        {
            var item = Followed(entry!);
            foreach (var method in s_methods.Where(item.ContainsKey))
            {
                operations.Add((method.ToUpperInvariant(), path), item[method]!.AsObject());
            }
        }
        return operations;
    }

    private JsonObject Followed(JsonNode node) =>
        node["$ref"]?.GetValue<string>() is { } target ? Find(target)!.AsObject() : node.AsObject();

    private JsonNode? Find(string target) =>
        target.Split('/').Skip(1).Aggregate((JsonNode?)_root, (node, name) => node?[name]);

    private static IEnumerable<string> References(JsonNode? node) => node switch
    {
        JsonObject json => json.SelectMany(field => field is { Key: "$ref", Value: JsonValue target }
            ? [target.GetValue<string>()]
            : References(field.Value)),
        JsonArray array => array.SelectMany(References),
        _ => [],
    };
}
