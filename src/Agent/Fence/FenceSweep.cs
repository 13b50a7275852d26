using Routing.Agent.Native;

namespace Routing.Agent.Fence;

/// <summary>Removes what fences that were killed have left: a living one removes its own directory.</summary>
internal static class FenceSweep
{
    /// <summary>A report is told by the next agent of the same data directory, for this long.</summary>
    private static readonly TimeSpan s_reportIsRead = TimeSpan.FromMinutes(10);

    /// <summary>What a fence has said is left for an operator to read, for this long.</summary>
    private static readonly TimeSpan s_logIsRead = TimeSpan.FromDays(7);

    /// <summary>Looks through the place that the agents of this user share.</summary>
    /// <param name="directory">
    /// The directory of this agent's own fence: it stays, and the others beside it are looked at.
    /// </param>
    /// <param name="now">The wall clock, by which files and reports are dated.</param>
    /// <returns>How many directories are gone.</returns>
    public static int BesideOf(string directory, DateTimeOffset now)
    {
        var own = Path.GetFullPath(directory);
        // Beside a data directory there are no files of other agents.
        if (Path.GetDirectoryName(own) is not { } place
            || Path.GetFileName(own).StartsWith(".routing-", StringComparison.Ordinal))
        {
            return 0;
        }
        try
        {
            return Directory.EnumerateDirectories(place).Where(found => found != own).Count(found => Sweep(found, now));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return 0;   // another agent sweeps at the same moment, or the place is closed to us
        }
    }

    private static bool Sweep(string directory, DateTimeOffset now)
    {
        var state = Path.Combine(directory, FenceSettings.StateFileName);
        if (!FenceDirectory.IsOurs(directory))
        {
            return false;
        }
        if (File.Exists(state))
        {
            using var page = FencePage.OpenForFence(state);
            // With the lock no fence begins on this page; an agent that comes at this moment makes a new one.
            if (page is null || !page.TryLock() || !IsForsaken(page, now))
            {
                return false;
            }
            FenceDirectory.Remove(state);
        }
        var log = new FileInfo(state + FenceSettings.LogSuffix);
        if (log.Exists && now - log.LastWriteTimeUtc > s_logIsRead)
        {
            FenceDirectory.RemoveWithLog(state);
        }
        return !Directory.Exists(directory);
    }

    /// <summary>No agent, no primary to guard, and no report that an agent has still to read.</summary>
    private static bool IsForsaken(FencePage page, DateTimeOffset now) =>
        (page.IsOfEarlierBoot
            || (!Runs(page.AgentPid, page.AgentStart)
                && BootInstant.Now - page.Heartbeat > FenceLoop.LonelyBound
                && !(page.Word is { IsArmed: true } word && Runs(word.PostmasterPid, page.PostmasterStart))))
        && (page.LastFencing is not { } report || now - report.At > s_reportIsRead);

    private static bool Runs(int pid, ulong start) =>
        pid > 0 && ProcessStat.Read(pid) is { IsAlive: true } process && process.StartTicks == start;
}
