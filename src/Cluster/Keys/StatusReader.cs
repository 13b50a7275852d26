using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Routing.Cluster.Text;

namespace Routing.Cluster.Keys;

/// <summary>Reads the <c>status</c> key and the one that came before it.</summary>
internal static class StatusReader
{
    /// <summary>
    /// An object, or the position alone; inside, numbers may be texts and <c>slots</c>, <c>retain_slots</c> JSON in a
    /// text.
    /// </summary>
    public static LeaderStatus Status(RawKey key, List<string> problems) =>
        Content(key, problems) with { ModRevision = key.ModRevision };

    private static LeaderStatus Content(RawKey key, List<string> problems)
    {
        if (!JsonText.TryParse(key.Value, out var json, out var problem))
        {
            problems.Add($"The value can't be read; {problem}");
            return LeaderStatus.None;
        }
        if (Scalars.TryInteger(json, out var optime) && optime >= 0)
        {
            return FromOptime(new Lsn((ulong)optime));
        }
        if (json.ValueKind != JsonValueKind.Object)
        {
            problems.Add($"The value is {JsonText.Quote(json)}, but must be an object or a WAL position in bytes.");
            return LeaderStatus.None;
        }
        var reader = new ObjectReader(json, "", problems);
        return new LeaderStatus(reader.Position("optime") ?? default, Slots(reader, problems), RetainSlots(reader))
        {
            CurrentSite = reader.Text("current_site") is { Length: > 0 } site ? site : null,
        };
    }

    /// <summary>A decimal number.</summary>
    public static Lsn? Optime(RawKey key, List<string> problems)
    {
        if (ulong.TryParse(key.Value.AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var bytes))
        {
            return new Lsn(bytes);
        }
        problems.Add("The value is not a WAL position in bytes.");
        return null;
    }

    /// <summary>A status that knows nothing but the position.</summary>
    public static LeaderStatus FromOptime(Lsn? optime) =>
        optime is { } position ? LeaderStatus.None with { Optime = position } : LeaderStatus.None;

    private static ImmutableSortedDictionary<string, Lsn> Slots(ObjectReader status, List<string> problems)
    {
        const string name = "slots";
        if (!TryUnwrap(status, name, JsonValueKind.Object, "an object of slot names and positions", out var json))
        {
            return LeaderStatus.None.Slots;
        }
        var reader = new ObjectReader(json, $"{name}.", problems);
        var slots = ImmutableSortedDictionary.CreateBuilder<string, Lsn>(StringComparer.Ordinal);
        foreach (var property in json.EnumerateObject())
        {
            if (reader.Position(property.Name) is { } position)
            {
                slots[property.Name] = position;
            }
        }
        return slots.ToImmutable();
    }

    private static ImmutableSortedSet<string> RetainSlots(ObjectReader status)
    {
        const string name = "retain_slots";
        if (!TryUnwrap(status, name, JsonValueKind.Array, "a list of slot names", out var json))
        {
            return LeaderStatus.None.RetainSlots;
        }
        if (json.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String))
        {
            status.Complain(name, json, "a list of slot names", "what is no text in it is ignored");
        }
        return [.. json.EnumerateArray()
            .Where(item => item.ValueKind == JsonValueKind.String)
            .Select(item => item.GetString()!)
            .ToImmutableSortedSet(StringComparer.Ordinal)];
    }

    private static bool TryUnwrap(
        ObjectReader status, string name, JsonValueKind wanted, string allowed, out JsonElement json)
    {
        if (!status.TryGet(name, out json))
        {
            return false;
        }
        var written = json;
        if (json.ValueKind == JsonValueKind.String && !JsonText.TryParse(json.GetString()!, out json, out _))
        {
            json = written;
        }
        if (json.ValueKind == wanted)
        {
            return true;
        }
        if (json.ValueKind != JsonValueKind.Null)   // a text "null" is nothing, like the null itself
        {
            status.Complain(name, written, allowed, "it is ignored");
        }
        return false;
    }
}
