using System.Globalization;

namespace Routing.Ha;

/// <summary>How much of a copy of another member's data is done.</summary>
/// <param name="Bytes">Bytes copied so far.</param>
/// <param name="Total">Bytes of the whole copy, as the source estimates them; 0 when unknown.</param>
/// <param name="BytesPerSecond">The rate of the last seconds; 0 while unknown.</param>
public sealed record CopyProgress(long Bytes, long Total, long BytesPerSecond)
{
    /// <summary>The time that the remaining bytes take at this rate; null when unknown.</summary>
    public TimeSpan? Left => Total > 0 && BytesPerSecond > 0
        ? TimeSpan.FromSeconds(Math.Max(0, Total - Bytes) / (double)BytesPerSecond)
        : null;

    /// <summary>For example <c>1.5 of 6.0 GB (25 %), 80.0 MB/s, 58 s left</c>.</summary>
    public override string ToString()
    {
        var percent = Total > 0 ? $" of {Size(Total)} ({Math.Min(100, Bytes * 100 / Total)} %)" : "";
        var rate = BytesPerSecond > 0 ? $", {Size(BytesPerSecond)}/s" : "";
        var left = Left is { } rest
            ? string.Create(CultureInfo.InvariantCulture, $", {rest.TotalSeconds:F0} s left")
            : "";
        return $"{Size(Bytes)}{percent}{rate}{left}";
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
