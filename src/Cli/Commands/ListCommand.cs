using System.CommandLine;

namespace Routing.Cli.Commands;

/// <summary><c>list</c>: the members of one cluster or more.</summary>
internal static class ListCommand
{
    public static Command Create(CommandHost host)
    {
        var names = CommonOptions.ClusterNames();
        var group = CommonOptions.Group();
        var extended = new Option<bool>("--extended", "-e") { Description = "Show every column, also the empty ones" };
        var timestamp = new Option<bool>("--timestamp", "-t") { Description = "Print the time first" };
        var format = CommonOptions.Format();
        var watchByDefault = CommonOptions.WatchByDefault();
        var watch = CommonOptions.Watch();
        var command = new Command("list", "List the members of a cluster")
        {
            names, group, extended, timestamp, format, watchByDefault, watch,
        };
        return host.Add(command, (session, parsed, cancellationToken) => MemberListing.ShowAsync(
            session,
            new MemberListing.Request(
                parsed.GetValue(names) ?? [],
                parsed.GetValue(group),
                parsed.GetValue(format),
                Watching.Interval(parsed.GetValue(watchByDefault), parsed.GetValue(watch)),
                Extended: parsed.GetValue(extended),
                WithTime: parsed.GetValue(timestamp)),
            cancellationToken));
    }
}
