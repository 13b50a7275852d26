using System.Globalization;
using System.Text.Json;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Cluster.Text;
using Routing.Ha;

namespace Routing.Agent.Events;

/// <summary>Writes the diary: compares what two runs of the loop saw, and tells what has changed.</summary>
/// <remarks>
/// It decides nothing and does nothing else: everything that it tells stands in the observation and in the decision. It
/// is not told twice that nothing has changed, nor the same to and fro of reasons while nothing else happens.
/// </remarks>
/// <param name="events">The diary.</param>
internal sealed class Chronicle(AgentEvents events)
{
    private readonly ReasonFilter _reasons = new();
    private readonly RaceFilter _races = new();
    private Observation? _before;
    private ServerState? _serverBefore;
    private bool? _streamed;
    private TimeSpan? _jobTold;
    private bool _knowsLeader;
    private string? _leader;
    private Term _leaderTerm;
    private string? _primaryTold;
    private Role _role = Role.Unknown;
    private (string Code, string Text)? _requestTold;
    private bool _notAllowedTold;

    /// <summary>Looks at one run.</summary>
    /// <param name="o">What it saw.</param>
    /// <param name="decision">What it decided.</param>
    public void See(Observation o, Decision decision)
    {
        SeeDcs(o);
        SeeRequest(o);
        SeeLeader(o);
        SeeServer(o);
        SeeRace(o);
        SeeLease(o);
        SeeJobs(o);
        SeeRole(o);
        SeeSync(o);
        SeeReason(o, decision);
        _before = o;
    }

    private void SeeDcs(Observation o)
    {
        if (o.Cluster is not null && _before?.Cluster is not null && o.IsDcsLive != _before.IsDcsLive)
        {
            Tell(o, EventKind.Dcs, o.IsDcsLive ? "dcs_answers" : "dcs_silent",
                o.IsDcsLive ? "etcd answers again" : "etcd does not answer");
        }
        if (_before is { Cluster: not null } && o.Paused != _before.Paused)
        {
            Tell(o, EventKind.Pause, o.Paused ? "paused" : "resumed",
                o.Paused ? "the cluster is paused: nothing is done by itself" : "the cluster is not paused any more");
        }
    }

    private void SeeRequest(Observation o)
    {
        if (o.Cluster is not { } cluster)
        {
            return;
        }
        if (cluster.Failover is not { } request || (request.Leader ?? request.Candidate) is null)
        {
            if (_requestTold is not null)
            {
                _requestTold = null;
                Tell(o, EventKind.Request, "request_gone", "the request is done, or was taken back");
            }
            return;
        }
        var what = $"a {request.Kind} is asked for"
            + (request.Leader is { } from ? $", from {from}" : "")
            + (request.Candidate is { } to ? $", to {to}" : "")
            + (request.ScheduledAt is { } at ? $", at {IsoTime.FormatUtc(at)}" : "");
        if (_requestTold is { } told && told == (request.Kind, what))
        {
            return;
        }
        _requestTold = (request.Kind, what);
        Tell(o, EventKind.Request, $"{request.Kind}_requested", what, EventFigures.Of(json =>
        {
            json.WriteString("leader", request.Leader);
            json.WriteString("candidate", request.Candidate);
            json.WriteString("scheduled_at", request.ScheduledAt is { } when ? IsoTime.FormatUtc(when) : null);
        }));
    }

    private void SeeLeader(Observation o)
    {
        if (o.Cluster is null)
        {
            return;
        }
        var term = TermOf(o);
        if (o.Leader != _leader || (o.Leader is not null && term != _leaderTerm))
        {
            var was = _leader;
            if (o.Leader is null)
            {
                Tell(o, EventKind.Leader, "leader_gone", $"nobody holds the leader key; {was} held it",
                    EventFigures.Of("was", was), term: _leaderTerm);
            }
            else
            {
                Tell(o, EventKind.Leader, _knowsLeader ? "leader_changed" : "leader_seen",
                    $"{o.Leader} holds the leader key", EventFigures.Of("leader", o.Leader, "was", was));
            }
            (_leader, _leaderTerm, _notAllowedTold) = (o.Leader, term, false);
            _reasons.Forget();
            _races.Forget();
        }
        _knowsLeader = true;
        if (o.Leader is { } leader && leader != o.Self
            && o.Cluster.LeaderMember is { Role: Role.Primary, State: PostgresState.Running } member)
        {
            var primary = string.Create(CultureInfo.InvariantCulture, $"{leader} {term.Revision}");
            if (_primaryTold is not null && _primaryTold != primary)
            {
                Tell(o, EventKind.Leader, "leader_primary",
                    $"{leader} is the primary, on timeline {member.Timeline}", EventFigures.Of("leader", leader));
            }
            _primaryTold = primary;
        }
        else if (o.Leader == o.Self || o.Leader is null)
        {
            _primaryTold ??= "";
        }
    }

