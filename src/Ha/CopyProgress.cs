using System.Globalization;

namespace Routing.Ha;

/// <summary>How much of a copy of data is done, or of the replay of WAL.</summary>
/// <param name="Bytes">Bytes copied or replayed so far.</param>
/// <param name="Total">Bytes of the whole, as the source estimates them; 0 when unknown.</param>
/// <param name="BytesPerSecond">The rate of the last seconds; 0 while unknown.</param>
public sealed record CopyProgress(long Bytes, long Total, long BytesPerSecond)
{
    /// <summary>The WAL that is replayed; null: data are copied.</summary>
    public ReplayedWal? Wal { get; init; }

    /// <summary>The time that the rest takes at this rate; null when unknown.</summary>
    public TimeSpan? Left => Total > 0 && BytesPerSecond > 0
        ? TimeSpan.FromSeconds(Math.Max(0, Total - Bytes) / (double)BytesPerSecond)
        : Wal?.LeftToMoment;

    /// <summary>
    /// For example <c>1.5 GB of 6.0 GB (25 %), 80.0 MB/s, 58 s left</c>; for WAL, from where to where stands behind.
    /// </summary>
    public override string ToString()
    {
        var percent = Total > 0 ? $" of {Size(Total)} ({Math.Min(100, Bytes * 100 / Total)} %)" : "";
        var rate = BytesPerSecond > 0 ? $", {Size(BytesPerSecond)}/s" : "";
        var left = Left is { } rest
            ? string.Create(CultureInfo.InvariantCulture, $", {rest.TotalSeconds:F0} s left")
            : "";
        var wal = Wal is null ? "" : $": {Wal}";
        return $"{Size(Bytes)}{percent}{rate}{left}{wal}";
    }

    private static string Size(long bytes)
    {
        var (value, unit) = bytes switch
        {
            >= 1L << 30 => (bytes / (double)(1L << 30), "GB"),
            >= 1L << 20 => (bytes / (double)(1L << 20), "MB"),
            _ => (bytes / 1024.0, "kB"),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{value:F1} {unit}");
    }
}
