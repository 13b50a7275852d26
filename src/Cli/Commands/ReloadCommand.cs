using System.CommandLine;
using System.Globalization;
using System.Net;
using Routing.Cli.Members;
using Routing.Cluster;

namespace Routing.Cli.Commands;

/// <summary><c>reload</c>: agents read their configuration file again.</summary>
internal static class ReloadCommand
{
    private const string Action = "reload";

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.RequiredClusterName();
        var members = CommonOptions.MemberNames();
        var group = CommonOptions.Group();
        var role = CommonOptions.Role();
        var force = CommonOptions.Force();
        var dryRun = CommonOptions.DryRun();
        var command = new Command(Action, "Let agents read their configuration again") { name, members, group, role,
            force, dryRun };
        return host.Add(command, async (session, parsed, cancellationToken) =>
        {
            var cluster = parsed.GetValue(name)!;
            var groupNumber = parsed.GetValue(group) ?? session.OnlyGroup();
            var isForced = parsed.GetValue(force) || parsed.GetValue(dryRun);
            await using var store = session.Open(cluster, groupNumber);
            var snapshot = await store.ReadAsync(cancellationToken);
            var choice = new MemberChoice(session, cluster, groupNumber, Action, isForced);
            var chosen = await choice.ChooseAsync(
                snapshot, parsed.GetValue(members) ?? [], parsed.GetValue(role)!, mustName: false, cancellationToken);
            await choice.ConfirmAsync(chosen, scheduledAt: null, cancellationToken);
            return await ReloadAsync(session, snapshot, chosen, parsed.GetValue(dryRun), cancellationToken);
        });
    }

    private static async Task<int> ReloadAsync(
        Session session, ClusterSnapshot snapshot, IReadOnlyList<Member> members, bool dryRun,
        CancellationToken cancellationToken)
    {
        var calls = new MemberCalls(session, dryRun);
        var seconds = (snapshot.Config?.Timing ?? Timing.Default).LoopWait.TotalSeconds;
        var succeeded = true;
        foreach (var member in members)
        {
            var reply = await calls.SendAsync(
                member, HttpMethod.Post, "/reload", body: null, MemberCalls.QuickTimeout, cancellationToken);
            if (reply is { Status: HttpStatusCode.Accepted })
            {
                session.Screen.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Reload request received for member {member.Name} and will be processed within {seconds:0.#} "
                        + $"seconds"));
            }
            else if (reply is { Status: HttpStatusCode.OK })
            {
                session.Screen.WriteLine($"No changes to apply on member {member.Name}");
            }
            else
            {
                succeeded &= calls.Report(member, Action, reply);
            }
        }
        return succeeded ? ExitCode.Success : ExitCode.Failure;
    }
}
