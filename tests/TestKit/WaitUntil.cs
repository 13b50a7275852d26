using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Npgsql;

namespace Routing.TestKit;

/// <summary>Waits for a condition, with a deadline, and says which one did not come true.</summary>
/// <remarks>
/// A look that meets a server that is down, silent or in the middle of a change has found nothing out: it is taken
/// again, and told of when the wait is given up.
/// </remarks>
public static class WaitUntil
{
    private static readonly TimeSpan s_defaultDeadline = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMilliseconds(100);

    /// <summary>Waits until the condition holds.</summary>
    /// <param name="condition">Asked about every 10 to 100 ms.</param>
    /// <param name="deadline">Default 15 s.</param>
    /// <param name="what">The condition in words; its source text when left out.</param>
    public static Task TrueAsync(
        Func<bool> condition, TimeSpan? deadline = null,
        [CallerArgumentExpression(nameof(condition))] string what = "") =>
        TrueAsync(() => Task.FromResult(condition()), deadline, what);

    /// <summary>Waits until the condition holds.</summary>
    /// <param name="condition">Asked about every 10 to 100 ms.</param>
    /// <param name="deadline">Default 15 s.</param>
    /// <param name="what">The condition in words; its source text when left out.</param>
    public static Task TrueAsync(
        Func<Task<bool>> condition, TimeSpan? deadline = null,
        [CallerArgumentExpression(nameof(condition))] string what = "") =>
        TrueAsync(condition, deadline, () => what);

    /// <summary>Waits until the condition holds.</summary>
    /// <param name="condition">Asked about every 10 to 100 ms.</param>
    /// <param name="deadline">Default 15 s.</param>
    /// <param name="what">The condition in words, asked for when it did not come true.</param>
    public static async Task TrueAsync(Func<Task<bool>> condition, TimeSpan? deadline, Func<string> what)
    {
        ArgumentNullException.ThrowIfNull(condition);
        ArgumentNullException.ThrowIfNull(what);
        var limit = deadline ?? s_defaultDeadline;
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            Exception? failure = null;
            var looked = Stopwatch.GetTimestamp();
            try
            {
                if (await condition())
                {
                    return;
                }
            }
            catch (Exception notYet) when (IsNotYet(notYet))
            {
                failure = notYet;
            }
            if (Stopwatch.GetElapsedTime(started) > limit)
            {
                var look = failure is null ? "" : $" (the last look: {failure.GetType().Name}: {failure.Message})";
                throw new TimeoutException($"Not true after {limit.TotalSeconds:0.#} s: {what()}{look}", failure);
            }
            await Task.Delay(PauseAfter(Stopwatch.GetElapsedTime(looked), Stopwatch.GetElapsedTime(started)));
        }
    }

    /// <summary>
    /// How long to wait between two looks. A look costs processor time here and in the servers, which they need for
    /// what is waited for: the pause is four times as long as the look took, and at least 2 % of the whole wait.
    /// </summary>
    private static TimeSpan PauseAfter(TimeSpan look, TimeSpan wait)
    {
        var pause = TimeSpan.FromTicks(Math.Max(look.Ticks * 4, wait.Ticks / 50));
        return pause < s_pause ? s_pause : pause > s_longestPause ? s_longestPause : pause;
    }

    /// <summary>
    /// Whether a problem says no more than that somebody did not answer, or not yet with what was expected.
    /// </summary>
    internal static bool IsNotYet(Exception problem) =>
        problem is NpgsqlException or HttpRequestException or TaskCanceledException or TimeoutException
            or JsonException;
}
