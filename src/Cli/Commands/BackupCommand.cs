using System.CommandLine;
using Routing.Cli.Terminal;
using Routing.Cluster;

namespace Routing.Cli.Commands;

/// <summary>
/// <c>backup</c>: runs pgBackRest on this node, if its member is the one of the cluster that makes the backups. So the
/// same timer may run on every node.
/// </summary>
internal static class BackupCommand
{
    private static readonly string[] s_types = ["full", "diff", "incr"];

    private static readonly string[] s_roles = ["leader", "replica"];

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var type = OneOf("--type", "Kind of the backup", s_types, "incr");
        var role = OneOf("--role",
            "The member that makes it: the leader, or the first replica by name that streams (without one the leader)",
            s_roles, "leader");
        var dryRun = CommonOptions.DryRun();
        var command = new Command("backup", "Make a backup with pgBackRest, if this node's member is the one to do so")
        {
            name, group, type, role, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => RunAsync(
            session, session.ClusterName(parsed.GetValue(name)), parsed.GetValue(group) ?? session.OnlyGroup(),
            parsed.GetValue(type)!, parsed.GetValue(role)!, parsed.GetValue(dryRun), cancellationToken));
    }

    private static Option<string> OneOf(string name, string description, string[] words, string byDefault)
    {
        var option = new Option<string>(name)
        {
            Description = description, HelpName = string.Join('|', words), DefaultValueFactory = _ => byDefault,
        };
        option.CompletionSources.Add(words);
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var word, ..] && !words.Contains(word.Value, StringComparer.Ordinal))
            {
                result.AddError($"'{word.Value}' is none of {string.Join(", ", words)}.");
            }
        });
        return option;
    }

    private static async Task<int> RunAsync(
        Session session, string cluster, int? group, string type, string role, bool dryRun,
        CancellationToken cancellationToken)
    {
        if (session.Settings is not { Member: { } self, PgBackRest: { } pgBackRest })
        {
            throw new CtlException("The configuration names no member, or has no pgbackrest section",
                "Run it on a node, with the agent's own configuration file (--config-file).");
        }
        await using var store = session.Open(cluster, group);
        var snapshot = await store.ReadAsync(cancellationToken);
        session.HintIfUnknown(snapshot, cluster, group);
        if (ChooseMember(snapshot, role) is not { } chosen)
        {
            throw new CtlException("No member can make a backup now: the cluster has no leader");
        }
        if (chosen != self)
        {
            session.Screen.WriteLine($"Nothing to do here: {chosen} makes the backups of {cluster} ({role}).");
            return ExitCode.Success;
        }
        string[] words = [.. pgBackRest, $"--type={type}", "backup"];
        if (dryRun)
        {
            session.Screen.WriteLine($"Dry run: {self} would run {string.Join(' ', words)}");
            return ExitCode.Success;
        }
        session.Screen.WriteLine($"{self} makes a backup of {cluster}: {string.Join(' ', words)}");
        session.Screen.Output.Flush();
        var code = await ExternalProgram.RunAsync(words, cancellationToken);
        return code == 0
            ? ExitCode.Success
            : throw new CtlException($"{words[0]} ended with the exit code {code}: there is no new backup");
    }

    /// <summary>The member that makes the backups; null: none can.</summary>
    internal static string? ChooseMember(ClusterSnapshot snapshot, string role) =>
        (role == "replica"
            ? snapshot.Members.Values.FirstOrDefault(member => member.Name != snapshot.Leader?.Holder
                && member is { State: PostgresState.Running, ReplicationState: "streaming" })?.Name
            : null)
        ?? snapshot.Leader?.Holder;
}
