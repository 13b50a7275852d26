using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Cli.Checks;
using Routing.Cli.Output;
using Routing.Cluster;

namespace Routing.Cli.Commands;

/// <summary><c>check</c>: what is not as it should be, one line each.</summary>
internal static class CheckCommand
{
    private static readonly Column[] s_columns = [new("Severity"), new("Subject"), new("Problem")];

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
        Finding[] findings =
        [
            .. (await etcd).Concat(KeyChecks.Of(snapshot, cluster, limits)).Concat(await members).Concat(await server)
                .OrderByDescending(finding => finding.Severity),
        ];
        Print(session, cluster, snapshot, findings, format);
        return findings.Length == 0 ? ExitCode.Success : ExitCode.Failure;
    }

    private static void Print(
        Session session, string cluster, ClusterSnapshot snapshot, Finding[] findings, OutputFormat format)
    {
        if (format != OutputFormat.Pretty)
        {
            new Table(s_columns, [.. findings.Select(finding => new JsonNode?[]
            {
                Word(finding), finding.Subject, finding.Text,
            })]).Print(session.Screen.Output, format);
            return;
        }
        foreach (var finding in findings)
        {
            var colour = finding.Severity == Severity.Error ? "1;31" : "33";
            var word = session.Screen.HasColours ? $"\e[{colour}m{Word(finding)}\e[0m" : Word(finding);
            session.Screen.WriteLine($"{word}: {finding.Subject} {finding.Text}");
        }
        if (findings.Length == 0)
        {
            session.Screen.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"OK: {cluster} has {snapshot.Members.Count} members; {snapshot.Leader?.Holder} leads on timeline "
                    + $"{snapshot.LeaderMember?.Timeline}"));
        }
    }

    private static string Word(Finding finding) => finding.Severity == Severity.Error ? "ERROR" : "WARNING";
}
