using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Agent.Events;
using Routing.Agent.Status;
using Routing.Cluster.Events;
using Routing.Ha;

namespace Routing.Agent.Loop;

/// <summary>Writes changes of decision, leader and role to the log and to the events.</summary>
internal sealed partial class Announcer(AgentEvents events, ILogger<Announcer> logger)
{
    private readonly Chronicle _chronicle = new(events);
    private string? _lastLeader;
    private string _lastReason = "";

    /// <summary>A promotion of this member is complete.</summary>
    /// <param name="phases">How long each phase took, in one sentence.</param>
    /// <param name="last">The same as figures.</param>
    /// <param name="o">What was seen.</param>
    public void TellFailover(string phases, ImmutableArray<FailoverPhase> last, Observation o)
    {
        events.Append(
            EventKind.Failover, "promoted", phases, o.Lease.Term, o.Local.Timeline, EventFigures.Phases(last));
        LogFailover(phases);
    }

    /// <summary>
    /// One sentence of reason per change of decision to the log; what has changed to the diary.
    /// </summary>
    public void Tell(Observation o, Decision decision)
    {
        TellDiary(o, decision);
        var term = o.Cluster?.Leader?.Term ?? default;
        var reason = $"{(o.Paused ? "PAUSE: " : "")}{decision.Reason}";
        if (reason != _lastReason)
        {
            _lastReason = reason;
            LogDecision(
                o.Leader is null && Chronicle.IsNotAllowed(decision) ? LogLevel.Warning : LogLevel.Information, reason,
                decision.Code);
        }
        if (o.Leader != _lastLeader)
        {
            LogLeader(o.Leader ?? "nobody", o.Self, term.Revision);
            _lastLeader = o.Leader;
        }
    }

    /// <summary>Nothing depends on the diary: whatever is wrong with it, the loop goes on.</summary>
    private void TellDiary(Observation o, Decision decision)
    {
        try
        {
            _chronicle.See(o, decision);
        }
        catch (Exception problem)
        {
            LogDiary(problem);
        }
    }

    [LoggerMessage(EventId = 1001, Message = "This member {Reason} [{Code}]")]
    private partial void LogDecision(LogLevel level, string reason, string code);

    [LoggerMessage(EventId = 1011, Level = LogLevel.Error,
        Message = "An event could not be recorded: a fault of this program")]
    private partial void LogDiary(Exception problem);

    [LoggerMessage(
        EventId = 1002, Level = LogLevel.Information, Message = "Lock owner: {Leader}; I am {Self} (term {Term})")]
    private partial void LogLeader(string leader, string self, long term);

    [LoggerMessage(EventId = 1007, Level = LogLevel.Information,
        Message = "promoted self to leader by acquiring session lock; {Phases}")]
    private partial void LogFailover(string phases);
}
