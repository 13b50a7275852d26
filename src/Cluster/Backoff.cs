namespace Routing.Cluster;

/// <summary>Pauses that double with each failure in a row.</summary>
/// <param name="First">The pause after the first failure.</param>
/// <param name="Longest">No pause is longer.</param>
public readonly record struct Backoff(TimeSpan First, TimeSpan Longest)
{
    private const int MostDoublings = 62;

    /// <summary>The pause after so many failures in a row; zero after none.</summary>
    public TimeSpan After(int failures)
    {
        if (failures <= 0)
        {
            return TimeSpan.Zero;
        }
        var doublings = Math.Min(failures - 1, MostDoublings);
        return First.Ticks > Longest.Ticks >> doublings ? Longest : new TimeSpan(First.Ticks << doublings);
    }
}
