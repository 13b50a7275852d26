using System.CommandLine;
using Routing.Cli.Output;
using Routing.Cluster;

namespace Routing.Cli.Commands;

/// <summary><c>remove</c>: everything that the DCS holds of a cluster is deleted, after three questions.</summary>
internal static class RemoveCommand
{
    private const string Aware = "Yes I am aware";

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.RequiredClusterName();
        var group = CommonOptions.Group();
        var format = CommonOptions.Format();
        var dryRun = CommonOptions.DryRun();
        var command = new Command("remove",
            "Delete all keys of a cluster from the DCS; its data directories stay") { name, group, format, dryRun };
        return host.Add(command, (session, parsed, cancellationToken) => RunAsync(
            session, parsed.GetValue(name)!, parsed.GetValue(group), parsed.GetValue(format), parsed.GetValue(dryRun),
            cancellationToken));
    }

    private static async Task<int> RunAsync(
        Session session, string name, int? group, OutputFormat format, bool dryRun, CancellationToken cancellationToken)
    {
        if (session.Settings.ConfiguredGroup is not null && group is null)
        {
            throw new CtlException("For Citus clusters the --group must be specified",
                "Each group is removed by itself.");
        }
        await using var store = session.Open(name, group);
        var snapshot = await store.ReadAsync(cancellationToken);
        MemberTable.Print(session.Screen.Output, snapshot, name, group, format);
        session.HintIfUnknown(snapshot, name, group);
        if (dryRun)
        {
            session.Screen.WriteLine(
                $"Dry run: every key below {session.Settings.BasePath(name, group)}/ would be deleted");
            return ExitCode.Success;
        }
        await AskAsync(session, name, snapshot, cancellationToken);
        await store.DeleteClusterAsync(cancellationToken);
        return ExitCode.Success;
    }

    private static async Task AskAsync(
        Session session, string name, ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        var confirmed = await session.Prompts.AskAsync(
            "Please confirm the cluster name to remove", defaultAnswer: null, cancellationToken);
        if (confirmed != name)
        {
            throw new CtlException("Cluster names specified do not match");
        }
        var aware = await session.Prompts.AskAsync(
            $"You are about to remove all information in DCS for {name}, please type: \"{Aware}\"", defaultAnswer: null,
            cancellationToken);
        if (aware != Aware)
        {
            throw new CtlException($"You did not exactly type \"{Aware}\"");
        }
        if (snapshot.Leader is { } leader)
        {
            var named = await session.Prompts.AskAsync(
                "This cluster currently is healthy. Please specify the leader name to continue", defaultAnswer: null,
                cancellationToken);
            if (named != leader.Holder)
            {
                throw new CtlException("You did not specify the current leader of the cluster");
            }
        }
    }
}
