using System.CommandLine;
using Routing.Cli.Members;

namespace Routing.Cli.Commands;

/// <summary>
/// <c>rolling-restart</c>: every member, one after the other, with the leader handed over before its turn.
/// </summary>
internal static class RollingRestartCommand
{
    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.RequiredClusterName();
        var group = CommonOptions.Group();
        var pending =
            new Option<bool>("--pending") { Description = "Only where a changed setting waits for a restart" };
        var maximumLag = CommonOptions.Size(
            "--max-lag", "A standby has to be back within this many bytes before the next is restarted. Default: 1MB");
        var timeout =
            CommonOptions.Time("--timeout", "The longest to wait until a member is well again. Default: 5min");
        var noSwitchover = new Option<bool>(
            "--no-switchover") { Description = "Restart the leader in its place: no writes meanwhile" };
        var force = CommonOptions.Force();
        var dryRun = CommonOptions.DryRun();
        var command = new Command(
            "rolling-restart",
            "Restart PostgreSQL of all members: standbys one by one, then a switchover and the old leader. Stops at "
                + "the first that is not well")
        {
            name, group, pending, maximumLag, timeout, noSwitchover, force, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => new RollingRestart(
            session,
            new RollingRestart.Request(parsed.GetValue(name)!, parsed.GetValue(group) ?? session.OnlyGroup())
            {
                Pending = parsed.GetValue(pending),
                MaximumLagBytes = parsed.GetValue(maximumLag) ?? 1 << 20,
                Patience = parsed.GetValue(timeout) ?? TimeSpan.FromMinutes(5),
                HandsOver = !parsed.GetValue(noSwitchover),
                Force = parsed.GetValue(force) || parsed.GetValue(dryRun),
                DryRun = parsed.GetValue(dryRun),
            }).RunAsync(cancellationToken));
    }
}
