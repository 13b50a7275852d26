using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Cli.Members;
using Routing.Cli.Output;
using Routing.Cluster;

namespace Routing.Cli.Why;

/// <summary>Why each member leads or does not, and why there is no failover.</summary>
internal static class ReasonReport
{
    private static readonly Column[] s_columns =
    [
        new("Member"), new("Role"), new("Leads"), new("Code"), new("Since"), new("Reason"), new("Without the leader"),
    ];

    /// <summary>Asks the members and prints what they say.</summary>
    /// <param name="session">The command's session.</param>
    /// <param name="members">The members, the leader first.</param>
    /// <param name="isOne">One member is meant: it is told of in sentences.</param>
    /// <param name="format">The output format.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(
        Session session, IReadOnlyList<Member> members, bool isOne, OutputFormat format,
        CancellationToken cancellationToken)
    {
        var answers = await MemberDocument.AskAsync(
            session, members, WhyDocument.Path, WhyDocument.Field, cancellationToken);
        if (isOne && answers[0].Problem is { } problem)
        {
            throw new CtlException(problem);
        }
        switch (format)
        {
            case OutputFormat.Json or OutputFormat.Yaml:
                PrintDocuments(session.Screen.Output, answers, isOne, format);
                break;
            case OutputFormat.Pretty when isOne:
                PrintSentences(session, answers[0].Json!);
                break;
            default:
                new Table(s_columns, [.. answers.Select(Row)]).Print(session.Screen.Output, format);
                break;
        }
        return answers.Any(answer => answer.Json is not null) ? ExitCode.Success : ExitCode.Failure;
    }

    private static void PrintDocuments(
        TextWriter output, IReadOnlyList<MemberDocument> answers, bool isOne, OutputFormat format)
    {
        JsonNode documents = isOne
            ? answers[0].Json!
            : new JsonArray([.. answers.Select(answer => answer.Json is { } json
                ? json
                : (JsonNode)new JsonObject { ["member"] = answer.Member.Name, ["problem"] = answer.Problem })]);
        if (format == OutputFormat.Json)
        {
            output.WriteLine(JsonLine.Write(documents));
        }
        else
        {
            output.Write(SortedYaml.WriteBlock(documents));
        }
    }

    private static JsonNode?[] Row(MemberDocument answer) => answer.Json is { } json
        ?
        [
            answer.Member.Name, json.Text("role"), json.Flag("is_leader") ? "yes" : "no", json.Text("code"),
            json.Text("since"), json.Text("reason"), json.Text("if_leader_gone", "reason"),
        ]
        : [answer.Member.Name, answer.Member.Role.ToWire(), null, null, null, answer.Problem, null];

    private static void PrintSentences(Session session, JsonObject json)
    {
        var screen = session.Screen;
        screen.WriteLine(json.Text("answer") ?? "");
        if (json.Text("since") is { } since)
        {
            screen.WriteLine($"This has been so since {since} (code {json.Text("code")}).");
        }
        screen.WriteLine(json.Text("no_failover", "reason") is { } reason
            ? $"There is no failover: {reason} (code {json.Text("no_failover", "code")})."
            : $"{json.Text("member")} is about to take the leader key.");
        if (json.Text("if_leader_gone", "reason") is { } whatIf)
        {
            screen.WriteLine(
                $"If the leader were gone now: {json.Text("member")} {whatIf} "
                    + $"(code {json.Text("if_leader_gone", "code")}).");
        }
        var figures = json["figures"] as JsonObject ?? [];
        var left = figures.Number("lease_left_ms") is { } milliseconds
            ? string.Create(CultureInfo.InvariantCulture, $", of which {milliseconds / 1000.0:0.0} s are left")
            : "";
        screen.WriteLine($"Figures: WAL at {figures.Text("lsn")} on timeline {json.Number("timeline")}, "
            + $"{figures.Number("lag") ?? 0} bytes behind the leader ({figures.Text("leader_lsn") ?? "unknown"}); "
            + $"maximum_lag_on_failover {figures.Number("maximum_lag_on_failover")} bytes; term {json.Number("term")}; "
            + $"ttl {figures.Number("ttl_ms") / 1000} s{left}.");
    }
}
