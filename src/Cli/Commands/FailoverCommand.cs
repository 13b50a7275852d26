using System.CommandLine;

namespace Routing.Cli.Commands;

/// <summary><c>failover</c>: a given member leads, also when there is no leader.</summary>
internal static class FailoverCommand
{
    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var candidate = CommonOptions.Candidate();
        var site = CommonOptions.Site("Offer the members of this site alone");
        var force = CommonOptions.Force();
        var dryRun = CommonOptions.DryRun();
        var command = new Command(
            "failover",
            "Make a given member the leader, also when there is none; waits for the result (exit code 1 when it fails)")
        {
            name, group, candidate, site, force, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => new LeaderChange(
            session,
            new LeaderChange.Request(
                IsSwitchover: false,
                session.ClusterName(parsed.GetValue(name)),
                parsed.GetValue(group),
                Leader: null,
                parsed.GetValue(candidate),
                Scheduled: null,
                parsed.GetValue(force) || parsed.GetValue(dryRun),
                parsed.GetValue(dryRun))
            {
                Site = parsed.GetValue(site),
            }).RunAsync(cancellationToken));
    }
}
