using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Cli.Members;
using Routing.Cluster;

namespace Routing.Cli.Commands;

/// <summary><c>promote-cluster</c>: a standby cluster stops following, and its leader becomes a primary.</summary>
internal sealed class PromoteClusterCommand(Session session, PromoteClusterCommand.Request request)
{
    private static readonly TimeSpan s_defaultTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(500);

    /// <summary>The command line.</summary>
    internal sealed record Request(
        string Cluster, int? Group, Lsn? Lsn, uint Timeline, TimeSpan Timeout, bool Yes, bool Force, bool DryRun);

    private readonly ClusterConversion _conversion = new(session, request.DryRun);

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.ClusterName();
        var group = CommonOptions.Group();
        var lsn = new Option<Lsn?>("--lsn")
        {
            Description = "Where the WAL of the other side ends, as demote-cluster has told", HelpName = "LSN",
            CustomParser = result =>
            {
                if (Lsn.TryParse(result.Tokens[0].Value, out var position))
                {
                    return position;
                }
                result.AddError($"'{result.Tokens[0].Value}' is no WAL position: 0/3000148 is.");
                return null;
            },
        };
        var timeline = new Option<uint>("--timeline")
        {
            Description = "The timeline that the other side ended on", HelpName = "N",
        };
        var timeout = CommonOptions.Time("--timeout", "How long to wait for that position. Default: 60s");
        var yes = CommonOptions.Yes();
        var force = CommonOptions.ForceChecks();
        var dryRun = CommonOptions.DryRun();
        var command = new Command(
            "promote-cluster",
            "Make a standby cluster independent, once it has all that the other side has written")
        {
            name, group, lsn, timeline, timeout, yes, force, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => new PromoteClusterCommand(
            session,
            new Request(
                session.ClusterName(parsed.GetValue(name)), parsed.GetValue(group), parsed.GetValue(lsn),
                parsed.GetValue(timeline), parsed.GetValue(timeout) ?? s_defaultTimeout, parsed.GetValue(yes),
                parsed.GetValue(force), parsed.GetValue(dryRun))).RunAsync(cancellationToken));
    }

    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var before = await store.ReadAsync(cancellationToken);
        session.HintIfUnknown(before, request.Cluster, request.Group);
        var leader = ClusterConversion.Leader(before);
        var isHeld = before.Config?.StandbyCluster is null && leader.Role == Role.StandbyLeader;
        if (before.Config?.StandbyCluster is null && !isHeld)
        {
            throw new CtlException("Cluster is already in the required state");
        }
        if (before.Config?.Pause ?? false)
        {
            throw new CtlException("Cluster is paused: nobody would be promoted", "See routingctl resume.");
        }
        if (leader is not { Role: Role.StandbyLeader, State: PostgresState.Running })
        {
            _conversion.Objects(
                $"{leader.Name} is {leader.Role.ToWire()} and {leader.State.ToWire()}, no running standby leader",
                request.Force);
        }
        if (isHeld)
        {
            _conversion.Objects(
                $"{leader.Name} follows no more by its configuration, and waits while a server of the other side still "
                    + "is a primary. First there: routingctl demote-cluster", request.Force);
        }
        else
        {
            await CheckAsync(before, leader, cancellationToken);
        }
        if (!request.Yes && !request.Force && !request.DryRun && !await session.Prompts.ConfirmAsync(
            $"Are you sure you want to promote {request.Cluster}? {leader.Name} will accept writes",
            cancellationToken))
        {
            throw new CtlException("Aborting promote-cluster");
        }
        _conversion.Tell($"{leader.Name} is asked to stop following");
        if (!await _conversion.ChangeAsync(leader, PromotionOf(request.Force), cancellationToken))
        {
            return ExitCode.Success;
        }
        await _conversion.WaitAsync(
            store, now => now.LeaderMember is { Role: Role.Primary, State: PostgresState.Running },
            "was not promoted", cancellationToken);
        if (request.Force)
        {
            // What was meant for this promotion must not allow the next one.
            var now = ClusterConversion.Leader(await store.ReadAsync(cancellationToken));
            await _conversion.ChangeAsync(
                now, new JsonObject { [ClusterConversion.BesideRemote] = null }, cancellationToken);
        }
        _conversion.Tell("cluster is successfully promoted");
        return ExitCode.Success;
    }

    /// <summary>The change of the dynamic configuration that promotes its leader.</summary>
    private static JsonObject PromotionOf(bool isForced)
    {
        var change = new JsonObject { ["standby_cluster"] = null };
        if (isForced)
        {
            change[ClusterConversion.BesideRemote] = true;
        }
        return change;
    }

    /// <summary>The other side has stopped, and this one has all of it.</summary>
    private async Task CheckAsync(ClusterSnapshot before, Member leader, CancellationToken cancellationToken)
    {
        // A member that has not seen a change of the section yet would ask other servers, or none.
        var remote = JsonNode.Parse(before.Config!.Raw.GetProperty("standby_cluster").GetRawText())!.AsObject();
        RemoteAnswer answer;
        try
        {
            answer = await RemoteAnswer.AskAsync(session, leader, remote, cancellationToken);
        }
        catch (CtlException problem)
        {
            _conversion.Objects(problem.Message, request.Force);
            return;
        }
        if (answer.Primary is { } primary)
        {
            _conversion.Objects(
                $"{primary.Address} still is the primary of this database: two clusters would accept writes. First "
                    + "there: routingctl demote-cluster", request.Force);
            return;
        }
        var end = request.Lsn is { } told
            ? (Lsn: told, request.Timeline)
            : answer.Reachable.Where(answer.IsSame).OrderByDescending(server => server.Position)
                .Select(server => (Lsn: server.Position, server.Timeline)).FirstOrDefault();
        if (end.Lsn == Lsn.Zero)
        {
            _conversion.Objects(
                "The other side does not answer, and no --lsn says where its WAL ends: it may have written more, and "
                    + "it may write again when it is back", request.Force);
            return;
        }
        await WaitForAsync(leader, remote, answer, end.Lsn, end.Timeline, cancellationToken);
    }

    private async Task WaitForAsync(
        Member leader, JsonObject remote, RemoteAnswer answer, Lsn lsn, uint timeline,
        CancellationToken cancellationToken)
    {
        var start = session.Time.GetTimestamp();
        _conversion.Tell(string.Create(CultureInfo.InvariantCulture,
            $"{leader.Name} is at {answer.Position} on timeline {answer.Timeline}; the other side ended at {lsn}"
                + $"{(timeline > 0 ? $" on timeline {timeline}" : "")}"));
        while (answer.Position < lsn || answer.Timeline < timeline)
        {
            if (session.Time.GetElapsedTime(start) >= request.Timeout || request.DryRun)
            {
                _conversion.Objects(string.Create(CultureInfo.InvariantCulture,
                    $"{leader.Name} lacks {lsn.BytesAheadOf(answer.Position)} bytes of the other side's WAL: it is at "
                        + $"{answer.Position} on timeline {answer.Timeline}"), request.Force);
                return;
            }
            await Task.Delay(s_pause, session.Time, cancellationToken);
            answer = await RemoteAnswer.AskAsync(session, leader, remote, cancellationToken);
        }
        _conversion.Tell($"{leader.Name} has everything");
    }
}
