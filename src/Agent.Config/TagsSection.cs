using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster.Text;
using Routing.Settings;

namespace Routing.Agent.Config;

/// <summary>The section <c>tags</c>. Tags that nobody knows are published all the same.</summary>
internal static class TagsSection
{
    /// <summary>Reads all tags; those that the agent knows are checked.</summary>
    public static ImmutableSortedDictionary<string, JsonElement> Read(SectionReader tags)
    {
        foreach (var flag in new[] { "nofailover", "noloadbalance", "clonefrom", "nosync", "nostream" })
        {
            tags.Boolean(flag);
        }
        tags.Whole("failover_priority");
        tags.Whole("sync_priority");
        tags.Text("replicatefrom");
        foreach (var (flag, priority) in new[] { ("nofailover", "failover_priority"), ("nosync", "sync_priority") })
        {
            if (tags.Has(flag) && tags.Has(priority)
                && Scalars.TryBoolean(SectionReader.ToElement(tags.Any(flag)), out var never)
                && Scalars.TryInteger(SectionReader.ToElement(tags.Any(priority)), out var number)
                && never != number <= 0)
            {
                tags.Warn(priority, $"contradicts {flag}, which has precedence");
            }
        }
        return tags.Keys.ToImmutableSortedDictionary(
            key => key, key => SectionReader.ToElement(tags.Any(key)), StringComparer.Ordinal);
    }
}
