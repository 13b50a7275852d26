using System.CommandLine;
using System.Text.Json.Nodes;
using Routing.Cli.Members;
using Routing.Cluster;

namespace Routing.Cli.Commands;

/// <summary><c>reinit</c>: the data of standbys are replaced by a fresh copy.</summary>
internal sealed class ReinitCommand(Session session, ReinitCommand.Request request)
{
    private const string Action = "reinitialize";

    /// <summary>The command line.</summary>
    internal sealed record Request(
        string Cluster, IReadOnlyCollection<string> Members, int? Group, bool Force, bool FromLeader, bool Wait,
        bool DryRun);

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.RequiredClusterName();
        var members = CommonOptions.MemberNames();
        var group = CommonOptions.Group();
        var force = CommonOptions.Force();
        var fromLeader = new Option<bool>(
            "--from-leader") { Description = "Copy the leader, also where another member is tagged clonefrom" };
        var wait = new Option<bool>("--wait") { Description = "Wait until the copies are made and their servers run" };
        var dryRun = CommonOptions.DryRun();
        var command = new Command("reinit", "Replace the data of standbys by a fresh copy") { name, members, group,
            force, fromLeader, wait, dryRun };
        return host.Add(command, (session, parsed, cancellationToken) => new ReinitCommand(
            session,
            new Request(
                parsed.GetValue(name)!,
                parsed.GetValue(members) ?? [],
                parsed.GetValue(group) ?? session.OnlyGroup(),
                parsed.GetValue(force) || parsed.GetValue(dryRun),
                parsed.GetValue(fromLeader),
                parsed.GetValue(wait),
                parsed.GetValue(dryRun))).RunAsync(cancellationToken));
    }

    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var snapshot = await store.ReadAsync(cancellationToken);
        var choice = new MemberChoice(session, request.Cluster, request.Group, Action, request.Force);
        var chosen =
            await choice.ChooseAsync(snapshot, request.Members, RoleFilter.Replica, mustName: true, cancellationToken);
        await choice.ConfirmAsync(chosen, scheduledAt: null, cancellationToken);

        var calls = new MemberCalls(session, request.DryRun);
        var copies = new CopyWatch(session);
        var succeeded = true;
        foreach (var member in chosen)
        {
            if (request is { Wait: true, DryRun: false })
            {
                await copies.RememberAsync(member, cancellationToken);
            }
            var started = await StartAsync(calls, member, cancellationToken);
            succeeded &= started;
            if (!started)
            {
                copies.Forget(member);
            }
        }
        if (request is { Wait: true, DryRun: false })
        {
            await copies.WaitAsync(cancellationToken);
        }
        return succeeded ? ExitCode.Success : ExitCode.Failure;
    }

    private async Task<bool> StartAsync(MemberCalls calls, Member member, CancellationToken cancellationToken)
    {
        var force = request.Force;
        while (true)
        {
            var body = new JsonObject { ["force"] = force, ["from_leader"] = request.FromLeader };
            var reply = await calls.SendAsync(
                member, HttpMethod.Post, "/reinitialize", body, MemberCalls.QuickTimeout, cancellationToken);
            var started = calls.Report(member, Action, reply);
            if (started || force || reply?.Text.EndsWith("already in progress", StringComparison.Ordinal) != true)
            {
                return started;
            }
            if (!await session.Prompts.ConfirmAsync(
                "Do you want to cancel it and reinitialize anyway?", cancellationToken))
            {
                return false;
            }
            force = true;
        }
    }
}
