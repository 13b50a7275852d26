using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Routing.Cli.Output;
using Routing.Cli.Rest;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Cluster.Text;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary>
/// What <c>switchover</c> and <c>failover</c> do: ask what is missing, send the request, wait for its result.
/// </summary>
internal sealed class LeaderChange(Session session, LeaderChange.Request request)
{
    private static readonly TimeSpan s_settleTimeout = TimeSpan.FromSeconds(30);

    /// <summary>The command line.</summary>
    internal sealed record Request(
        bool IsSwitchover, string Cluster, int? Group, string? Leader, string? Candidate, string? Scheduled, bool Force,
        bool DryRun)
    {
        /// <summary>
        /// A switchover: any member of this site shall lead; a failover: the site whose members are offered. Null: any.
        /// </summary>
        public string? Site { get; init; }
    }

    /// <summary>What is sent, after every check.</summary>
    /// <param name="Before">The cluster as the operator saw it.</param>
    /// <param name="Leader">The leader to step down, for a switchover.</param>
    /// <param name="Candidate">The member that shall lead; null for any.</param>
    /// <param name="ScheduledAt">When; null for now.</param>
    private sealed record Plan(ClusterSnapshot Before, string? Leader, string? Candidate, DateTimeOffset? ScheduledAt)
    {
        /// <summary>The site of the new leader; null for any.</summary>
        public string? Site { get; init; }

        public string? OldLeader => Before.Leader?.Holder;

        /// <summary>The member that gets the request: the leader, else the candidate.</summary>
        public string Receiver => OldLeader ?? Candidate!;

        /// <summary>The request as it is sent; a candidate that is left open is null.</summary>
        public JsonObject Body
        {
            get
            {
                var body = new JsonObject { ["candidate"] = Candidate };
                if (Leader is not null)
                {
                    body["leader"] = Leader;
                }
                if (Site is not null)
                {
                    body["site"] = Site;
                }
                if (ScheduledAt is { } at)
                {
                    body["scheduled_at"] = IsoTime.Format(at);
                }
                return body;
            }
        }

        public TimeSpan LoopWait => Before.Config?.Timing.LoopWait ?? Timing.Default.LoopWait;

        /// <summary>The agent itself waits this long for the result before it answers.</summary>
        public TimeSpan AgentPatience => TimeSpan.FromSeconds(Math.Max(10, LoopWait.TotalSeconds) * 2)
            + (Before.Config?.SwitchoverGrace ?? TimeSpan.Zero);

        /// <summary>Whether another member has taken over.</summary>
        public bool IsOverIn(ClusterSnapshot now) => now.Leader is { } leader && leader.Holder != OldLeader;
    }

    private string Action => request.IsSwitchover ? "switchover" : "failover";

