using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cli.Events;
using Routing.Cli.Output;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Cluster.Text;

namespace Routing.Cli.Why;

/// <summary>How the leader changed last, by the diaries of all members.</summary>
internal static class StoryReport
{
    private static readonly Column[] s_columns =
    [
        new("Phase"), new("Time"), new("Took", AlignRight: true), new("Member"), new("What"),
    ];

    private static readonly Column[] s_asked =
    [
        new("Asked"), new("Role"), new("WAL"), new("TL", AlignRight: true), new("Priority", AlignRight: true),
        new("Problem"),
    ];

    /// <summary>Asks the members and prints the story.</summary>
    /// <returns>The exit code: a failure when no change of leader is known.</returns>
    public static async Task<int> RunAsync(
        Session session, IReadOnlyList<Member> members, OutputFormat format, CancellationToken cancellationToken)
    {
        var history = await EventHistory.ReadAsync(session, members, cancellationToken);
        foreach (var problem in history.Problems)
        {
            session.Screen.WriteHint($"{problem}: the others tell what they saw of it.");
        }
        if (StoryTeller.Last(history.Events) is not { } story)
        {
            throw new CtlException(
                "No member knows of a change of leader.", "See routingctl history for those before.");
        }
        switch (format)
        {
            case OutputFormat.Json:
                session.Screen.WriteLine(JsonLine.Write(ToJson(story)));
                break;
            case OutputFormat.Yaml:
                session.Screen.Output.Write(SortedYaml.WriteBlock(ToJson(story)));
                break;
            case OutputFormat.Tsv:
                Phases(story).Print(session.Screen.Output, format);
                break;
            default:
                Print(session, story);
                break;
        }
        return ExitCode.Success;
    }

    private static void Print(Session session, FailoverStory story)
    {
        var screen = session.Screen;
        screen.WriteLine(Headline(story));
        screen.WriteLine(story.Cause is { } cause
            ? $"It began with {cause.Member}: {cause.Text} ({cause.Code})."
            : "Nothing was seen before the leader key was free: its lease had ended.");
        Phases(story).Print(screen.Output, OutputFormat.Pretty);
        if (story.Race is { } race)
        {
            screen.WriteLine($"{race.Member}, being at {race.Figure("lsn")}, asked the others before it took the key:");
            Asked(race).Print(screen.Output, OutputFormat.Pretty);
        }
        if (story.Rule is { } rule)
        {
            screen.WriteLine($"What decided: {rule.Member} {rule.Text} ({rule.Code}).");
        }
        if (!story.IsComplete && story.To is not null)
        {
            screen.WriteLine($"Not known: {string.Join(", ",
                story.Phases.Where(phase => phase.Time is null).Select(phase => phase.Name))}.");
        }
    }

    private static string Headline(FailoverStory story)
    {
        var what = story.Kind == "start" ? "The first leader" : $"The last {story.Kind}";
        var from = story.From is { } before ? $", from {before}" : "";
        var to = story.To is { } now ? $" to {now}, in term {story.Term}" : ": nobody leads yet";
        var timeline = story.Timeline > 0 ? $", on timeline {story.Timeline}" : "";
        var total = story.Total.TotalSeconds.ToString("0.000", CultureInfo.InvariantCulture);
        var end = story.IsComplete ? "first write" : "last phase that is known";
        return $"{what}{from}{to}{timeline}: {total} s from the first sign to the {end}.";
    }

    private static Table Phases(FailoverStory story) => new(s_columns,
        [.. story.Phases.Select(phase => new JsonNode?[]
        {
            phase.Name,
            phase.Time is { } time ? IsoTime.FormatUtc(time) : null,
            phase.Took is { } took
                ? string.Create(CultureInfo.InvariantCulture, $"{took.TotalMilliseconds:0} ms")
                : null,
            phase.Member,
            phase.Text,
        })]);

    private static Table Asked(ClusterEvent race) => new(s_asked,
        [.. Members(race).Select(json => new JsonNode?[]
        {
            json.Text("name"), json.Text("role"), json.Text("lsn"),
            json.Flag("reachable") ? json.Number("timeline") : null,
            json.Flag("reachable") ? json.Number("priority") : null,
            json.Text("problem"),
        })]);

    private static IEnumerable<JsonObject> Members(ClusterEvent race) =>
        race.Figures is { } figures && JsonNode.Parse(figures.GetRawText()) is JsonObject json
            && json["asked"] is JsonArray asked
            ? asked.OfType<JsonObject>()
            : [];

    private static JsonNode? ToJson(FailoverStory story)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            FailoverStoryJson.Write(json, story);
        }
        return JsonNode.Parse(buffer.WrittenSpan);
    }
}
