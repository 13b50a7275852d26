using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Routing.Cli.Commands;
using Routing.Cli.Output;
using Routing.Cli.Rest;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli.Members;

/// <summary>Restarts the members of a cluster one after the other, and never goes on while one is not well.</summary>
/// <remarks>
/// A restarted standby is well when its server runs on the leader's timeline, streams, lacks no more WAL than allowed,
/// and is synchronous again if it was before. Standbys come first, those that commits do not wait for before the
/// others. Then the leader hands over; that restarts its server, and it comes back as a standby.
/// </remarks>
internal sealed class RollingRestart(Session session, RollingRestart.Request request)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    /// <summary>The command line.</summary>
    internal sealed record Request(string Cluster, int? Group)
    {
        public bool Pending { get; init; }

        public required long MaximumLagBytes { get; init; }

        public required TimeSpan Patience { get; init; }

        public bool HandsOver { get; init; } = true;

        public bool Force { get; init; }

        public bool DryRun { get; init; }
    }

    /// <summary>What is going to be done, in this order.</summary>
    /// <param name="Before">The cluster before it begins.</param>
    /// <param name="Standbys">The standbys to restart.</param>
    /// <param name="Leader">The leader.</param>
    /// <param name="WithLeader">Whether the leader is to be restarted.</param>
    /// <param name="Candidate">
    /// The member that the leader hands over to; null: it is restarted in its place, or not at all.
    /// </param>
    private sealed record Plan(
        ClusterSnapshot Before, IReadOnlyList<Member> Standbys, Member Leader, bool WithLeader, string? Candidate)
    {
        public override string ToString()
        {
            var steps = Standbys.Select(standby => standby.Name);
            if (WithLeader)
            {
                steps = Candidate is null
                    ? steps.Append(Leader.Name)
                    : steps.Append($"a switchover to {Candidate}").Append(Leader.Name);
            }
            return string.Join(", ", steps);
        }
    }

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        await using var store = session.Open(request.Cluster, request.Group);
        var plan = MakePlan(await store.ReadAsync(cancellationToken));
        if (plan is { Standbys.Count: 0, WithLeader: false })
        {
            session.Screen.WriteLine("No member waits for a restart");
            return ExitCode.Success;
        }
        if (!request.Force)
        {
            MemberTable.Print(session.Screen.Output, plan.Before, request.Cluster, request.Group, OutputFormat.Pretty);
        }
        // A member that is not well now would be worse off after a restart, and so would the cluster.
        foreach (var member in plan.Before.Members.Values)
        {
            await RequireWellAsync(store, plan.Before, member, cancellationToken);
        }
        if (request.DryRun)
        {
            session.Screen.WriteLine($"Dry run: would be restarted in this order: {plan}");
            return ExitCode.Success;
        }
        if (!request.Force && !await session.Prompts.ConfirmAsync(
            $"Are you sure you want to restart cluster {request.Cluster} in this order: {plan}?", cancellationToken))
        {
            throw new CtlException("Aborted rolling-restart");
        }
        foreach (var standby in plan.Standbys)
        {
            await RestartAsync(store, standby, plan.Before.Sync, cancellationToken);
        }
        if (plan.WithLeader)
        {
            await RestartLeaderAsync(store, plan, cancellationToken);
        }
        MemberTable.Print(
            session.Screen.Output, await store.ReadAsync(cancellationToken), request.Cluster, request.Group,
            OutputFormat.Pretty);
        session.Screen.WriteLine($"Success: rolling restart of cluster {request.Cluster}");
        return ExitCode.Success;
    }

    private Plan MakePlan(ClusterSnapshot before)
    {
        session.HintIfUnknown(before, request.Cluster, request.Group);
        if (before.LeaderMember is not { } leader)
        {
            throw new CtlException("This cluster has no leader",
                "A cluster is restarted member by member only when it is well.");
        }
        if (before.Config is { Pause: true })
        {
            throw new CtlException("The cluster is paused",
                "In a pause the members do not follow a new leader by themselves: routingctl resume.");
        }
        var standbys = before.Members.Values.Where(member => member.Name != leader.Name);
        Member[] chosen =
        [
            .. standbys.Where(member => !request.Pending || member.PendingRestart)
                .OrderBy(member => IsSynchronous(before.Sync, member) ? 1 : 0)
                .ThenBy(member => member.Name, StringComparer.Ordinal),
        ];
        var withLeader = !request.Pending || leader.PendingRestart;
        return new Plan(before, chosen, leader, withLeader,
            withLeader && request.HandsOver ? Candidate(before, standbys) : null);
    }

    private static string Candidate(ClusterSnapshot before, IEnumerable<Member> standbys) => standbys
        .Where(member => !member.Tags.NoFailover)
        .Where(member => before.Config is not { SynchronousMode: not SynchronousMode.Off } || !before.Sync.IsActive
            || before.Sync.Includes(member.Name))
        .OrderByDescending(member => member.Tags.FailoverPriority)
        .ThenBy(member => member.Name, StringComparer.Ordinal)
        .Select(member => member.Name)
        .FirstOrDefault()
        ?? throw new CtlException(
            "No member could take over from the leader",
            "--no-switchover restarts it in its place; nothing can be written meanwhile.");

    private static bool IsSynchronous(SyncState sync, Member member) => sync.IsActive && sync.Includes(member.Name);

    private async Task RequireWellAsync(
        IClusterStore store, ClusterSnapshot before, Member member, CancellationToken cancellationToken)
    {
        var problem = await ProblemOfAsync(store, member, startedBefore: null, before.Sync, cancellationToken);
        if (problem is not null)
        {
            throw new CtlException($"{member.Name} is not well: {problem}",
                "Nothing was restarted. See routingctl check.");
        }
    }

    private async Task RestartAsync(
        IClusterStore store, Member member, SyncState syncBefore, CancellationToken cancellationToken)
    {
        var started = (await MemberStatus.AskAsync(session.Api, member, cancellationToken)).StartedAt;
        Say($"Restarting {member.Name}");
        var body = new JsonObject();
        if (request.Pending)
        {
            body["restart_pending"] = true;
        }
        var reply = await new MemberCalls(session, isDryRun: false).SendAsync(
            member, HttpMethod.Post, "/restart", body, RestartCommand.LongestStop + request.Patience,
            cancellationToken);
        if (reply is not { Status: HttpStatusCode.OK })
        {
            throw Stopped($"restart for member {member.Name} failed, {reply?.Details}");
        }
        await WaitUntilWellAsync(store, member, started, syncBefore, cancellationToken);
    }

    private async Task RestartLeaderAsync(IClusterStore store, Plan plan, CancellationToken cancellationToken)
    {
        if (plan.Candidate is null)
        {
            await RestartAsync(store, plan.Leader, plan.Before.Sync, cancellationToken);
            return;
        }
        var started = (await MemberStatus.AskAsync(session.Api, plan.Leader, cancellationToken)).StartedAt;
        var change = new LeaderChange(
            session,
            new LeaderChange.Request(
                IsSwitchover: true, request.Cluster, request.Group, plan.Leader.Name, plan.Candidate, Scheduled: null,
                Force: true, DryRun: false));
        if (await change.RunAsync(cancellationToken) != ExitCode.Success)
        {
            throw Stopped($"{plan.Leader.Name} did not hand over to {plan.Candidate}");
        }
        // The old leader has to stop its primary to follow: this is its restart.
        Say($"{plan.Leader.Name} comes back as a standby");
        await WaitUntilWellAsync(store, plan.Leader, started, SyncState.None, cancellationToken);
    }

    private async Task WaitUntilWellAsync(
        IClusterStore store, Member member, string? startedBefore, SyncState syncBefore,
        CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(request.Patience, session.Time);
        using var timer = new PeriodicTimer(s_interval, session.Time);
        while (true)
        {
            var problem = await ProblemOfAsync(store, member, startedBefore, syncBefore, cancellationToken);
            if (problem is null)
            {
                Say($"{member.Name} is well again");
                return;
            }
            if (deadline.IsCancellationRequested)
            {
                throw Stopped(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{member.Name} is not well after {request.Patience.TotalSeconds:0.#} s: {problem}"));
            }
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>What keeps a member from being well, or null.</summary>
    /// <param name="store">The DCS.</param>
    /// <param name="member">The member.</param>
    /// <param name="startedBefore">The server that has to be gone; null for none.</param>
    /// <param name="syncBefore">The synchronous state before: its members have to be in it again.</param>
    /// <param name="cancellationToken">Gives up.</param>
    private async Task<string?> ProblemOfAsync(
        IClusterStore store, Member member, string? startedBefore, SyncState syncBefore,
        CancellationToken cancellationToken)
    {
        var now = await store.ReadAsync(cancellationToken);
        if (now.LeaderMember is not { } leader)
        {
            return "the cluster has no leader";
        }
        try
        {
            var leading = await MemberStatus.AskAsync(session.Api, leader, cancellationToken);
            var status = member.Name == leader.Name
                ? leading
                : await MemberStatus.AskAsync(session.Api, member, cancellationToken);
            if (status.State != "running")
            {
                return $"its PostgreSQL is {status.State}";
            }
            if (startedBefore is not null && status.StartedAt == startedBefore)
            {
                return "its PostgreSQL was not restarted";
            }
            if (member.Name == leader.Name)
            {
                return status.Role is "primary" or "standby_leader"
                    ? null
                    : $"it leads, and its PostgreSQL is a {status.Role}";
            }
            return StandbyProblem(now, member, status, leading, syncBefore);
        }
        catch (NoAnswerException e)
        {
            return e.Message;
        }
    }

    private string? StandbyProblem(
        ClusterSnapshot now, Member member, MemberStatus status, MemberStatus leading, SyncState syncBefore)
    {
        if (status.ReplicationState != "streaming" && !member.Tags.NoStream)
        {
            return "it does not stream";
        }
        if (status.Timeline != leading.Timeline)
        {
            return string.Create(CultureInfo.InvariantCulture,
                $"it is on timeline {status.Timeline}, the leader on {leading.Timeline}");
        }
        // What a standby leader has written is what it has received.
        if ((leading.Written ?? leading.Received) is { } end && status.Replayed is { } replayed
            && end - replayed > request.MaximumLagBytes)
        {
            return string.Create(CultureInfo.InvariantCulture, $"it lacks {end - replayed} bytes");
        }
        return IsSynchronous(syncBefore, member) && now.Sync.IsActive && !now.Sync.Includes(member.Name)
            && now.Leader?.Holder != member.Name
            ? "it is not synchronous again"
            : null;
    }

    private void Say(string text)
    {
        session.Screen.WriteLine($"{session.Timestamp()} {text}");
        session.Screen.Output.Flush();
    }

    private static CtlException Stopped(string problem) =>
        new($"Stopped: {problem}",
            "What was not restarted yet runs as before. See routingctl check; then repeat the command.");
}