    private string ActionTitle => request.IsSwitchover ? "Switchover" : "Failover";

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        if (request is { IsSwitchover: true, Candidate: not null, Site: not null })
        {
            throw new CtlException("--candidate and --site can't be used together", "The candidate's site follows.");
        }
        var group = await GroupAsync(cancellationToken);
        await using var store = session.Open(request.Cluster, group);
        var before = await store.ReadAsync(cancellationToken);
        session.Screen.WriteLine("Current cluster topology");
        PrintMembers(before, group);
        var plan = await PlanAsync(before, cancellationToken);
        if (request.DryRun)
        {
            session.Screen.WriteLine($"Dry run: {plan.Receiver} would get POST /{Action} {plan.Body.ToJsonString()}");
            return ExitCode.Success;
        }
        return await PerformAsync(store, plan, group, cancellationToken);
    }

    private async Task<int?> GroupAsync(CancellationToken cancellationToken) =>
        (request.Group, session.Settings.ConfiguredGroup) switch
    {
        ({ } given, _) => given,
        (null, null) => null,
        _ when request.Force =>
            throw new CtlException("A Citus cluster needs its group to be named.", "Add --group N."),
        _ => await session.Prompts.AskNumberAsync("Citus group", cancellationToken),
    };

    private void PrintMembers(ClusterSnapshot snapshot, int? group) =>
        MemberTable.Print(session.Screen.Output, snapshot, request.Cluster, group, OutputFormat.Pretty);

    private async Task<Plan> PlanAsync(ClusterSnapshot before, CancellationToken cancellationToken)
    {
        var leader = request.IsSwitchover ? await LeaderAsync(before, cancellationToken) : null;
        var candidate = await CandidateAsync(before, cancellationToken);
        if (!request.IsSwitchover && !request.Force && IsAsynchronous(before, candidate)
            && !await session.Prompts.ConfirmAsync(
                $"Are you sure you want to failover to the asynchronous node {candidate}?", cancellationToken))
        {
            throw new CtlException($"Aborting {Action}");
        }
        var scheduledAt = request.IsSwitchover ? await ScheduleAsync(before, cancellationToken) : null;
        if (!request.Force)
        {
            await ConfirmAsync(before, scheduledAt, cancellationToken);
        }
        return new Plan(before, leader, candidate, scheduledAt) { Site = request.IsSwitchover ? request.Site : null };
    }

    private async Task<string> LeaderAsync(ClusterSnapshot before, CancellationToken cancellationToken)
    {
        if (before.Leader?.Holder is not { Length: > 0 } current)
        {
            throw new CtlException("This cluster has no leader",
                "A failover to a given candidate is possible without one: routingctl failover.");
        }
        var word = before.Config?.StandbyCluster is null ? "Primary" : "Standby Leader";
        var leader = request.Leader
            ?? (request.Force ? current : await session.Prompts.AskAsync(word, current, cancellationToken));
        return leader == current
            ? leader
            : throw new CtlException($"Member {leader} is not the leader of cluster {request.Cluster}",
                $"The leader is {current}.");
    }

    private async Task<string?> CandidateAsync(ClusterSnapshot before, CancellationToken cancellationToken)
    {
        var leader = before.Leader?.Holder;
        var names = before.Members.Values
            .Where(member => member.Name != leader && !member.Tags.NoFailover)
            .Where(member => request.Site is null || member.Site == request.Site)
            .Select(member => member.Name)
            .ToArray();
        if (names.Length == 0)
        {
            session.HintIfUnknown(before, request.Cluster, request.Group);
            throw new CtlException(
                $"No candidates found to {Action} to{(request.Site is null ? "" : $" in site {request.Site}")}");
        }
        var candidate = request.Candidate;
        if (request is { IsSwitchover: true, Site: not null })
        {
            return null;   // any of the site: the members elect it
        }
        if (candidate is null && !request.Force)
        {
            var choice = string.Join(", ", names.Select(name => $"'{name}'"));
            candidate = await session.Prompts.AskAsync($"Candidate [{choice}]", "", cancellationToken);
        }
        candidate = string.IsNullOrEmpty(candidate) ? null : candidate;
        if (candidate is null && !request.IsSwitchover)
        {
            throw new CtlException("Failover could be performed only to a specific candidate", "Add --candidate NAME.");
        }
        if (candidate is not null && candidate == leader)
        {
            throw new CtlException($"Member {candidate} is already the leader of cluster {request.Cluster}");
        }
        if (candidate is not null && !names.Contains(candidate, StringComparer.Ordinal))
        {
            throw new CtlException(
                $"Member {candidate} does not exist in cluster {request.Cluster} or is tagged as nofailover",
                $"Possible candidates: {string.Join(", ", names)}.");
        }
        return candidate;
    }

    private static bool IsAsynchronous(ClusterSnapshot before, string? candidate) =>
        before.Config is { SynchronousMode: not SynchronousMode.Off }
        && before.Sync.IsActive
        && candidate is not null
        && !before.Sync.Includes(candidate);

    private async Task<DateTimeOffset?> ScheduleAsync(ClusterSnapshot before, CancellationToken cancellationToken)
    {
        var text = request.Scheduled;
        if (text is null && !request.Force)
        {
            text = await session.Prompts.AskAsync(
                $"When should the switchover take place (e.g. {ScheduleTime.Example(session.Time)} ) ", "now",
                cancellationToken);
        }
        var at = ScheduleTime.Parse(text, session.Time);
        return at is not null && before.Config is { Pause: true }
            ? throw new CtlException("Can't schedule switchover in the paused state")
            : at;
    }

    private async Task ConfirmAsync(
        ClusterSnapshot before, DateTimeOffset? scheduledAt, CancellationToken cancellationToken)
    {
        var demoting = before.Leader is { } leader ? $", demoting current leader {leader.Holder}" : "";
        var question = scheduledAt is { } at
            ? $"Are you sure you want to schedule switchover of cluster {request.Cluster} at "
                + $"{IsoTime.Format(at)}{demoting}?"
            : $"Are you sure you want to {Action} cluster {request.Cluster}{demoting}?";
        if (!await session.Prompts.ConfirmAsync(question, cancellationToken))
        {
            throw new CtlException($"Aborting {(scheduledAt is null ? "" : "scheduled ")}{Action}");
        }
    }

    private async Task<int> PerformAsync(
        IClusterStore store, Plan plan, int? group, CancellationToken cancellationToken)
    {
        ApiAnswer answer;
        try
        {
            answer = await PostAsync(plan, cancellationToken);
        }
        catch (NoAnswerException e)
        {
            session.LogNoAnswer(e.Message);
            session.Screen.WriteLine(
                $"{session.Timestamp()} Could not {Action} using Patroni api, falling back to DCS");
            return await FallBackAsync(store, plan, e.MayHaveArrived, group, cancellationToken);
        }
        if (answer.IsSuccess)
        {
            session.Screen.WriteLine($"{session.Timestamp()} {answer.Text}");
            var now = plan.ScheduledAt is null && answer.Status != HttpStatusCode.Accepted
                ? await WaitUntilSettledAsync(store, plan, cancellationToken)
                : await store.ReadAsync(cancellationToken);
            PrintMembers(now, group);
            return ExitCode.Success;
        }
        var isUnknown = answer.Text.Contains("status unknown", StringComparison.Ordinal);
        session.Screen.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{ActionTitle} {(isUnknown ? "result unknown" : "failed")}, details: {(int)answer.Status}, "
                + $"{answer.Text}"));
        if (answer.Status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
        {
            session.Screen.WriteHint(
                "See ctl.authentication and restapi.authentication of the configuration, and the members' "
                    + "restapi.allowlist.");
        }
        return isUnknown
            ? await WaitForResultAsync(store, plan, requestedAt: 0, group, cancellationToken)
            : ExitCode.Failure;
    }

    private async Task<ApiAnswer> PostAsync(Plan plan, CancellationToken cancellationToken)
    {
        var member = plan.Before.Members.GetValueOrDefault(plan.Receiver) ?? new Member { Name = plan.Receiver };
        var timeout = plan.AgentPatience + TimeSpan.FromSeconds(10);
        var json = plan.Body.ToJsonString();
        var answer =
            await session.Api.SendAsync(member, HttpMethod.Post, $"/{Action}", json, timeout, cancellationToken);
        // The oldest versions of Patroni know only /failover.
        return answer.Status == HttpStatusCode.NotImplemented && request.IsSwitchover
            ? await session.Api.SendAsync(member, HttpMethod.Post, "/failover", json, timeout, cancellationToken)
            : answer;
    }

    /// <summary>
    /// Writes the request into the DCS ourselves, unless the member that gave no answer has taken it on all the same.
    /// </summary>
    private async Task<int> FallBackAsync(
        IClusterStore store, Plan plan, bool mayHaveArrived, int? group, CancellationToken cancellationToken)
    {
        if (mayHaveArrived)
        {
            var now = await store.ReadAsync(cancellationToken);
            if (plan.IsOverIn(now)
                || (now.Failover is { } pending && pending.Leader == plan.Leader
                    && pending.Candidate == plan.Candidate && pending.Site == plan.Site))
            {
                return await WaitForResultAsync(store, plan, requestedAt: 0, group, cancellationToken);
            }
        }
        var value = KeyWriter.Failover(plan.Leader, plan.Candidate, plan.ScheduledAt, plan.Site);
        var write =
            await store.PutAsync(ClusterKeys.Failover, value, WriteCondition.Always, leaseId: 0, cancellationToken);
        if (!write.IsDone)
        {
            throw new CtlException(
                $"The request could not be written into the DCS: {write.Problem ?? write.Status.ToString()}");
        }
        if (plan.ScheduledAt is not null)
        {
            PrintMembers(await store.ReadAsync(cancellationToken), group);
            return ExitCode.Success;
        }
        return await WaitForResultAsync(store, plan, write.Revision, group, cancellationToken);
    }

    /// <summary>Watches the DCS until another member leads, or the request is gone without that.</summary>
    private async Task<int> WaitForResultAsync(
        IClusterStore store, Plan plan, long requestedAt, int? group, CancellationToken cancellationToken)
    {
        var limit = plan.AgentPatience + plan.LoopWait;
        var end = await store.WaitAsync(
            now => now.Revision >= requestedAt && (plan.IsOverIn(now) || now.Failover is null), limit, session.Time,
            cancellationToken);
        if (end is null)
        {
            session.Screen.WriteError(
                $"The {Action} did not happen within {limit.TotalSeconds:0.#} s; it may still be in progress.",
                $"See routingctl list {request.Cluster}.");
            return ExitCode.Failure;
        }
        if (!plan.IsOverIn(end))
        {
            var why = end.Switchover is { CalledOff: { } reason } said && said.ModRevision > requestedAt
                && requestedAt > 0 ? $": {reason}" : "";
            session.Screen.WriteLine($"{session.Timestamp()} {ActionTitle} failed{why}");
            PrintMembers(end, group);
            return ExitCode.Failure;
        }
        session.Screen.WriteLine(
            $"{session.Timestamp()} Successfully {(request.IsSwitchover ? "switched" : "failed")} over to "
                + $"\"{end.Leader!.Holder}\"");
        PrintMembers(await WaitUntilSettledAsync(store, plan, cancellationToken), group);
        return ExitCode.Success;
    }

    /// <summary>
    /// Waits until the new leader says that it leads: the key changes hands before the promotion is done.
    /// </summary>
    private async Task<ClusterSnapshot> WaitUntilSettledAsync(
        IClusterStore store, Plan plan, CancellationToken cancellationToken)
    {
        var settled = await store.WaitAsync(
            now => plan.IsOverIn(now)
                && now.LeaderMember is { Role: Role.Primary or Role.StandbyLeader, State: PostgresState.Running },
            s_settleTimeout,
            session.Time,
            cancellationToken);
        if (settled is null)
        {
            session.Screen.WriteHint(
                $"The new leader has not finished its promotion within {s_settleTimeout.TotalSeconds:0} s.");
        }
        return settled ?? await store.ReadAsync(cancellationToken);
    }
}