    private void SeeServer(Observation o)
    {
        var server = o.Local.Server;
        if (_serverBefore is { } before && server != before)
        {
            if (server == ServerState.Stopped)
            {
                Tell(o, EventKind.Server, "server_stopped", o.Job is null && !o.ShutdownRequested
                    ? "PostgreSQL has ended"
                    : $"PostgreSQL has ended: {(o.Job is { } job ? HaLoop.Name(job.Kind) : "the agent ends")}");
            }
            else if (server == ServerState.Unresponsive)
            {
                Tell(o, EventKind.Server, "server_unresponsive", "PostgreSQL runs and does not answer");
            }
            else if (server == ServerState.Running)
            {
                Tell(o, EventKind.Server,
                    before == ServerState.Unresponsive ? "server_answers" : "server_started",
                    before == ServerState.Unresponsive ? "PostgreSQL answers again" : "PostgreSQL accepts connections",
                    EventFigures.Of(json => json.WriteNumber("pid", o.Local.PostmasterPid)));
            }
        }
        if (server != ServerState.Starting)
        {
            _serverBefore = server;
        }
        SeeStream(o);
    }

    private void SeeStream(Observation o)
    {
        if (o.Local.Server != ServerState.Running || o.Local.IsPrimary)
        {
            _streamed = null;
            return;
        }
        if (_streamed is { } before ? before != o.Local.IsStreaming : o.Local.IsStreaming)
        {
            var lsn = EventFigures.Of("lsn", o.Local.ReceivedLsn.ToString());
            Tell(o, EventKind.Server, o.Local.IsStreaming ? "stream_begun" : "stream_lost",
                o.Local.IsStreaming ? "receives WAL by streaming" : "does not receive WAL by streaming any more", lsn);
        }
        _streamed = o.Local.IsStreaming;
    }

    private void SeeRace(Observation o)
    {
        if (o.Peers is not { } answers || answers.AskedAt == _before?.Peers?.AskedAt
            || !_races.IsNews(o.Local, answers))
        {
            return;
        }
        var text = string.Join("; ", answers.Reports.Values.Select(report => report.Reachable
            ? $"{report.Name} is {report.Role.ToWire()} at {report.Position}, timeline {report.Timeline}"
            : $"{report.Name} does not answer"));
        Tell(o, EventKind.Race, "peers_answered",
            $"asked the others, being at {o.Local.WalPosition}, timeline {o.Local.Timeline}: {text}",
            EventFigures.Race(o.Local, answers, o.Cluster), answers.AnsweredAt);
    }

    private void SeeLease(Observation o)
    {
        var before = _before?.Lease ?? default;
        if (o.Lease.HoldsLeader && (!before.HoldsLeader || before.Term != o.Lease.Term))
        {
            Tell(o, EventKind.Lease, "lease_won", "holds the leader key", term: o.Lease.Term);
        }
        else if (!o.Lease.HoldsLeader && before.HoldsLeader)
        {
            var holder = o.Leader;
            Tell(o, EventKind.Lease, holder is null ? "lease_released" : "lease_lost",
                holder is null
                    ? "does not hold the leader key any more"
                    : $"does not hold the leader key any more: {holder} does",
                EventFigures.Of("holder", holder), term: before.Term);
        }
        if (o.Lease is { HoldsLeader: true, IsUncertain: true } && !before.IsUncertain && _before is not null)
        {
            Tell(o, EventKind.Lease, "lease_uncertain", "etcd has not answered whether the leader key was renewed",
                EventFigures.Of(json =>
                    json.WriteNumber("lease_left_ms", Math.Round(o.Lease.LeaderLeft.TotalMilliseconds))));
        }
    }

