namespace Routing.Integration.Tests.Drills;

/// <summary>How long the workers of a client waited from one answer to the next.</summary>
internal sealed class Pauses
{
    private const double Least = 5;
    private readonly Lock _gate = new();
    private readonly List<(double Ended, double Length)> _all = [];

    /// <summary>Milliseconds since 1970.</summary>
    public static double Now => (TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalMilliseconds;

    /// <summary>Notes a pause; short ones are none.</summary>
    /// <param name="ended">When it ended, in milliseconds since 1970.</param>
    /// <param name="length">In milliseconds.</param>
    public void Add(double ended, double length)
    {
        if (length >= Least)
        {
            lock (_gate)
            {
                _all.Add((ended, length));
            }
        }
    }

    /// <summary>The longest pause that ended within a time; 0 when none did.</summary>
    public double LongestWithin(double from, double to)
    {
        lock (_gate)
        {
            return _all.Where(one => one.Ended >= from && one.Ended < to)
                .Select(one => one.Length).DefaultIfEmpty().Max();
        }
    }

    /// <summary>Follows one worker from now on.</summary>
    public Pace Begin() => new(this);

    /// <summary>One worker.</summary>
    internal sealed class Pace(Pauses pauses)
    {
        private double _last = Now;

        /// <summary>The worker has got an answer.</summary>
        public void Answered()
        {
            var now = Now;
            pauses.Add(now, now - _last);
            _last = now;
        }
    }
}
