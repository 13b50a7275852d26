using System.CommandLine;
using System.Globalization;
using Routing.Cli.Checks;
using Routing.Cli.Migration;
using Routing.Cli.Output;

namespace Routing.Cli.Commands;

/// <summary><c>migrate --check</c>: what will be otherwise when our agent takes the place of Patroni's.</summary>
internal static class MigrateCommand
{
    public static Command Create(CommandHost host)
    {
        var check = new Option<bool>("--check")
        {
            Description = "Say what is refused (ERROR), ignored (WARNING), or behaves otherwise (NOTE)",
        };
        var files = new Argument<string[]>("files")
        {
            Description = "The configuration file of each node, copied here; its variables are not known",
            Arity = ArgumentArity.OneOrMore,
        };
        var offline = new Option<bool>("--offline")
        {
            Description = "Look at the files alone, not at the keys in etcd",
        };
        var group = CommonOptions.Group();
        var format = CommonOptions.Format();
        var command = new Command(
            "migrate", "Judge a move from Patroni to Routing (exit code 0: nothing is refused, 1: something is)")
        {
            check, files, offline, group, format,
        };
        command.Validators.Add(result =>
        {
            if (!result.GetValue(check))
            {
                result.AddError("Say --check: nothing else is there to do. The steps stand in docs/migration.md.");
            }
        });
        return host.Add(command, (session, parsed, cancellationToken) => RunAsync(
            session, [.. parsed.GetRequiredValue(files).Select(NodeFile.Read)],
            parsed.GetValue(offline), parsed.GetValue(group), parsed.GetValue(format), cancellationToken));
    }

    private static async Task<int> RunAsync(
        Session session, IReadOnlyList<NodeFile> files, bool offline, int? group, OutputFormat format,
        CancellationToken cancellationToken)
    {
        var findings = FileReview.Of(files).ToList();
        if (!offline)
        {
            var cluster = session.ClusterName(
                files.Select(file => file.Settings?.Scope).FirstOrDefault(scope => !string.IsNullOrEmpty(scope)));
            await using var store = session.Open(cluster, group);
            var snapshot = await store.ReadAsync(cancellationToken);
            session.HintIfUnknown(snapshot, cluster, group);
            findings.AddRange(ClusterReview.Of(
                snapshot, cluster,
                [.. files.Select(file => file.Settings?.Name).OfType<string>().Where(name => name.Length > 0)]));
        }
        FindingList.Print(
            session.Screen, [.. findings.OrderByDescending(finding => finding.Severity)], format,
            string.Create(CultureInfo.InvariantCulture, $"OK: nothing differs for {files.Count} files"));
        return findings.Exists(finding => finding.Severity == Severity.Error) ? ExitCode.Failure : ExitCode.Success;
    }
}
