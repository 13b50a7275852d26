using System.CommandLine;
using Routing.Cli.Output;

namespace Routing.Cli.Commands;

/// <summary><c>topology</c>: the members as a tree, each below the one that it streams from.</summary>
internal static class TopologyCommand
{
    public static Command Create(CommandHost host)
    {
        var names = CommonOptions.ClusterNames();
        var group = CommonOptions.Group();
        var watchByDefault = CommonOptions.WatchByDefault();
        var watch = CommonOptions.Watch();
        var command = new Command("topology", "Show which member streams from which")
        {
            names, group, watchByDefault, watch,
        };
        return host.Add(command, (session, parsed, cancellationToken) => MemberListing.ShowAsync(
            session,
            new MemberListing.Request(
                parsed.GetValue(names) ?? [],
                parsed.GetValue(group),
                OutputFormat.Topology,
                Watching.Interval(parsed.GetValue(watchByDefault), parsed.GetValue(watch))),
            cancellationToken));
    }
}
