using Routing.Cluster;

namespace Routing.Agent.Status;

/// <summary>Answers leaders that have lost the DCS, and keeps what was consented to.</summary>
/// <remarks>
/// A consent bars this member from the race for its time, so only the member that held the leader key last gets one,
/// and for no longer than the ttl that the cluster has had in its term.
/// </remarks>
/// <param name="board">What this member knows, and where the newest consent stands.</param>
/// <param name="earlier">What an earlier life of this agent consented to; null: nothing.</param>
/// <param name="keep">Keeps a consent for the agent's next life. Throws when it cannot: then it is not given.</param>
/// <param name="time">The clock.</param>
internal sealed class FailsafeConsents(
    StatusBoard board, FailsafeNotice? earlier, Action<FailsafeNotice> keep, TimeProvider time)
{
    private readonly Lock _lock = new();

    /// <summary>What this member consented to last, also in an earlier life of its agent; null: nothing.</summary>
    public FailsafeNotice? Newest => board.Current.Failsafe ?? earlier;

    /// <summary>A leader asks whether it may stay.</summary>
    public FailsafeAnswer Receive(FailsafeMessage message)
    {
        lock (_lock)   // questions may overlap, and the longer consent counts
        {
            var status = board.Current;
            if (Objection(message, status) is { } objection)
            {
                return objection;
            }
            var notice = FailsafeNotice.Of(message, status.Timing.Ttl, status.Failsafe ?? earlier, time);
            try
            {
                keep(notice);
            }
            catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
            {
                return new FailsafeAnswer(FailsafeVerdict.NotKept) { Problem = problem.Message };
            }
            board.Update(current => current with { Failsafe = notice });
            return new FailsafeAnswer(
                FailsafeVerdict.Accepted, status.Postgres.WalPosition > Lsn.Zero ? status.Postgres.WalPosition : null);
        }
    }

    private static FailsafeAnswer? Objection(FailsafeMessage message, AgentStatus status)
    {
        if (!status.Config.FailsafeMode)
        {
            return new FailsafeAnswer(FailsafeVerdict.Disabled);
        }
        if (status.Postgres.AcceptsWrites)
        {
            return new FailsafeAnswer(FailsafeVerdict.RunningAsLeader);
        }
        // An agent that has seen nothing of the cluster yet knows no leader either.
        var leader = status.Cluster?.Leader?.Holder ?? status.LastLeader;
        if (leader != message.Name && (leader is not null || status.Cluster is not null))
        {
            return new FailsafeAnswer(
                FailsafeVerdict.NotTheLeader) { Problem = $"the leader was {leader ?? "nobody"}" };
        }
        return message.Ttl > status.LongestTtl
            ? new FailsafeAnswer(FailsafeVerdict.TooLong) { Problem =
                $"the longest ttl of this term is {status.LongestTtl.TotalSeconds:0} s" }
            : null;
    }
}
