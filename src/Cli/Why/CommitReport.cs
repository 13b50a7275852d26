using System.Text.Json.Nodes;
using Routing.Cli.Members;
using Routing.Cli.Output;
using Routing.Cluster;

namespace Routing.Cli.Why;

/// <summary>What a synchronous commit waits for, as the leader says it.</summary>
internal static class CommitReport
{
    private static readonly Column[] s_columns =
    [
        new("Standby"), new("State"), new("Sync"), new("Counts"), new("Written"), new("Flushed"), new("Replayed"),
        new("Lag", AlignRight: true), new("If lost"),
    ];

    /// <summary>Asks the leader, or the one member that is named, and prints what it says.</summary>
    /// <returns>The exit code.</returns>
    /// <exception cref="CtlException">Nobody leads, or the leader does not say it.</exception>
    public static async Task<int> RunAsync(
        Session session, ClusterSnapshot snapshot, MemberWords words, OutputFormat format,
        CancellationToken cancellationToken)
    {
        var asked = words.Members.Count switch
        {
            0 => snapshot.LeaderMember
                ?? throw new CtlException("Nobody leads now: no commit is possible.", "See routingctl why."),
            1 => snapshot.Members[words.Members[0]],
            _ => throw new CtlException("Commits are made on one member: name one, or none for the leader."),
        };
        var answer = (await MemberDocument.AskAsync(
            session, [asked], WhyDocument.Path, WhyDocument.Field, cancellationToken))[0];
        if (answer.Json is not { } json)
        {
            throw new CtlException(answer.Problem!);
        }
        if (json["commit"] is not JsonObject commit)
        {
            throw new CtlException($"{asked.Name} runs no primary now: no commit is possible there.");
        }
        switch (format)
        {
            case OutputFormat.Json:
                session.Screen.WriteLine(JsonLine.Write(commit));
                break;
            case OutputFormat.Yaml:
                session.Screen.Output.Write(SortedYaml.WriteBlock(commit));
                break;
            default:
                if (format == OutputFormat.Pretty)
                {
                    session.Screen.WriteLine(commit.Text("answer") ?? "");
                }
                new Table(s_columns, [.. (commit["standbys"] as JsonArray ?? []).OfType<JsonObject>().Select(Row)])
                {
                    Title = $" synchronous_mode: {commit.Text("mode")}"
                        + (commit.Flag("strict") ? ", strict" : "")
                        + (commit.Text("names") is { Length: > 0 } names ? $"; {names} " : " "),
                }.Print(session.Screen.Output, format);
                break;
        }
        return ExitCode.Success;
    }

    private static JsonNode?[] Row(JsonObject standby) =>
    [
        standby.Text("name"), standby.Text("state"), standby.Text("sync_state"),
        standby.Flag("counts") ? "yes" : "no", standby.Text("write_lsn"), standby.Text("flush_lsn"),
        standby.Text("replay_lsn"), standby.Number("lag"), standby.Text("if_lost"),
    ];
}
