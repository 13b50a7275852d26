using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Ha;

/// <summary>Keeps the history key in step with the primary's own history file.</summary>
public static class HistoryUpdate
{
    /// <summary>What to write; null when the key is as it should be.</summary>
    /// <param name="known">The key as it stands.</param>
    /// <param name="local">
    /// The primary; its <see cref="LocalPostgres.History"/> carries the time of each change where the server still has
    /// it.
    /// </param>
    /// <param name="self">The member that was promoted last.</param>
    /// <param name="maximumLines">0: all.</param>
    public static TimelineHistory? Of(TimelineHistory? known, LocalPostgres local, string self, int maximumLines)
    {
        if (local is not { Server: ServerState.Running, IsPrimary: true, Timeline: > 0 })
        {
            return null;
        }
        if (local.Timeline == 1)
        {
            return known is { Lines.IsEmpty: false } ? new TimelineHistory([]) : null;
        }
        if (known is { Lines: [.., { NewLeader: not null, Timestamp: not null } last] }
            && last.Timeline == local.Timeline - 1)
        {
            return null;
        }
        if (local.History.IsEmpty)
        {
            return null;   // the history file has not been read yet
        }
        var stored = (known?.Lines ?? []).ToLookup(line => (line.Timeline, line.SwitchPoint));
        var file = WithoutGap(local.History, local.Timeline);
        var lines = file.Select((line, index) =>
        {
            var old = stored[(line.Timeline, line.SwitchPoint)].FirstOrDefault();
            var isNewest = index >= local.History.Length - 1;
            return line with
            {
                Timestamp = old?.Timestamp ?? line.Timestamp,
                NewLeader = old?.NewLeader ?? (isNewest ? self : null),
            };
        }).ToImmutableArray();
        lines = maximumLines > 0 && lines.Length > maximumLines ? lines[^maximumLines..] : lines;
        // A server that does not tell the time of a change leaves a gap; writing the same again would not fill it.
        return known is not null && known.Lines.SequenceEqual(lines) ? null : new TimelineHistory(lines);
    }

    /// <summary>
    /// A promotion steps over timelines that another member may have opened. Every reader takes the last line's
    /// timeline plus 1 for the cluster's: one more line names the timeline before it, of which nothing was taken over.
    /// </summary>
    private static ImmutableArray<HistoryLine> WithoutGap(ImmutableArray<HistoryLine> file, uint timeline) =>
        file[^1].Timeline == timeline - 1
            ? file
            : file.Add(file[^1] with
            {
                Timeline = timeline - 1, SwitchPoint = Lsn.Zero, Reason = "not a part of this history",
            });
}
