using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary>Shows something once, or again and again on a cleared screen.</summary>
internal static class Watching
{
    private static readonly TimeSpan s_default = TimeSpan.FromSeconds(2);

    /// <summary>The time between two views: <c>-w N</c>, else 2 s with <c>-W</c>, else null for once.</summary>
    public static TimeSpan? Interval(bool byDefault, double? seconds) =>
        seconds is { } given ? TimeSpan.FromSeconds(given) : byDefault ? s_default : null;

    /// <summary>Shows what <paramref name="print"/> writes; with an interval until the token ends it.</summary>
    /// <remarks>The text is put on the screen at once, so that it doesn't flicker. A watch outlives a silent DCS.</remarks>
    public static async Task RepeatAsync(
        Session session, TimeSpan? interval, Func<TextWriter, Task> print, CancellationToken cancellationToken)
    {
        if (interval is null)
        {
            await print(session.Screen.Output);
            return;
        }
        using var timer = new PeriodicTimer(interval.Value, session.Time);
        do
        {
            using var text = new StringWriter();
            string? problem = null;
            try
            {
                await print(text);
            }
            catch (ClusterStoreException e)
            {
                problem = e.Message;
            }
            session.Screen.Clear();
            session.Screen.Output.Write(text.ToString());
            session.Screen.Output.Flush();
            if (problem is not null)
            {
                session.Screen.WriteError(problem);
            }
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }
}
