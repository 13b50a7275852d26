using System.Text.Json;
using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>Whether a standby that is about to stop may do so.</summary>
/// <param name="Reason">One sentence for the operator.</param>
/// <param name="MayStop">
/// False: publish the tags of <see cref="LeaveSet.Publish"/> and look again when the <c>sync</c> key changes.
/// </param>
/// <param name="Left">The time after which it stops in any case.</param>
public sealed record LeaveSetDecision(string Reason, bool MayStop, TimeSpan Left);

/// <summary>A standby leaves the synchronous set before it stops, so that no commit has to wait for it.</summary>
public static class LeaveSet
{
    /// <summary>The tags to publish meanwhile: the member's own, and the wish never to be synchronous.</summary>
    public static MemberTags Publish(MemberTags tags) => new(tags.Values
        .SetItem("nosync", JsonElement.Parse("true"))
        .SetItem("sync_priority", JsonElement.Parse("0")));

    /// <summary>Whether the standby may stop.</summary>
    /// <param name="self">This member's name.</param>
    /// <param name="sync">The <c>sync</c> key.</param>
    /// <param name="elapsed">Time since the wish was published.</param>
    /// <param name="timing">The times in force; it waits for two loops at most.</param>
    public static LeaveSetDecision Decide(string self, SyncState sync, TimeSpan elapsed, Timing timing)
    {
        if (!sync.IsActive || !sync.Standbys.Contains(self))
        {
            return new("is not a synchronous standby", true, TimeSpan.Zero);
        }
        var left = (2 * timing.LoopWait) - elapsed;
        return left > TimeSpan.Zero
            ? new("waits until the primary lets it leave the synchronous set", false, left)
            : new("stops though it is still a synchronous standby", true, TimeSpan.Zero);
    }
}
