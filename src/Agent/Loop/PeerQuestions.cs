using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Asks the other members, for a race, for failsafe mode and at a hand-over.</summary>
internal sealed class PeerQuestions(
    IPeers peers, LeaseKeeper keeper, LoopClock clock, TimeProvider time, ILogger logger)
{
    /// <summary>The longest that a peer may take to answer before it counts as unreachable.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    /// <summary>The same limit for members with this agent, not Patroni: their REST answers from memory.</summary>
    private static readonly TimeSpan s_fastLimit = TimeSpan.FromMilliseconds(700);

    private readonly GatheredConsents _consents = new();

    /// <summary>Asks members how far they are.</summary>
    public async Task<PeerAnswers> ProbeAsync(HaAction.ProbePeers probe, CancellationToken cancellationToken)
    {
        var askedAt = clock.Now;
        var limit = !probe.Patient && probe.Members.All(m => m.Routing is not null) ? s_fastLimit : Limit;
        var reports = await peers.ProbeAsync(probe.Members, limit, cancellationToken);
        foreach (var report in reports)
        {
            if (logger.IsEnabled(LogLevel.Information))
            {
                logger.PeerAnswered(report.Name, report.Reachable
                    ? $"{report.Role} at {report.Position}, timeline {report.Timeline}"
                    : report.Problem ?? "unreachable");
            }
        }
        return new PeerAnswers(askedAt, clock.Now,
            reports.ToImmutableSortedDictionary(r => r.Name, r => r, StringComparer.Ordinal));
    }

    /// <summary>
    /// Asks every member of the failsafe list for its consent, and tells the keeper of all or of a refusal.
    /// </summary>
    public async Task<Learned> AskFailsafeAsync(
        PerformedRun run, Learned learned, CancellationToken cancellationToken)
    {
        var askedAt = clock.Now;
        var sentAt = time.GetTimestamp();
        var cluster = run.Observation.Cluster!;
        learned = learned with { FailsafeAskedAt = askedAt };
        if (cluster.Failsafe is not { } members || !members.ContainsKey(run.Member.Name))
        {
            return learned;   // this member is not in the list: no member may consent
        }
        var others = members.Where(pair => pair.Key != run.Member.Name).ToList();
        var ttl = run.Observation.Timing.Ttl;
        var message =
            new FailsafeMessage(run.Member.Name, run.Member.ConnUrl, run.Member.ApiUrl, run.Slots()) { Ttl = ttl };
        // A silent peer must not take up the time that a primary without consent needs to stop.
        var patience = TimeSpan.FromTicks(Math.Min(Limit.Ticks, ttl.Ticks / 8));
        var replies = await peers.PostFailsafeAsync(others, message, patience, cancellationToken);
        foreach (var refusal in replies.Where(reply => !reply.Accepted))
        {
            logger.NoConsent(refusal.Name, refusal.Detail);
        }
        var until = sentAt + time.TimestampsIn(ttl);
        foreach (var consent in replies.Where(reply => reply.Accepted))
        {
            _consents.Add(consent.Name, sentAt, until);
        }
        if (replies.Any(reply => reply.Refused))
        {
            _consents.Clear();
            keeper.Withdraw();
        }
        if (_consents.Of(others.Select(pair => pair.Key), sentAt, until, time.GetTimestamp()) is not { } all)
        {
            return learned;
        }
        keeper.Vouch(all.SentAt, all.Until);
        return learned with
        {
            FailsafePositions = replies.Where(reply => reply.Position is not null)
                .ToImmutableSortedDictionary(
                    reply => reply.Name, reply => reply.Position!.Value, StringComparer.Ordinal),
        };
    }

    /// <summary>
    /// Whether the candidate (or any that may lead) has received the shutdown checkpoint; looks until it has, or the
    /// stop is over.
    /// </summary>
    public async Task<bool> SomebodyHasAsync(
        Lsn checkpoint, HaAction.Demote demote, PerformedRun run, CancellationToken cancellationToken)
    {
        var members = run.Observation.Cluster!.Members.Values
            .Where(m => m.Name != run.Member.Name && m.ApiUrl is not null && !m.Tags.NoFailover)
            .Where(m => demote.Candidate is null || m.Name == demote.Candidate)
            .Where(m => demote.Site is null || m.Site == demote.Site)
            .ToList();
        var started = time.GetTimestamp();
        while (members.Count > 0 && time.GetElapsedTime(started) < TimeSpan.FromSeconds(5))
        {
            var reports = await peers.ProbeAsync(members, s_fastLimit, cancellationToken);
            if (reports.Any(report => report.Reachable && !report.IsPrimary && report.Position > checkpoint))
            {
                return true;
            }
            await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancellationToken);
        }
        return false;
    }
}
