using System.Globalization;
using Xunit;

namespace Routing.TestKit;

/// <summary>What a test may conclude from the time that something took.</summary>
/// <remarks>
/// A lease of seconds ends when its agent gets no processor for so long, and another member leads then, as it has to.
/// </remarks>
public static class BusyMachine
{
    private const int MostPerProcessor = 2;

    /// <summary>
    /// Now, or over the last minute, more than two threads for each processor want to run: a time says nothing.
    /// </summary>
    public static bool IsBusy
    {
        get
        {
            // "0.20 0.18 0.12 3/80 11206": over a minute, and at this moment
            var words = File.ReadAllText("/proc/loadavg").Split(' ', '/');
            return Math.Max(Number(words[0]), Number(words[3])) > MostPerProcessor * Environment.ProcessorCount;

            static double Number(string word) => double.Parse(word, CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Something took no longer than this, unless the machine is busy.</summary>
    public static void AssertWithin(TimeSpan bound, TimeSpan took)
    {
        Assert.True(took <= bound || IsBusy, $"it took {took}, and may take {bound} on a machine that is not busy");
    }

    /// <summary>Tries something up to three times, until it was not held up.</summary>
    /// <param name="attempt">Returns false when it was held up, so that what followed says nothing.</param>
    /// <param name="what">What took too long each time. On a machine that is not busy that is a fault.</param>
    public static async Task UntilInTimeAsync(Func<Task<bool>> attempt, string what)
    {
        ArgumentNullException.ThrowIfNull(attempt);
        const int MostAttempts = 3;
        for (var round = 0; round < MostAttempts; round++)
        {
            if (await attempt())
            {
                return;
            }
        }
        Assert.SkipWhen(IsBusy, $"The machine is busy, and three times {what}.");
        Assert.Fail($"Three times {what}, and the machine is not busy.");
    }
}
