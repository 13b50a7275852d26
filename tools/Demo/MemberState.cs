using System.Text.Json;

namespace Routing.Demo;

/// <summary>What one member's REST says about it.</summary>
internal sealed record MemberState(string Name)
{
    /// <summary>False: the agent does not answer.</summary>
    public bool Answers { get; init; }

    public string Role { get; init; } = "";

    public string State { get; init; } = "";

    public uint Timeline { get; init; }

    /// <summary>The end of what it wrote, or replayed.</summary>
    public ulong Position { get; init; }

    public string ReplicationState { get; init; } = "";

    /// <summary>One of those whose confirmation a commit waits for.</summary>
    public bool IsVoter { get; init; }

    public string Reason { get; init; } = "";

    public bool IsPrimary => Answers && Role is "primary" or "master" && State == "running";

    public bool IsStreaming => Answers && Role == "replica" && ReplicationState == "streaming";

    public static MemberState Parse(string name, string json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        var xlog = root.TryGetProperty("xlog", out var found) ? found : default;
        return new MemberState(name)
        {
            Answers = true,
            Role = Text(root, "role"),
            State = Text(root, "state"),
            Timeline = (uint)Number(root, "timeline"),
            Position = Math.Max(Number(xlog, "location"), Number(xlog, "replayed_location")),
            ReplicationState = Text(root, "replication_state"),
            IsVoter = Flag(root, "quorum_standby") || Flag(root, "sync_standby"),
            Reason = root.TryGetProperty("routing", out var routing) ? Text(routing, "reason") : "",
        };
    }

    private static string Text(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString() ?? ""
            : "";

    private static ulong Number(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value)
        && value.ValueKind == JsonValueKind.Number ? value.GetUInt64() : 0;

    private static bool Flag(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
}
