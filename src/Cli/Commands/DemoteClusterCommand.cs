using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Cli.Members;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary><c>demote-cluster</c>: the cluster becomes a standby cluster of a remote one.</summary>
internal sealed class DemoteClusterCommand(Session session, DemoteClusterCommand.Request request)
{
    /// <summary>The command line.</summary>
    internal sealed record Request(
        string Cluster, int? Group, JsonObject Section, bool Yes, bool Force, bool DryRun);

    private readonly ClusterConversion _conversion = new(session, request.DryRun);

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var remote = new Option<string?>("--host")
        {
            Description = "The remote host, or several separated by commas", HelpName = "HOST",
        };
        var port = new Option<string?>("--port") { Description = "Its port, or one for each host", HelpName = "PORT" };
        var restore = new Option<string?>("--restore-command")
        {
            Description = "Where WAL comes from that cannot be streamed", HelpName = "COMMAND",
        };
        var slot = new Option<string?>("--primary-slot-name")
        {
            Description = "The slot that the standby leader uses on the remote primary", HelpName = "SLOT",
        };
        var yes = CommonOptions.Yes();
        var force = CommonOptions.ForceChecks();
        var dryRun = CommonOptions.DryRun();
        var command = new Command(
            "demote-cluster",
            "Make this cluster follow a remote one: its primary stops cleanly, and the end of its WAL is told")
        {
            name, group, remote, port, restore, slot, yes, force, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) =>
        {
            var section = new JsonObject();
            Add("host", parsed.GetValue(remote));
            Add("port", parsed.GetValue(port));
            Add("restore_command", parsed.GetValue(restore));
            if (section.Count == 0)
            {
                throw new CtlException(
                    "At least --host, --port or --restore-command should be specified",
                    "They say what the standby cluster follows.");
            }
            Add("primary_slot_name", parsed.GetValue(slot));
            return new DemoteClusterCommand(session, new Request(
                session.ClusterName(parsed.GetValue(name)), parsed.GetValue(group), section, parsed.GetValue(yes),
                parsed.GetValue(force), parsed.GetValue(dryRun))).RunAsync(cancellationToken);

            void Add(string key, string? value)
            {
                if (!string.IsNullOrEmpty(value))
                {
                    section[key] = value;
                }
            }
        });
    }

    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var before = await store.ReadAsync(cancellationToken);
        session.HintIfUnknown(before, request.Cluster, request.Group);
        var leader = ClusterConversion.Leader(before);
        if (leader is { Role: Role.StandbyLeader, State: PostgresState.Running })
        {
            throw new CtlException("Cluster is already in the required state", LastEnd(before));
        }
        if (before.Config?.Pause ?? false)
        {
            throw new CtlException("Cluster is paused: its primary would go on", "See routingctl resume.");
        }
        if (before.Config?.StandbyCluster is not null)
        {
            // The command that has asked for it was interrupted.
            _conversion.Tell($"{leader.Name} is about to stop its writes already");
            return Report(null, await DemotedAsync(store, cancellationToken));
        }
        await CheckAsync(before, leader, cancellationToken);
        if (!request.Yes && !request.Force && !request.DryRun && !await session.Prompts.ConfirmAsync(
            $"Are you sure you want to demote {request.Cluster}? {leader.Name} will not accept writes any more",
            cancellationToken))
        {
            throw new CtlException("Aborting demote-cluster");
        }
        _conversion.Tell($"{leader.Name} is asked to stop its writes");
        var change = new JsonObject { ["standby_cluster"] = request.Section.DeepClone() };
        if (before.Config?.PromoteBesideRemote ?? false)
        {
            // Left by a forced promotion that was interrupted: it must not allow the next one.
            change[ClusterConversion.BesideRemote] = null;
        }
        if (!await _conversion.ChangeAsync(leader, change, cancellationToken))
        {
            return ExitCode.Success;
        }
        return Report(before.Demotion, await DemotedAsync(store, cancellationToken));
    }

    private Task<ClusterSnapshot> DemotedAsync(IClusterStore store, CancellationToken cancellationToken) =>
        _conversion.WaitAsync(
            store,
            now => now.LeaderMember is { Role: Role.StandbyLeader, State: PostgresState.Running },
            "was not demoted", cancellationToken);

    private async Task CheckAsync(ClusterSnapshot before, Member leader, CancellationToken cancellationToken)
    {
        var remote = await RemoteAnswer.AskAsync(session, leader, request.Section, cancellationToken);
        foreach (var server in remote.Servers)
        {
            if (before.Members.Values.FirstOrDefault(member => member.Address == server.Address) is { } own)
            {
                throw new CtlException($"{server.Address} is {own.Name}, a member of this cluster");
            }
            if (server.Problem is { } problem)
            {
                session.Screen.WriteLine($"{server.Address} does not answer {leader.Name}: {problem}");
            }
            else if (!remote.IsSame(server))
            {
                throw new CtlException(
                    $"{server.Address} has another database: its system identifier is {server.SystemId}, that of "
                        + $"this cluster is {remote.SystemId}");
            }
        }
        if (remote.Primary is { } primary)
        {
            _conversion.Objects(
                $"{primary.Address} is a primary of this database already: what was written here since they parted "
                    + "would be lost", request.Force);
        }
        if (remote.Servers.Count > 0 && !remote.Reachable.Any())
        {
            _conversion.Objects("No server of the remote cluster answers: nobody would accept writes", request.Force);
        }
    }

    private int Report(CleanDemotion? earlier, ClusterSnapshot end)
    {
        _conversion.Tell("cluster is successfully demoted");
        if (EndOf(end) is not { } demotion || demotion == earlier)
        {
            session.Screen.WriteLine(
                "The primary did not end cleanly: where its WAL ends is not known. Before you promote the other side, "
                    + "compare its position with that of this leader.");
            return ExitCode.Failure;
        }
        session.Screen.WriteLine(Describe(demotion));
        return ExitCode.Success;
    }

    /// <summary>
    /// Where the last primary has ended; null: it is not known, or the key is about an earlier demotion, as the cluster
    /// has been on another timeline since.
    /// </summary>
    private static CleanDemotion? EndOf(ClusterSnapshot now) =>
        now.Demotion is { } demotion && demotion.Timeline == now.LeaderMember?.Timeline ? demotion : null;

    private static string? LastEnd(ClusterSnapshot now) => EndOf(now) is { } demotion ? Describe(demotion) : null;

    private static string Describe(CleanDemotion demotion) => string.Create(CultureInfo.InvariantCulture,
        $"""
        The WAL ends at {demotion.Lsn} on timeline {demotion.Timeline}. Nothing was written here beyond.
        On the other side:
          routingctl promote-cluster --lsn {demotion.Lsn} --timeline {demotion.Timeline}
        """);
}
