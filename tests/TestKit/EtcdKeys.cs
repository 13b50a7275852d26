using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Routing.TestKit;

/// <summary>A key as etcd holds it.</summary>
public sealed record EtcdKey(string Value, long CreateRevision, long ModRevision, long Lease)
{
    /// <summary>The value as JSON.</summary>
    public JsonNode Json => JsonNode.Parse(Value) ?? throw new InvalidOperationException("The value is null.");

    /// <summary>The value as JSON; null when it is none.</summary>
    public JsonNode? JsonOrNull
    {
        get
        {
            try
            {
                return JsonNode.Parse(Value);
            }
            catch (JsonException)
            {
                return null;
            }
        }
    }
}

/// <summary>Looks at keys and changes them by etcd's JSON gateway: another way than the product's own.</summary>
/// <param name="endpoints">Members of one etcd; the next one is asked when one fails.</param>
/// <param name="prefix">Before the keys' names, without a slash at its end.</param>
public sealed class EtcdKeys(IReadOnlyList<Uri> endpoints, string prefix) : IDisposable
{
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(15) };
    private int _last;   // of the endpoints, the one that answered

    /// <summary>Keys of an etcd of one member.</summary>
    public EtcdKeys(Uri endpoint, string prefix)
        : this([endpoint], prefix)
    {
    }

    /// <summary>One key; null when it is missing.</summary>
    public async Task<EtcdKey?> GetAsync(string suffix) => (await AskAsync(Key(suffix), null)).Values.SingleOrDefault();

    /// <summary>All keys below the prefix, by their suffix.</summary>
    public async Task<IReadOnlyDictionary<string, EtcdKey>> AllAsync()
    {
        var start = Key("");
        return await AskAsync(start, start[..^1] + (char)(start[^1] + 1));
    }

    /// <summary>Writes a key without a lease.</summary>
    public Task PutAsync(string suffix, string value) =>
        PostAsync("/kv/put", new JsonObject { ["key"] = Encode(Key(suffix)), ["value"] = Encode(value) });

    /// <summary>Deletes a key.</summary>
    public Task DeleteAsync(string suffix) =>
        PostAsync("/kv/deleterange", new JsonObject { ["key"] = Encode(Key(suffix)) });

    /// <summary>Revokes a lease; its keys go with it.</summary>
    public Task RevokeAsync(long lease) =>
        PostAsync("/lease/revoke", new JsonObject { ["ID"] = lease.ToString(CultureInfo.InvariantCulture) });

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private string Key(string suffix) => $"{prefix}/{suffix}";

    private async Task<SortedDictionary<string, EtcdKey>> AskAsync(string key, string? end)
    {
        var request = new JsonObject { ["key"] = Encode(key) };
        if (end is not null)
        {
            request["range_end"] = Encode(end);
        }
        var answer = await PostAsync("/kv/range", request);
        var found = new SortedDictionary<string, EtcdKey>(StringComparer.Ordinal);
        foreach (var kv in answer["kvs"]?.AsArray() ?? [])
        {
            found[Decode(kv!["key"])[(prefix.Length + 1)..]] = new EtcdKey(
                Decode(kv["value"]), Number(kv["create_revision"]), Number(kv["mod_revision"]), Number(kv["lease"]));
        }
        return found;
    }

    private async Task<JsonNode> PostAsync(string path, JsonObject request)
    {
        for (var tried = 1; ; tried++)
        {
            var number = _last;
            try
            {
                return await PostAsync(endpoints[number], path, request);
            }
            catch (Exception problem) when (tried < endpoints.Count
                && problem is (HttpRequestException or TaskCanceledException))
            {
                _last = (number + 1) % endpoints.Count;
            }
        }
    }

    private async Task<JsonNode> PostAsync(Uri endpoint, string path, JsonObject request)
    {
        using var answer = await _http.PostAsJsonAsync(new Uri(endpoint, EtcdUnderTest.Gateway + path), request);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode
            ? JsonNode.Parse(text)!
            : throw new HttpRequestException($"etcd {path}: {answer.StatusCode}: {text}", null, answer.StatusCode);
    }

    private static string Encode(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static string Decode(JsonNode? node) =>
        node is null ? "" : Encoding.UTF8.GetString(Convert.FromBase64String(node.GetValue<string>()));

    private static long Number(JsonNode? node) =>
        node is null ? 0 : long.Parse(node.GetValue<string>(), CultureInfo.InvariantCulture);
}
