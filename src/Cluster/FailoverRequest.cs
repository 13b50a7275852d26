namespace Routing.Cluster;

/// <summary>The <c>failover</c> key: a request for a change of leader.</summary>
/// <param name="Leader">The leader that shall step down; present: a switchover, absent: a failover.</param>
/// <param name="Candidate">The member that shall take over; null for any.</param>
/// <param name="ScheduledAt">When; null for at once. Only a switchover may be scheduled.</param>
/// <param name="ModRevision">The revision to compare with when it is cleared.</param>
public sealed record FailoverRequest(string? Leader, string? Candidate, DateTimeOffset? ScheduledAt, long ModRevision)
{
    /// <summary>
    /// The site that the new leader shall stand in; null for any. Only a switchover without a candidate has one.
    /// </summary>
    public string? Site { get; init; }

    /// <summary>Whether the request names the leader that shall step down.</summary>
    public bool IsSwitchover => Leader is not null;

    /// <summary>The word for what is asked: <c>switchover</c> or <c>failover</c>.</summary>
    public string Kind => IsSwitchover ? "switchover" : "failover";
}
