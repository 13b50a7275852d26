using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Driver.Routes;

/// <summary>
/// A leader has announced that it is about to hand over: nothing new goes to it, for the grace that it gives and a time
/// of the driver's own at most. Guarded by its owner.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="beyond">How long beyond the grace.</param>
internal sealed class LeaderHold(TimeProvider time, TimeSpan beyond)
{
    private string? _id;
    private long _until;

    /// <summary>
    /// The intent that holds the leader of this view; null: none does. One that was seen before is not begun anew.
    /// </summary>
    /// <param name="view">The view.</param>
    /// <param name="left">How long; zero for none.</param>
    public SwitchoverIntent? Of(ClusterView view, out TimeSpan left)
    {
        left = TimeSpan.Zero;
        if (view.Snapshot.Intent is not { } intent || view.Snapshot.Leader!.Term < view.HighestTerm)
        {
            return null;
        }
        if (intent.Id != _id)
        {
            (_id, _until) = (intent.Id, time.TimestampAfter(intent.Grace + beyond));
        }
        left = time.GetElapsedTime(time.GetTimestamp(), _until);
        return left > TimeSpan.Zero ? intent : null;
    }
}
