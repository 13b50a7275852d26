using System.CommandLine;
using System.Globalization;
using Routing.Cli.Backups;
using Routing.Cli.Members;
using Routing.Cli.Rest;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary><c>restore</c>: a living cluster goes back in time.</summary>
/// <remarks>
/// The agents do it: the command writes what is wanted, shows how far it is, and may be ended and begun anew meanwhile.
/// </remarks>
internal sealed class RestoreCommand(Session session, RestoreCommand.Request request)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    /// <summary>The command line.</summary>
    internal sealed record Request(
        string Cluster, int? Group, string? To, string? Kind, string? Backup, uint Timeline, bool CallOff, bool Follow,
        bool NoWait, bool Force, bool DryRun);

    public static Command Create(CommandHost host)
    {
        var name = CommonOptions.RequiredClusterName();
        var group = CommonOptions.Group();
        var to = new Option<string?>("--to")
        {
            Description = "A time (local unless it has an offset), an LSN, or immediate: the end of a backup; "
                + "with --type name the name of a restore point",
            HelpName = "TIME|LSN|NAME",
        };
        var kind = new Option<string?>("--type")
        {
            Description = "What --to is, where that is not plain", HelpName = string.Join('|', RestoreTarget.Kinds),
        };
        kind.CompletionSources.Add(RestoreTarget.Kinds);
        kind.Validators.Add(result =>
        {
            if (result.Tokens is [var word, ..] && !RestoreTarget.Kinds.Contains(word.Value, StringComparer.Ordinal))
            {
                result.AddError($"'{word.Value}' is no type: {string.Join(", ", RestoreTarget.Kinds)} are.");
            }
        });
        var backup = new Option<string?>("--backup")
        {
            Description = "The backup to begin with. Default: the newest one before the target", HelpName = "LABEL",
        };
        var timeline = new Option<uint>("--timeline")
        {
            Description = "The timeline to follow. Default: the leader's", HelpName = "N",
        };
        var callOff = new Option<bool>("--call-off") { Description = "End a restore that has not promoted yet" };
        var follow = new Option<bool>("--follow") { Description = "Show a restore that is under way" };
        var noWait = new Option<bool>("--no-wait") { Description = "Do not wait until it is done" };
        var force = CommonOptions.Force();
        var dryRun = CommonOptions.DryRun();
        var command = new Command("restore", "Take a living cluster back in time, from its pgBackRest repository")
        {
            name, group, to, kind, backup, timeline, callOff, follow, noWait, force, dryRun,
        };
        return host.Add(command, (session, parsed, cancellationToken) => new RestoreCommand(
            session,
            new Request(
                parsed.GetValue(name)!, parsed.GetValue(group) ?? session.OnlyGroup(), parsed.GetValue(to),
                parsed.GetValue(kind), parsed.GetValue(backup), parsed.GetValue(timeline), parsed.GetValue(callOff),
                parsed.GetValue(follow), parsed.GetValue(noWait), parsed.GetValue(force), parsed.GetValue(dryRun)))
            .RunAsync(cancellationToken));
    }

    private async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var snapshot = await store.ReadAsync(cancellationToken);
        session.HintIfUnknown(snapshot, request.Cluster, request.Group);
        if (request.CallOff)
        {
            return await CallOffAsync(store, snapshot, cancellationToken);
        }
        if (request.Follow)
        {
            return snapshot.Restore is { } present
                ? await FollowAsync(store, present.Id, cancellationToken)
                : throw new CtlException("No restore is under way");
        }
        return await BeginAsync(store, snapshot, cancellationToken);
    }

    private async Task<int> BeginAsync(
        IClusterStore store, ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        var target = RestoreMoment.Read(
            request.To ?? (request.Kind == "immediate" ? "immediate"
                : throw new CtlException("What to go back to is missing", "Name it with --to.")),
            request.Kind, session.Time)
            ?? throw new CtlException(
                $"'{request.To}' is no {request.Kind ?? "time and no LSN"}",
                "For example: --to '2026-09-01 03:00:00+00', --to 0/5000148, --to before_update --type name.");
        if (snapshot.Restore is { Phase: not RestorePhase.Failed } present)
        {
            throw new CtlException($"A restore to {present.Target} is under way on {present.Member}",
                "Show it with --follow, or end it with --call-off.");
        }
        if (snapshot.LeaderMember is not { } leader)
        {
            throw new CtlException("The cluster has no leader, and a restore begins on one");
        }
        RepositoryDocument repository;
        try
        {
            repository = await RepositoryDocument.AskAsync(session, leader, cancellationToken);
        }
        catch (NoAnswerException silent)
        {
            throw new CtlException(silent.Message);
        }
        var plan = RestorePlan.Of(snapshot, leader, repository, target, request.Backup, request.Timeline);
        foreach (var line in plan.Lines)
        {
            session.Screen.WriteLine(line);
        }
        if (plan.Problem is { } problem)
        {
            throw new CtlException($"The restore cannot be done: {problem}");
        }
        if (request.DryRun)
        {
            session.Screen.WriteLine("Nothing was changed: this was a dry run.");
            return ExitCode.Success;
        }
        if (!request.Force
            && !await session.Prompts.ConfirmAsync(
                $"Are you sure that {request.Cluster} shall lose what was committed since then?", cancellationToken))
        {
            throw new AbortedException();
        }
        var restore = new RestoreRequest(
            session.Time.GetUtcNow().ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture), leader.Name, target,
            RestorePhase.Requested) { Timeline = request.Timeline, Backup = plan.Backup };
        var condition = snapshot.Restore is { } old
            ? WriteCondition.Unchanged(old.ModRevision)
            : WriteCondition.Absent;
        var written = await store.PutAsync(
            ClusterKeys.Restore, KeyWriter.Restore(restore), condition, 0, cancellationToken);
        if (!written.IsDone)
        {
            throw new CtlException($"The request was not written: {written.Problem ?? written.Status.ToString()}",
                "See whether another one was: --follow.");
        }
        session.Screen.WriteLine($"{leader.Name} has the request; its number is {restore.Id}.");
        return request.NoWait ? ExitCode.Success : await FollowAsync(store, restore.Id, cancellationToken);
    }

    private async Task<int> CallOffAsync(
        IClusterStore store, ClusterSnapshot snapshot, CancellationToken cancellationToken)
    {
        if (snapshot.Restore is not { } restore || restore.Phase == RestorePhase.Failed)
        {
            throw new CtlException("No restore is under way");
        }
        if (!restore.CanBeCalledOff && !request.Force)
        {
            throw new CtlException(
                $"It is too late: {restore.Member} {(restore.Phase == RestorePhase.Promoted
                    ? "leads with its restored data" : "is being promoted")}",
                $"Should {restore.Member} be lost for good, --force lets the others lead, with their later data.");
        }
        var written = restore.Phase == RestorePhase.Promoted
            ? await store.DeleteAsync(
                ClusterKeys.Restore, WriteCondition.Unchanged(restore.ModRevision), cancellationToken)
            : await store.PutAsync(
                ClusterKeys.Restore,
                KeyWriter.Restore(restore with { Phase = RestorePhase.Failed, Problem = "an operator called it off" }),
                WriteCondition.Unchanged(restore.ModRevision), 0, cancellationToken);
        if (!written.IsDone)
        {
            throw new CtlException(
                $"The restore was not called off: {written.Problem ?? written.Status.ToString()}",
                "It went on; try again.");
        }
        if (restore.HistoryWithout(snapshot) is { } history)
        {
            await ForgetTimelineAsync(store, history, cancellationToken);
        }
        session.Screen.WriteLine($"The restore is called off: the cluster goes on with the data that it had.");
        return ExitCode.Success;
    }

    private static async Task ForgetTimelineAsync(
        IClusterStore store, TimelineHistory history, CancellationToken cancellationToken)
    {
        var written = await store.PutAsync(
            ClusterKeys.History, KeyWriter.History(history), WriteCondition.Always, 0, cancellationToken);
        if (!written.IsDone)
        {
            throw new CtlException(
                "The restore is called off, and the history still names its timeline: "
                    + (written.Problem ?? written.Status.ToString()),
                "Name the member that is to lead: routingctl failover NAME --candidate MEMBER.");
        }
    }

    /// <summary>Shows how far it is until it has ended.</summary>
    private async Task<int> FollowAsync(IClusterStore store, string id, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(s_interval, session.Time);
        string? told = null;
        var wasPromoted = false;
        while (true)
        {
            var snapshot = await store.ReadAsync(cancellationToken);
            if (snapshot.Restore is not { } restore || restore.Id != id)
            {
                if (!wasPromoted && snapshot.LeaderMember is { } other)
                {
                    throw new CtlException($"The restore has ended before its target: {other.Name} leads",
                        "routingctl events tells why.");
                }
                session.Screen.WriteLine(
                    "Done: every member follows. Take a full backup now: older ones end before the new timeline.");
                return ExitCode.Success;
            }
            wasPromoted |= restore.Phase is RestorePhase.Promoted or RestorePhase.Promoting;
            if (restore.Phase == RestorePhase.Failed)
            {
                throw new CtlException($"The restore failed: {restore.Problem}",
                    "Nothing was deleted: the cluster goes on with the data that it had.");
            }
            var line = await StateAsync(snapshot, restore, cancellationToken);
            if (line != told)
            {
                told = line;
                session.Screen.WriteLine(line);
                session.Screen.Output.Flush();
            }
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    private async Task<string> StateAsync(
        ClusterSnapshot snapshot, RestoreRequest restore, CancellationToken cancellationToken)
    {
        switch (restore.Phase)
        {
            case RestorePhase.Requested:
                return $"{restore.Member}: is about to begin";
            case RestorePhase.Promoting:
                return $"{restore.Member}: is at the target, and is promoted";
            case RestorePhase.Promoted:
                var missing = snapshot.Members.Values.Where(member => member.Name != snapshot.Leader?.Holder
                    && (member.ReplicationState != "streaming" || member.Timeline < restore.NewTimeline))
                    .Select(member => member.Name);
                return $"{restore.Member}: leads on timeline {restore.NewTimeline}; still to follow: "
                    + $"{string.Join(", ", missing.DefaultIfEmpty("none"))}";
            default:
                var progress = snapshot.Members.GetValueOrDefault(restore.Member) is { } member
                    ? await ProgressAsync(member, cancellationToken)
                    : null;
                return $"{restore.Member}: {progress ?? "restores"}";
        }
    }

    private async Task<string?> ProgressAsync(Member member, CancellationToken cancellationToken)
    {
        try
        {
            return (await MemberStatus.AskAsync(session.Api, member, cancellationToken)).Progress;
        }
        catch (NoAnswerException)
        {
            return null;   // the restore goes on without it
        }
    }
}
