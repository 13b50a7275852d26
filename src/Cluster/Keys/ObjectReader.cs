using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Keys;

/// <summary>
/// Reads the fields of one JSON object. A wrong value gives the fallback and one sentence among the problems.
/// </summary>
/// <param name="json">The object.</param>
/// <param name="path">What stands before a field's name in a problem: empty, or ending with a dot.</param>
/// <param name="problems">Where the sentences go.</param>
internal sealed class ObjectReader(JsonElement json, string path, List<string> problems)
{
    /// <summary>The object.</summary>
    public JsonElement Json => json;

    /// <summary>The field's value; a null counts as missing.</summary>
    public bool TryGet(string name, out JsonElement value) =>
        json.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>A text, or null.</summary>
    public string? Text(string name)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.String)
        {
            return value.GetString();
        }
        Complain(name, value, "a text", "it is ignored");
        return null;
    }

    /// <summary>A boolean in any spelling that Patroni accepts.</summary>
    public bool Boolean(string name, bool fallback)
    {
        if (!TryGet(name, out var value))
        {
            return fallback;
        }
        if (Scalars.TryBoolean(value, out var result))
        {
            return result;
        }
        Complain(name, value, "on or off", $"{(fallback ? "on" : "off")} holds");
        return fallback;
    }

    /// <summary>A whole number, as a number or as text.</summary>
    /// <param name="name">The field.</param>
    /// <param name="fallback">What counts when it is missing.</param>
    /// <param name="least">The least that is allowed.</param>
    /// <param name="most">The most that is allowed.</param>
    /// <param name="allowed">What is allowed, in words.</param>
    /// <param name="wrong">What is returned for a wrong value; null: the fallback, and the problem says so.</param>
    public long Integer(string name, long fallback, long least, long most, string allowed, long? wrong = null)
    {
        if (!TryGet(name, out var value))
        {
            return fallback;
        }
        if (Scalars.TryInteger(value, out var result) && result >= least && result <= most)
        {
            return result;
        }
        Complain(name, value, allowed, wrong is null ? $"{fallback} holds" : "it is ignored");
        return wrong ?? fallback;
    }

    /// <summary>A WAL position in bytes, as a number or as text; null when missing or wrong.</summary>
    public Lsn? Position(string name)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }
        if (Scalars.TryInteger(value, out var bytes) && bytes >= 0)
        {
            return new Lsn((ulong)bytes);
        }
        Complain(name, value, "a WAL position in bytes", "it is ignored");
        return null;
    }

    /// <summary>An object, or null.</summary>
    public ObjectReader? Object(string name)
    {
        if (!TryGet(name, out var value))
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.Object)
        {
            return new ObjectReader(value, $"{path}{name}.", problems);
        }
        Complain(name, value, "an object", "it is ignored");
        return null;
    }

    /// <summary>Adds a problem: path, value, what is allowed, what holds instead.</summary>
    public void Complain(string name, JsonElement value, string allowed, string consequence) =>
        problems.Add($"{path}{name} is {JsonText.Quote(value)}, but must be {allowed}; {consequence}.");
}
