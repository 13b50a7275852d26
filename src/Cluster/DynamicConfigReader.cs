using System.Text.Json;

namespace Routing.Cluster;

/// <summary>Reads the dynamic configuration, value by value.</summary>
internal static class DynamicConfigReader
{
    public static DynamicConfig Read(JsonElement raw, long modRevision) => new() { Raw = raw, ModRevision = modRevision };
}
