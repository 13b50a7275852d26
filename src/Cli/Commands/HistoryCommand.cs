using System.CommandLine;
using System.Text.Json.Nodes;
using Routing.Cli.Output;

namespace Routing.Cli.Commands;

/// <summary><c>history</c>: every change of timeline that the cluster remembers.</summary>
internal static class HistoryCommand
{
    private static readonly Column[] s_columns =
    [
        new("TL", AlignRight: true), new("LSN", AlignRight: true), new("Reason"), new("Timestamp"), new("New Leader"),
    ];

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var format = CommonOptions.Format();
        var command = new Command("history", "Show past failovers and switchovers") { name, group, format };
        return host.Add(command, (session, parsed, cancellationToken) => RunAsync(
            session,
            session.ClusterName(parsed.GetValue(name)),
            parsed.GetValue(group),
            parsed.GetValue(format),
            cancellationToken));
    }

    private static async Task<int> RunAsync(
        Session session, string name, int? groupOption, OutputFormat format, CancellationToken cancellationToken)
    {
        var group = groupOption ?? session.Settings.ConfiguredGroup;
        await using var store = session.Open(name, group);
        var snapshot = await store.ReadAsync(cancellationToken);
        var rows = (snapshot.History?.Lines ?? [])
            .Select(line => new JsonNode?[]
            {
                (long)line.Timeline,
                line.SwitchPoint.Value,
                line.Reason,
                line.Timestamp,
                line.NewLeader,
            })
            .ToArray();
        new Table(s_columns, rows).Print(session.Screen.Output, format);
        session.HintIfUnknown(snapshot, name, group);
        return ExitCode.Success;
    }
}
