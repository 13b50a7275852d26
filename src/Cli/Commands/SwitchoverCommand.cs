using System.CommandLine;

namespace Routing.Cli.Commands;

/// <summary><c>switchover</c>: another member leads, by plan and without loss.</summary>
internal static class SwitchoverCommand
{
    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var leader =
            new Option<string?>("--leader", "--primary") { Description = "The present leader", HelpName = "NAME" };
        var candidate = CommonOptions.Candidate();
        var site = CommonOptions.Site("Any member of this site shall lead");
        var scheduled = CommonOptions.Scheduled();
        var force = CommonOptions.Force();
        var dryRun = CommonOptions.DryRun();
        var command = new Command(
            "switchover",
            "Hand the leadership over, now or at a given time; waits for the result (exit code 1 when it fails)")
        {
            name, group, leader, candidate, site, scheduled, force, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => new LeaderChange(
            session,
            new LeaderChange.Request(
                IsSwitchover: true,
                session.ClusterName(parsed.GetValue(name)),
                parsed.GetValue(group),
                parsed.GetValue(leader),
                parsed.GetValue(candidate),
                parsed.GetValue(scheduled),
                parsed.GetValue(force) || parsed.GetValue(dryRun),
                parsed.GetValue(dryRun))
            {
                Site = parsed.GetValue(site),
            }).RunAsync(cancellationToken));
    }
}
