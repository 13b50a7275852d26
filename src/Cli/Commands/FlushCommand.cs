using System.CommandLine;
using System.Net;
using Routing.Cli.Members;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary><c>flush</c>: scheduled restarts, or a scheduled switchover, are taken back.</summary>
internal sealed class FlushCommand(Session session, FlushCommand.Request request)
{
    private const string Restart = "restart";
    private const string Switchover = "switchover";

    /// <summary>The command line.</summary>
    internal sealed record Request(
        string Cluster, IReadOnlyCollection<string> Members, string Target, int? Group, string Role, bool Force,
        bool DryRun);

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.RequiredClusterName();
        var words = new Argument<string[]>("member-names|what")
        {
            Description = "Names of members, if only theirs shall be taken back; then what: restart or switchover",
            Arity = ArgumentArity.OneOrMore,
        };
        words.CompletionSources.Add(Restart, Switchover);
        words.Validators.Add(result =>
        {
            var last = result.Tokens.Count > 0 ? result.Tokens[^1].Value : "";
            if (last is not (Restart or Switchover))
            {
                result.AddError($"'{last}' can't be taken back: the last word has to be {Restart} or {Switchover}.");
            }
        });
        var group = CommonOptions.Group();
        var role = CommonOptions.Role();
        var force = CommonOptions.Force();
        var dryRun = CommonOptions.DryRun();
        var command = new Command("flush", "Take back scheduled restarts, or a scheduled switchover") { name, words,
            group, role, force, dryRun };
        return host.Add(command, (session, parsed, cancellationToken) => new FlushCommand(
            session,
            new Request(
                parsed.GetValue(name)!,
                parsed.GetValue(words)![..^1],
                parsed.GetValue(words)![^1],
                parsed.GetValue(group) ?? session.OnlyGroup(),
                parsed.GetValue(role)!,
                parsed.GetValue(force) || parsed.GetValue(dryRun),
                parsed.GetValue(dryRun))).RunAsync(cancellationToken));
    }

    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var snapshot = await store.ReadAsync(cancellationToken);
        var calls = new MemberCalls(session, request.DryRun);
        return request.Target == Restart
            ? await FlushRestartsAsync(calls, snapshot, cancellationToken)
            : await FlushSwitchoverAsync(calls, store, snapshot, cancellationToken);
    }

    private async Task<int> FlushRestartsAsync(
        MemberCalls calls, ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        var choice = new MemberChoice(session, request.Cluster, request.Group, "flush", request.Force);
        var chosen =
            await choice.ChooseAsync(snapshot, request.Members, request.Role, mustName: false, cancellationToken);
        await choice.ConfirmAsync(chosen, scheduledAt: null, cancellationToken);
        var succeeded = true;
        foreach (var member in chosen)
        {
            if (member.ScheduledRestart is null)
            {
                session.Screen.WriteLine($"No scheduled restart for member {member.Name}");
                continue;
            }
            var reply = await calls.SendAsync(
                member, HttpMethod.Delete, "/restart", body: null, MemberCalls.QuickTimeout, cancellationToken);
            succeeded &= calls.Report(member, "flush scheduled restart", reply);
        }
        return succeeded ? ExitCode.Success : ExitCode.Failure;
    }

    private async Task<int> FlushSwitchoverAsync(
        MemberCalls calls, IClusterStore store, ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        if (snapshot.Failover is not { ScheduledAt: not null } pending)
        {
            session.Screen.WriteLine("No pending scheduled switchover");
            return ExitCode.Success;
        }
        foreach (var member in MembersInOrder.LeaderFirst(snapshot).Where(member => member.ApiUrl is not null))
        {
            var reply = await calls.SendAsync(
                member, HttpMethod.Delete, "/switchover", body: null, MemberCalls.QuickTimeout, cancellationToken);
            switch (reply)
            {
                case null:
                    return ExitCode.Success;
                case { Status: HttpStatusCode.OK }:
                    session.Screen.WriteLine($"Success: {reply.Text}");
                    return ExitCode.Success;
                case { Status: HttpStatusCode.NotFound }:
                    session.Screen.WriteLine($"Failed: {reply.Text}");
                    return ExitCode.Failure;
                default:
                    session.Screen.WriteLine($"Failed: member={member.Name}, {reply.Details}");
                    break;
            }
        }
        session.Screen.WriteLine(
            $"{session.Timestamp()} Could not find any accessible member of cluster {request.Cluster}, falling back "
                + "to DCS");
        var written = await store.PutAsync(
            ClusterKeys.Failover, KeyWriter.NoFailover, WriteCondition.Unchanged(pending.ModRevision), leaseId: 0,
            cancellationToken);
        if (!written.IsDone)
        {
            throw new CtlException(
                $"The scheduled switchover could not be taken back in the DCS: "
                    + $"{written.Problem ?? written.Status.ToString()}");
        }
        session.Screen.WriteLine("Success: scheduled switchover deleted");
        return ExitCode.Success;
    }
}
