using System.Text.Json;

namespace Routing.Cluster.Events;

/// <summary>Something that changed, as one agent saw or did it.</summary>
/// <param name="Id">Its number: rises for each agent, also over restarts; gaps are normal.</param>
/// <param name="Time">When, by the clock of the agent's machine.</param>
/// <param name="Member">The member whose agent tells it.</param>
/// <param name="Kind">One of <see cref="EventKind"/>.</param>
/// <param name="Code">What happened, as a word for programs.</param>
/// <param name="Text">The same in one sentence for people.</param>
/// <param name="Term">The leader key's create revision at that moment; 0 when unknown.</param>
/// <param name="Timeline">The timeline of that member; 0 when unknown.</param>
/// <param name="Figures">A JSON object with what is known besides; null: nothing.</param>
public sealed record ClusterEvent(
    long Id, DateTimeOffset Time, string Member, string Kind, string Code, string Text, long Term, uint Timeline,
    JsonElement? Figures = null)
{
    /// <summary>A text among the figures; null when there is none.</summary>
    public string? Figure(string name) =>
        Figures is { } figures && figures.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;
}
