using Routing.Agent.Postgres.Files;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>History files without ancestors: PostgreSQL steps over their timelines when it is promoted.</summary>
internal static class TimelineReservations
{
    public const string Text = "# reserved: another member may have opened this timeline\n";

    /// <summary>Makes PostgreSQL step over the timelines that others may have opened.</summary>
    /// <remarks>
    /// It opens the timeline after the last one for which it finds a history file (findNewestTimeLine in timeline.c),
    /// and does not know of a primary that died before another server had its history. Two histories with one number
    /// corrupt any standby that streams across them, unnoticed. A file without ancestors belongs to no history, so that
    /// no standby goes there.
    /// </remarks>
    public static async Task MakeAsync(string dataDirectory, uint usedTimeline)
    {
        var own = DataDirectoryState.Look(dataDirectory, inUse: true).Control?.File.Timeline ?? 1;
        for (var timeline = own + 1; timeline <= usedTimeline; timeline++)
        {
            var file = Path.Combine(dataDirectory, "pg_wal", $"{timeline:X8}.history");
            if (!File.Exists(file))
            {
                await File.WriteAllTextAsync(file, Text, CancellationToken.None);
            }
        }
    }

    /// <summary>Removes reservations whose promotion never came about.</summary>
    /// <remarks>
    /// A server that starts in recovery aims at the newest timeline that it finds a history file for, and refuses to
    /// start when that one is not a child of its own: a reservation must not outlive the attempt that it was made for.
    /// </remarks>
    public static void Drop(string dataDirectory)
    {
        var folder = Path.Combine(dataDirectory, "pg_wal");
        foreach (var file in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.history") : [])
        {
            if (File.ReadAllText(file) == Text)
            {
                File.Delete(file);
            }
        }
    }
}
