using System.Collections.Immutable;

namespace Routing.Cluster.HostChoice;

/// <summary>
/// What a router makes of announced switchovers: while one holds, nothing new goes to its leader. Pure; a router keeps
/// the newest one and asks for the next with each view.
/// </summary>
/// <param name="Id">The intent.</param>
/// <param name="Leader">The leader that hands over.</param>
/// <param name="GraceEnds">When that leader waits no more, by the router's own clock.</param>
public sealed record LeaderHold(string Id, string Leader, long GraceEnds)
{
    private const int MostEarlier = 16;

    /// <summary>Another member leads, or it was called off. One that is over never holds again.</summary>
    public bool IsOver { get; init; }

    /// <summary>
    /// The intents before this one, the newest last: a view from an earlier time, as an agent that is cut off gives
    /// one, begins none of them anew.
    /// </summary>
    public ImmutableArray<string> Earlier { get; init; } = [];

    /// <summary>The hold after a view of the cluster.</summary>
    /// <param name="known">The one before; null: none was.</param>
    /// <param name="cluster">The view.</param>
    /// <param name="highestTerm">
    /// The highest term that was ever seen: what an older leader announces is nothing.
    /// </param>
    /// <param name="after">The moment, by the router's own clock, at which a time is over that begins now.</param>
    public static LeaderHold? After(
        LeaderHold? known, ClusterSnapshot cluster, Term highestTerm, Func<TimeSpan, long> after)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        ArgumentNullException.ThrowIfNull(after);
        if (cluster.Intent is { } intent && cluster.Leader!.Term >= highestTerm)
        {
            return known is null ? Begin([])
                : known.Id == intent.Id || known.Earlier.Contains(intent.Id) ? known
                : Begin([.. known.Earlier.TakeLast(MostEarlier - 1), known.Id]);

            LeaderHold Begin(ImmutableArray<string> earlier) =>
                new(intent.Id, intent.Leader, after(intent.Grace)) { Earlier = earlier };
        }
        // Without a leader, or with one that is no primary yet, the way is not known: it goes on.
        return known is { IsOver: false } && HostChooser.LeaderOf(cluster, highestTerm, out _) is not null
            ? known with { IsOver = true }
            : known;
    }
}
