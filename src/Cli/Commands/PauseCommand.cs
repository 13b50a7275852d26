using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Cli.Members;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary><c>pause</c> and <c>resume</c>: automatic actions are suspended, or go on.</summary>
internal sealed class PauseCommand(Session session, PauseCommand.Request request)
{
    /// <summary>The command line.</summary>
    internal sealed record Request(string Cluster, int? Group, bool Pause, bool Wait, bool DryRun);

    public static Command Create(CommandHost host, bool pause)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var wait = new Option<bool>("--wait") { Description = "Wait until every member has seen it" };
        var dryRun = CommonOptions.DryRun();
        var command = new Command(
            pause ? "pause" : "resume",
            pause ? "Suspend automatic failover and every other automatic action"
                : "End the pause: automatic actions go on")
        {
            name, group, wait, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => new PauseCommand(
            session,
            new Request(
                session.ClusterName(parsed.GetValue(name)),
                parsed.GetValue(group) ?? session.Settings.ConfiguredGroup,
                pause,
                parsed.GetValue(wait),
                parsed.GetValue(dryRun))).RunAsync(cancellationToken));
    }

    private string Verb => request.Pause ? "pause" : "resume";

    private string Participle => request.Pause ? "paused" : "resumed";

    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var snapshot = await store.ReadAsync(cancellationToken);
        if (snapshot.Members.IsEmpty)
        {
            session.HintIfUnknown(snapshot, request.Cluster, request.Group);
        }
        if ((snapshot.Config?.Pause ?? false) == request.Pause)
        {
            throw new CtlException($"Cluster is {(request.Pause ? "already" : "not")} paused");
        }
        var calls = new MemberCalls(session, request.DryRun);
        var body = new JsonObject { ["pause"] = request.Pause ? true : null };
        foreach (var member in MembersInOrder.LeaderFirst(snapshot).Where(member => member.ApiUrl is not null))
        {
            var reply = await calls.SendAsync(
                member, HttpMethod.Patch, "/config", body, MemberCalls.QuickTimeout, cancellationToken);
            if (reply is null)
            {
                return ExitCode.Success;
            }
            if (reply.Status is null)
            {
                session.LogNoAnswer(reply.Text);
                continue;
            }
            if (!reply.IsSuccess)
            {
                session.Screen.WriteLine($"Failed: {Verb} cluster management {reply.Details}");
                return ExitCode.Failure;
            }
            return request.Wait ? await WaitAsync(store, snapshot, cancellationToken) : Succeed();
        }
        throw new CtlException("Can not find accessible cluster member",
            "The REST API of at least one member has to be reachable.");
    }

    private int Succeed()
    {
        session.Screen.WriteLine($"Success: cluster management is {Participle}");
        return ExitCode.Success;
    }

    /// <summary>Waits until each member that was there says in its key that it knows.</summary>
    private async Task<int> WaitAsync(IClusterStore store, ClusterSnapshot before, CancellationToken cancellationToken)
    {
        session.Screen.WriteLine($"'{Verb}' request sent, waiting until it is recognized by all nodes");
        var limit = (before.Config?.Timing ?? Timing.Default).LoopWait + TimeSpan.FromSeconds(1);
        var asked =
            before.Members.Values.Where(member => member.ApiUrl is not null).Select(member => member.Name).ToArray();
        if (await store.WaitAsync(now => !Unaware(now).Any(), limit, session.Time, cancellationToken) is not null)
        {
            return Succeed();
        }
        var unaware = Unaware(await store.ReadAsync(cancellationToken)).ToArray();
        if (unaware.Length == 0)
        {
            return Succeed();
        }
        session.Screen.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{string.Join(", ", unaware)} members didn't recognized {Verb} state after {limit.TotalSeconds:0.#} "
                + $"seconds"));
        return ExitCode.Failure;

        IEnumerable<string> Unaware(ClusterSnapshot now) =>
            asked.Where(name => now.Members.TryGetValue(name, out var member) && member.Pause != request.Pause);
    }
}
