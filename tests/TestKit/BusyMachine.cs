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
    /// Over the last minute more than two programs for each processor wanted to run: a time says nothing.
    /// </summary>
    public static bool IsBusy =>
        double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture)
        > MostPerProcessor * Environment.ProcessorCount;

    /// <summary>Something took no longer than this, unless the machine is busy.</summary>
    public static void AssertWithin(TimeSpan bound, TimeSpan took)
    {
        if (!IsBusy)
        {
            Assert.InRange(took, TimeSpan.Zero, bound);
        }
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
