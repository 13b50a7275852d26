namespace Routing.Cluster;

/// <summary>
/// The <c>routing/switchover</c> key: the leader is about to hand over, and routers hold what is new until another
/// member leads, or it is called off.
/// </summary>
/// <param name="Id">Tells it from others.</param>
/// <param name="Leader">The leader that hands over.</param>
/// <param name="Candidate">The member that shall take over; null: any.</param>
/// <param name="Term">The term of that leader: the revision at which its leader key was created.</param>
/// <param name="Grace">
/// How long the leader waits for quiet, from the moment of its writing. A router counts it from when it sees the key
/// first, by a clock of its own.
/// </param>
public sealed record SwitchoverIntent(string Id, string Leader, string? Candidate, long Term, TimeSpan Grace)
{
    /// <summary>When the grace ends by the leader's wall clock: for people.</summary>
    public DateTimeOffset? Deadline { get; init; }

    /// <summary>Why it was called off: the leader stays, and nothing is held. Null: it was not.</summary>
    public string? CalledOff { get; init; }

    /// <summary>The revision to compare with when it is deleted.</summary>
    public long ModRevision { get; init; }
}

/// <summary>One of the <c>routing/routers/</c> keys: a router that follows the cluster.</summary>
/// <param name="Id">Names it.</param>
/// <param name="Kind"><c>proxy</c>, or another program's word.</param>
/// <param name="Ready">The intent that it is ready for: it sends the leader nothing new. Null: none.</param>
/// <param name="Busy">Sessions that were not at rest yet when it wrote this.</param>
public sealed record RouterRecord(string Id, string Kind, string? Ready, int Busy);
