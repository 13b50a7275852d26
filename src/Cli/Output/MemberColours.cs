using System.Text.Json.Nodes;

namespace Routing.Cli.Output;

/// <summary>
/// The colours of the member table: green leads, cyan is synchronous, yellow is not yet well, red is not well.
/// </summary>
internal static class MemberColours
{
    private const string Green = "1;32";
    private const string Cyan = "36";
    private const string Yellow = "33";
    private const string Red = "1;31";

    public static string? OfRole(JsonNode? cell) => Text(cell) switch
    {
        "Leader" or "Standby Leader" => Green,
        "Sync Standby" or "Quorum Standby" => Cyan,
        _ => null,
    };

    public static string? OfState(JsonNode? cell) => Text(cell) switch
    {
        "running" or "streaming" => null,
        "starting" or "restarting" or "stopping" or "creating replica" or "in archive recovery" => Yellow,
        _ => Red,
    };

    public static string? OfPosition(JsonNode? cell) => Text(cell) == MemberTable.Unknown ? Red : null;

    public static string? OfLag(JsonNode? cell) =>
        cell is JsonValue value && value.TryGetValue<long>(out var megabytes) && megabytes > 0 ? Yellow : null;

    public static string? OfPending(JsonNode? cell) => cell is null ? null : Yellow;

    private static string? Text(JsonNode? cell) =>
        cell is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
