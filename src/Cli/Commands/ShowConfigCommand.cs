using System.CommandLine;
using System.Text.Json.Nodes;
using Routing.Cli.Output;

namespace Routing.Cli.Commands;

/// <summary><c>show-config</c>: the dynamic configuration.</summary>
internal static class ShowConfigCommand
{
    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var command = new Command("show-config", "Show the dynamic configuration as YAML") { name, group };
        return host.Add(command, (session, parsed, cancellationToken) =>
            RunAsync(session, session.ClusterName(parsed.GetValue(name)), parsed.GetValue(group), cancellationToken));
    }

    private static async Task<int> RunAsync(
        Session session, string name, int? groupOption, CancellationToken cancellationToken)
    {
        var group = groupOption ?? session.Settings.ConfiguredGroup;
        await using var store = session.Open(name, group);
        var snapshot = await store.ReadAsync(cancellationToken);
        if (snapshot.Config is { } config)
        {
            session.Screen.Output.Write(SortedYaml.WriteBlock(JsonNode.Parse(config.Raw.GetRawText())));
        }
        else
        {
            session.Screen.WriteHint($"Cluster {name} has no dynamic configuration.");
            session.HintIfUnknown(snapshot, name, group);
        }
        return ExitCode.Success;
    }
}
