namespace Routing.Ha;

// The timelines that keys name, and how far they are believed.
public static partial class HaLoop
{
    /// <summary>
    /// Each change of leader opens one timeline. PostgreSQL steps over each that was used, with a file for each: a key
    /// that names a timeline far beyond the local data is damaged or forged, and would fill the disk or overflow the
    /// number.
    /// </summary>
    public const uint LargestTimelineLeap = 1000;

    /// <summary>
    /// The highest timeline that any member may have opened, by the keys, as far as it is believed; 0 when unknown.
    /// </summary>
    private static uint UsedTimeline(Observation o) => Believed(o, o.Cluster!.UsedTimeline, o.Cluster.UsedTimelines);

    /// <summary>The cluster's timeline by its history, as far as it is believed; 0 when unknown.</summary>
    private static uint ClusterTimeline(Observation o) => Believed(o, o.Cluster!.Timeline, []);

    private static uint Believed(Observation o, uint highest, IEnumerable<uint> all)
    {
        var limit = (ulong)o.Local.Timeline + LargestTimelineLeap;
        return highest <= limit ? highest : all.Where(timeline => timeline <= limit).DefaultIfEmpty(0u).Max();
    }
}
