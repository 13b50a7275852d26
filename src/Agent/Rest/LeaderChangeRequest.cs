using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Dcs;

namespace Routing.Agent.Rest;

/// <summary>
/// Requests for another leader: <c>POST /switchover</c>, <c>POST /failover</c>, <c>DELETE /switchover</c>.
/// </summary>
/// <remarks>
/// The order of the checks and their sentences are part of the interface: command-line tools show them.
/// </remarks>
internal sealed partial class LeaderChangeRequest(IAgentControl control, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan s_probeTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Checks the request, writes it to the DCS and, when it is for now, waits for its end.</summary>
    public async Task RequestAsync(HttpContext context, RestSettings settings, string action)
    {
        var (body, code, problem) = await RequestBody.ReadObjectAsync(context);
        if (body is not { } json)
        {
            await context.ErrorAsync(settings, code, problem);
            return;
        }
        if (RequestBody.FirstThatIsNoText(json, "leader", "candidate", "member", "site", "scheduled_at") is { } field)
        {
            // A schedule of a wrong type must not be taken for none: that would mean now.
            await context.SayAsync(settings, StatusCodes.Status400BadRequest, $"{field} has to be a text");
            return;
        }
        var answer = await RequestAsync(
            new Wish(action, RequestBody.Text(json, "leader"),
                RequestBody.Text(json, "candidate") ?? RequestBody.Text(json, "member"),
                RequestBody.Text(json, "scheduled_at"), RequestBody.Text(json, "site")),
            context.RequestAborted);
        await context.SayAsync(settings, answer.Code, answer.Sentence);
    }

    /// <summary>Takes a scheduled switchover back.</summary>
    public async Task CancelAsync(HttpContext context, RestSettings settings)
    {
        var cluster = await control.Store.ReadAsync(context.RequestAborted);
        if (cluster.Failover is not { ScheduledAt: not null } request)
        {
            await context.SayAsync(settings, StatusCodes.Status404NotFound, "no switchover is scheduled");
            return;
        }
        var written = await control.Store.PutAsync(
            ClusterKeys.Failover, KeyWriter.NoFailover, WriteCondition.Unchanged(request.ModRevision), 0,
            context.RequestAborted);
        if (written.IsDone)
        {
            control.WakeLoop();
            await context.SayAsync(settings, StatusCodes.Status200OK, "scheduled switchover deleted");
        }
        else
        {
            await context.ErrorAsync(settings, StatusCodes.Status409Conflict,
                written.Problem ?? "Somebody else changed the request.");
        }
    }

    private async Task<Answer> RequestAsync(Wish wish, CancellationToken cancellationToken)
    {
        var cluster = await control.Store.ReadAsync(cancellationToken);
        var config = cluster.Config ?? control.Status.Config;
        if (Objection(wish, config, out var at) is { } objection)
        {
            return objection;
        }
        if (wish is { Action: "failover", Leader: not null })
        {
            LogTreatedAsSwitchover(wish.Leader);
            wish = wish with { Action = "switchover" };
        }
        if (wish.Action == "failover" || wish.Candidate is not null)
        {
            wish = wish with { Site = null };   // a candidate says more
        }
        if (wish.Leader is not null && wish.Leader == wish.Candidate)
        {
            return new Answer(StatusCodes.Status400BadRequest, "Switchover target and source are the same");
        }
        if (at is null && await ImpossibleAsync(wish, cluster, config, cancellationToken) is { } impossible)
        {
            return new Answer(StatusCodes.Status412PreconditionFailed, impossible);
        }
        return await WriteAsync(wish, at, cluster, cancellationToken);
    }

    private Answer? Objection(Wish wish, DynamicConfig config, out DateTimeOffset? at)
    {
        at = null;
        if (wish is { Action: "failover", Candidate: null })
        {
            return Bad("Failover could be performed only to a specific candidate");
        }
        if (wish is { Action: "switchover", Leader: null })
        {
            return Bad("Switchover could be performed only from a specific leader");
        }
        if (wish is { Action: "failover", ScheduledAt: not null })
        {
            return Bad("Failover can't be scheduled");
        }
        if (wish.ScheduledAt is not null && config.Pause)
        {
            return Bad("Can't schedule switchover in the paused state");
        }
        if (wish.ScheduledAt is { } text && Schedule.Read(text, "switchover", time.GetUtcNow(), out at) is { } problem)
        {
            return new Answer(problem.Code, problem.Sentence);
        }
        return config.Pause && wish.Candidate is null
            ? Bad("Switchover is possible only to a specific candidate in a paused state")
            : null;

        static Answer Bad(string sentence) => new(StatusCodes.Status400BadRequest, sentence);
    }

    /// <summary>Why no member could take over now; null when one could.</summary>
    private async Task<string?> ImpossibleAsync(
        Wish wish, ClusterSnapshot cluster, DynamicConfig config, CancellationToken cancellationToken)
    {
        if (wish.Leader is not null && cluster.Leader?.Holder != wish.Leader)
        {
            return "leader name does not match";
        }
        IReadOnlyList<Member> candidates;
        if (wish.Candidate is { } candidate)
        {
            if (wish.Action == "switchover" && config.SynchronousMode == SynchronousMode.Priority
                && !cluster.Sync.Standbys.Contains(candidate))
            {
                return "candidate name does not match with sync_standby";
            }
            if (!cluster.Members.TryGetValue(candidate, out var member))
            {
                return "candidate does not exists";
            }
            candidates = [member];
        }
        else if (config.SynchronousMode == SynchronousMode.Priority)
        {
            candidates = [.. cluster.Members.Values.Where(member =>
                cluster.Sync.Standbys.Contains(member.Name) && wish.Allows(member))];
            if (candidates.Count == 0)
            {
                return $"{wish.Action} is not possible: can not find sync_standby{wish.InSite}";
            }
        }
        else
        {
            candidates = [.. cluster.Members.Values.Where(
                member => member.Name != cluster.Leader?.Holder && member.ApiUrl is not null && wish.Allows(member))];
            if (candidates.Count == 0)
            {
                return $"{wish.Action} is not possible: cluster does not have members except leader{wish.InSite}";
            }
        }
        var reports = await control.Peers.ProbeAsync(candidates, s_probeTimeout, cancellationToken);
        return reports.Any(report => report is { Reachable: true, NoFailover: false, WatchdogFailed: false })
            ? null
            : $"{wish.Action} is not possible: no good candidates have been found";
    }

    private async Task<Answer> WriteAsync(
        Wish wish, DateTimeOffset? at, ClusterSnapshot cluster, CancellationToken cancellationToken)
    {
        var written = await control.Store.PutAsync(
            ClusterKeys.Failover, KeyWriter.Failover(wish.Leader, wish.Candidate, at, wish.Site),
            WriteCondition.Always, 0, cancellationToken);
        if (!written.IsDone)
        {
            LogNotWritten(wish.Action, written.Problem ?? written.Status.ToString());
            return new Answer(StatusCodes.Status503ServiceUnavailable, "failed to write failover key into DCS");
        }
        LogRequested(wish.Action, wish.Leader ?? "-", wish.Candidate ?? "-", at);
        control.WakeLoop();
        return at is not null
            ? new Answer(StatusCodes.Status202Accepted, "Switchover scheduled")
            : await ResultAsync(wish, cluster.Leader?.Holder, written.Revision, cancellationToken);
    }

    /// <summary>Watches the cluster until another member leads, the request is withdrawn, or the time is up.</summary>
    private async Task<Answer> ResultAsync(
        Wish wish, string? oldLeader, long requested, CancellationToken cancellationToken)
    {
        var title = wish.Action == "switchover" ? "Switchover" : "Failover";
        var verb = wish.Action == "switchover" ? "switched" : "failed";
        var limit = TimeSpan.FromSeconds(2 * Math.Max(10, control.Status.Timing.LoopWait.TotalSeconds))
            + (wish.Action == "switchover" ? control.Status.Config.SwitchoverGrace : TimeSpan.Zero);
        using var patience = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            await foreach (var view in control.Store.WatchAsync(either.Token))
            {
                var snapshot = view.Snapshot;
                if (snapshot.Revision < requested)
                {
                    continue;
                }
                if (snapshot.Leader is { } leader && leader.Holder != oldLeader)
                {
                    var instead = wish.Candidate is { } wanted && wanted != leader.Holder ? $"\"{wanted}\""
                        : wish.Site is { } site && snapshot.Members.GetValueOrDefault(leader.Holder)?.Site != site
                            ? $"a member in site {site}"
                        : null;
                    return new Answer(StatusCodes.Status200OK, instead is null
                        ? $"Successfully {verb} over to \"{leader.Holder}\""
                        : $"{char.ToUpperInvariant(verb[0])}{verb[1..]} over to \"{leader.Holder}\" instead of "
                            + instead);
                }
                if (snapshot.Failover is null)
                {
                    return new Answer(StatusCodes.Status503ServiceUnavailable,
                        snapshot.Switchover is { CalledOff: { } why } said && said.ModRevision > requested
                            ? $"{title} failed: {why}"
                            : $"{title} failed");
                }
            }
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            // Falls through to what is told when the time is up.
        }
        cancellationToken.ThrowIfCancellationRequested();
        return new Answer(StatusCodes.Status503ServiceUnavailable, string.Create(CultureInfo.InvariantCulture,
            $"{title} status unknown after {limit.TotalSeconds:0} seconds; operation may still be in progress"));
    }

    [LoggerMessage(EventId = 4020, Level = LogLevel.Warning,
        Message = "A failover that names the leader {Leader} is treated as a switchover")]
    private partial void LogTreatedAsSwitchover(string leader);

    [LoggerMessage(EventId = 4021, Level = LogLevel.Information,
        Message = "Received {Action} request with leader={Leader} candidate={Candidate} scheduled_at={At}")]
    private partial void LogRequested(string action, string leader, string candidate, DateTimeOffset? at);

    [LoggerMessage(EventId = 4022, Level = LogLevel.Error, Message = "The {Action} request was not written: {Problem}")]
    private partial void LogNotWritten(string action, string problem);

    /// <summary>What the caller wants.</summary>
    private sealed record Wish(string Action, string? Leader, string? Candidate, string? ScheduledAt, string? Site)
    {
        /// <summary>The site in words, behind a sentence; empty without one.</summary>
        public string InSite => Site is null ? "" : $" in site {Site}";

        /// <summary>The member stands where the new leader shall.</summary>
        public bool Allows(Member member) => Site is null || member.Site == Site;
    }

    /// <summary>What the caller is told.</summary>
    private sealed record Answer(int Code, string Sentence);
}
