using System.Collections.Immutable;
using System.Text.Json;

namespace Routing.Cluster.Keys;

/// <summary>Reads <c>slots</c> and <c>ignore_slots</c> of the dynamic configuration.</summary>
internal static class SlotConfigReader
{
    /// <summary>The longest name wins unless it holds nothing.</summary>
    private static readonly string[] s_names = ["permanent_replication_slots", "permanent_slots", "slots"];

    /// <remarks>
    /// A permanent slot that can't be understood is ignored by name: it is not created, but not dropped either.
    /// </remarks>
    public static (ImmutableSortedDictionary<string, PermanentSlot> Permanent,
        ImmutableArray<SlotMatcher> Ignored) Read(
        ObjectReader root, List<string> problems)
    {
        var permanent = ImmutableSortedDictionary.CreateBuilder<string, PermanentSlot>(StringComparer.Ordinal);
        var ignored = ImmutableArray.CreateBuilder<SlotMatcher>();
        foreach (var name in s_names)
        {
            if (!root.TryGet(name, out var value) || !EffectiveTags.IsTruthy(value))
            {
                continue;
            }
            if (root.Object(name) is { } slots)
            {
                ReadPermanent(slots, $"{name}.", problems, permanent, ignored);
            }
            break;
        }
        ReadIgnored(root, problems, ignored);
        return (permanent.ToImmutable(), ignored.ToImmutable());
    }

    private static void ReadPermanent(
        ObjectReader slots, string path, List<string> problems,
        ImmutableSortedDictionary<string, PermanentSlot>.Builder permanent, ImmutableArray<SlotMatcher>.Builder ignored)
    {
        foreach (var property in slots.Json.EnumerateObject())
        {
            var (name, value) = (property.Name, property.Value);
            if (name.Length is 0 or > 63 || !name.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '_'))
            {
                problems.Add(
                    $"{path}{name} is no slot name, which has 1 to 63 of the characters a-z, 0-9 and _; it is "
                        + "ignored.");
            }
            else if (!EffectiveTags.IsTruthy(value))
            {
                permanent[name] = new PermanentSlot(false, null, null, null);
            }
            else if (value.ValueKind != JsonValueKind.Object)
            {
                slots.Complain(name, value, "an object with type, database, plugin and cluster_type",
                    "the slot is left alone");
                ignored.Add(new SlotMatcher(name, null, null, null));
            }
            else if (ReadSlot(new ObjectReader(value, $"{path}{name}.", problems)) is { } slot)
            {
                permanent[name] = slot;
            }
            else
            {
                ignored.Add(new SlotMatcher(name, null, null, null));
            }
        }
    }

    private static PermanentSlot? ReadSlot(ObjectReader slot)
    {
        var (database, plugin) = (slot.Text("database"), slot.Text("plugin"));
        var clusterType = slot.Text("cluster_type");
        if (clusterType is not (null or "primary" or "standby"))
        {
            _ = slot.TryGet("cluster_type", out var value);
            slot.Complain("cluster_type", value, "primary or standby", "the slot exists in both");
            clusterType = null;
        }
        if (!slot.TryGet("type", out var type))
        {
            return database is { Length: > 0 } && plugin is { Length: > 0 }
                ? new PermanentSlot(true, database, plugin, clusterType)
                : new PermanentSlot(false, null, null, clusterType);
        }
        switch (slot.Text("type"))
        {
            case "physical":
                return new PermanentSlot(false, null, null, clusterType);
            case "logical" when database is { Length: > 0 } && plugin is { Length: > 0 }:
                return new PermanentSlot(true, database, plugin, clusterType);
            case "logical":
                slot.Complain("type", type, "given together with database and plugin", "the slot is left alone");
                return null;
            case null:
                return null;   // already complained
            default:
                slot.Complain("type", type, "physical or logical", "the slot is left alone");
                return null;
        }
    }

    private static void ReadIgnored(
        ObjectReader root, List<string> problems, ImmutableArray<SlotMatcher>.Builder ignored)
    {
        const string name = "ignore_slots";
        if (!root.TryGet(name, out var list))
        {
            return;
        }
        if (list.ValueKind != JsonValueKind.Array)
        {
            root.Complain(name, list, "a list of objects with name, type, database and plugin", "it is ignored");
            return;
        }
        var index = 0;
        foreach (var item in list.EnumerateArray())
        {
            var path = $"{name}[{index++}]";
            if (item.ValueKind != JsonValueKind.Object)
            {
                root.Complain(path, item, "an object with name, type, database and plugin", "it is ignored");
                continue;
            }
            var before = problems.Count;
            var reader = new ObjectReader(item, $"{path}.", problems);
            var matcher = new SlotMatcher(
                reader.Text("name"), reader.Text("type"), reader.Text("database"), reader.Text("plugin"));
            if (problems.Count == before || matcher != new SlotMatcher(null, null, null, null))
            {
                // a wrong attribute is left out: rather too many slots are left alone than one too few
                ignored.Add(matcher);
            }
        }
    }
}