    private void SeeJobs(Observation o)
    {
        if (o.Ended is { } ended)
        {
            if (ended.StartedAt != _jobTold)
            {
                // The job ended before the loop looked again.
                TellBegun(o, ended.Kind, null, null, ended.StartedAt);
            }
            Tell(o, EventKind.Job, $"{JobWord(ended.Kind)}_{ResultWord(ended.Result)}",
                $"{HaLoop.Name(ended.Kind)}: {ended.Detail}",
                EventFigures.Of(json => json.WriteNumber(
                    "took_ms", Math.Round((ended.EndedAt - ended.StartedAt).TotalMilliseconds))),
                ended.EndedAt);
        }
        if (o.Ended is { Kind: JobKind.StartPrimary or JobKind.StartStandby or JobKind.Restart,
            Result: JobResult.Failed } failed)
        {
            Tell(o, EventKind.Warning, "start_failed", failed.Detail, at: failed.EndedAt);
        }
        if (o.Job is { } job && job.StartedAt != _jobTold)
        {
            TellBegun(o, job.Kind, job.Source, job.Demotion, job.StartedAt);
        }
    }

    private void TellBegun(Observation o, JobKind kind, string? source, DemoteMode? demotion, TimeSpan at)
    {
        _jobTold = at;
        Tell(o, EventKind.Job, $"{JobWord(kind)}_started", $"{HaLoop.Name(kind)} has begun",
            EventFigures.Of("source", source, "mode", demotion is { } mode ? Snake(mode.ToString()) : null), at);
    }

    private void SeeRole(Observation o)
    {
        var role = Published.Role(o);
        if (role != _role)
        {
            Tell(o, EventKind.Role, role.ToWire(), $"the role is {role.ToWire()}",
                EventFigures.Of("was", _role == Role.Unknown ? null : _role.ToWire()));
            _role = role;
            _reasons.Forget();
        }
    }

    private void SeeSync(Observation o)
    {
        if (o.Cluster?.Sync is not { } sync || _before?.Cluster?.Sync is not { } before
            || (sync.Leader == before.Leader && sync.Quorum == before.Quorum
                && sync.Standbys.SetEquals(before.Standbys)))
        {
            return;
        }
        var who = sync.Standbys.IsEmpty ? "no standby" : string.Join(", ", sync.Standbys);
        Tell(o, EventKind.Sync, "sync_changed",
            !sync.IsActive ? "the synchronous state is gone"
                : sync.Quorum > 0
                    ? string.Create(CultureInfo.InvariantCulture,
                        $"after {sync.Leader}, a member that sees {sync.Quorum} others of {who} may lead")
                    : $"after {sync.Leader}, {who} may lead without a loss",
            EventFigures.Of(json =>
            {
                json.WriteString("leader", sync.Leader);
                json.WriteStartArray("standbys");
                foreach (var name in sync.Standbys)
                {
                    json.WriteStringValue(name);
                }
                json.WriteEndArray();
                json.WriteNumber("quorum", sync.Quorum);
            }));
    }

    private void SeeReason(Observation o, Decision decision)
    {
        var reason = $"{(o.Paused ? "PAUSE: " : "")}{decision.Reason}";
        if (_reasons.IsNews(decision.Code, reason, o.Now))
        {
            Tell(o, EventKind.Reason, decision.Code, reason);
        }
        if (o.Leader is null && IsNotAllowed(decision) && !_notAllowedTold)
        {
            _notAllowedTold = true;
            Tell(o, EventKind.Warning, "not_allowed_to_promote", decision.Reason);
        }
    }

    /// <summary>
    /// Whether the decision is that the configuration does not allow this member to lead, whatever WAL it has.
    /// </summary>
    public static bool IsNotAllowed(Decision decision) =>
        decision.Code is "nofailover" or "not_failsafe_member" or "watchdog";

    private void Tell(
        Observation o, string kind, string code, string text, JsonElement? figures = null, TimeSpan? at = null,
        Term? term = null) =>
        events.Append(kind, code, text, term ?? TermOf(o), o.Local.Timeline, figures,
            at is { } moment ? o.Clock - (o.Now - moment) : null);

    private static Term TermOf(Observation o) =>
        o.Lease.HoldsLeader ? o.Lease.Term : o.Cluster?.Leader?.Term ?? default;

    private static string JobWord(JobKind kind) => kind == JobKind.CheckDivergence ? "compare" : Snake(kind.ToString());

    private static string ResultWord(JobResult result) => Snake(result.ToString());

    private static string Snake(string name) => string.Concat(name.Select((c, index) =>
        char.IsUpper(c) ? (index > 0 ? "_" : "") + char.ToLowerInvariant(c) : c.ToString()));
}
