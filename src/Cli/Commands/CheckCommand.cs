using System.CommandLine;
using System.Globalization;
using Routing.Cli.Checks;
using Routing.Cli.Output;

namespace Routing.Cli.Commands;

/// <summary><c>check</c>: what is not as it should be, one line each.</summary>
internal static class CheckCommand
{
    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var format = CommonOptions.Format();
        var lag = CommonOptions.Size("--max-lag",
            "A standby that lacks more WAL than this is worth a line. Default: 16MB");
        var slot =
            CommonOptions.Size("--max-wal", "A slot that keeps more WAL than this is worth a line. Default: 1GB");
        var command = new Command(
            "check", "Say what is not as it should be, one line each (exit code 0: nothing, 1: something)")
        {
            name, group, format, lag, slot,
        };
        return host.Add(command, (session, parsed, cancellationToken) => RunAsync(
            session,
            session.ClusterName(parsed.GetValue(name)),
            parsed.GetValue(group) ?? session.OnlyGroup(),
            parsed.GetValue(format),
            new CheckLimits(parsed.GetValue(lag) ?? 16 << 20, parsed.GetValue(slot) ?? 1 << 30),
            cancellationToken));
    }

    private static async Task<int> RunAsync(
        Session session, string cluster, int? group, OutputFormat format, CheckLimits limits,
        CancellationToken cancellationToken)
    {
        await using var store = session.Open(cluster, group);
        var etcd = EtcdChecks.RunAsync(session.Settings.Etcd, session.Time, cancellationToken);
        var snapshot = await store.ReadAsync(cancellationToken);
        session.HintIfUnknown(snapshot, cluster, group);
        var members = new MemberChecks(session, snapshot).RunAsync(cancellationToken);
        var server = new ServerChecks(session, snapshot, limits).RunAsync(cancellationToken);
        var backups = new BackupChecks(session, snapshot).RunAsync(cancellationToken);
        Finding[] findings =
        [
            .. (await etcd).Concat(KeyChecks.Of(snapshot, cluster, limits)).Concat(await members).Concat(await server)
                .Concat(await backups)
                .Distinct()   // server and agent both tell of the archiver
                .OrderByDescending(finding => finding.Severity),
        ];
        FindingList.Print(session.Screen, findings, format, string.Create(
            CultureInfo.InvariantCulture,
            $"OK: {cluster} has {snapshot.Members.Count} members; {snapshot.Leader?.Holder} leads on timeline "
                + $"{snapshot.LeaderMember?.Timeline}"));
        return findings.Length == 0 ? ExitCode.Success : ExitCode.Failure;
    }
}
