using Routing.Cli.Terminal;
using Routing.Dcs;

namespace Routing.Cli.Commands;

/// <summary>Shows something once, or again and again.</summary>
internal static class Watching
{
    private static readonly TimeSpan s_default = TimeSpan.FromSeconds(2);

    /// <summary>The time between two views: <c>-w N</c>, else 2 s with <c>-W</c>, else null for once.</summary>
    public static TimeSpan? Interval(bool byDefault, double? seconds) =>
        seconds is { } given ? TimeSpan.FromSeconds(given) : byDefault ? s_default : null;

    /// <summary>Shows what <paramref name="print"/> writes; with an interval until the token ends it.</summary>
    /// <param name="session">The command's session.</param>
    /// <param name="interval">The time between two views; null for one view.</param>
    /// <param name="print">Writes one view.</param>
    /// <param name="isInPlace">
    /// On a terminal each view takes the place of the one before, rather than to follow it.
    /// </param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <remarks>A watch outlives a silent DCS: it shows the last view, and what is wrong.</remarks>
    public static async Task RepeatAsync(
        Session session, TimeSpan? interval, Func<TextWriter, Task> print, bool isInPlace,
        CancellationToken cancellationToken)
    {
        if (interval is null)
        {
            await print(session.Screen.Output);
            return;
        }
        using var place = isInPlace && session.Screen.IsTerminal ? new LivePlace(session.Screen.Output) : null;
        using var timer = new PeriodicTimer(interval.Value, session.Time);
        var last = "";
        do
        {
            string? problem = null;
            try
            {
                using var text = new StringWriter { NewLine = "\n" };
                await print(text);
                last = text.ToString();
            }
            catch (ClusterStoreException e)
            {
                problem = e.Message;
            }
            if (place is not null)
            {
                place.Show(problem is null ? last : $"{last}Error: {problem}\n");
                continue;
            }
            if (problem is null)
            {
                session.Screen.Output.Write(last);
                session.Screen.Output.Flush();
            }
            else
            {
                session.Screen.WriteError(problem);
            }
        }
        while (await timer.WaitForNextTickAsync(cancellationToken));
    }
}
