using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Routing.TestKit;

/// <summary>Waits for a condition, with a deadline, and says which one did not come true.</summary>
public static class WaitUntil
{
    private static readonly TimeSpan DefaultDeadline = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>Waits until the condition holds.</summary>
    /// <param name="condition">Asked about every 10 ms.</param>
    /// <param name="deadline">Default 15 s.</param>
    /// <param name="what">The condition in words; its source text when left out.</param>
    public static Task TrueAsync(
        Func<bool> condition, TimeSpan? deadline = null, [CallerArgumentExpression(nameof(condition))] string what = "") =>
        TrueAsync(() => Task.FromResult(condition()), deadline, what);

    /// <summary>Waits until the condition holds.</summary>
    /// <param name="condition">Asked about every 10 ms.</param>
    /// <param name="deadline">Default 15 s.</param>
    /// <param name="what">The condition in words; its source text when left out.</param>
    public static async Task TrueAsync(
        Func<Task<bool>> condition, TimeSpan? deadline = null, [CallerArgumentExpression(nameof(condition))] string what = "")
    {
        var limit = deadline ?? DefaultDeadline;
        var started = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(started) > limit)
            {
                throw new TimeoutException($"Not true after {limit.TotalSeconds:0.#} s: {what}");
            }
            await Task.Delay(Pause);
        }
    }
}
