using System.Globalization;

namespace Routing.Ha;

/// <summary>How far a copy is.</summary>
/// <param name="Bytes">Copied so far.</param>
/// <param name="Total">As many there will be, by the source's estimate; 0: not known.</param>
/// <param name="BytesPerSecond">Over the last seconds; 0: not known yet.</param>
public sealed record CopyProgress(long Bytes, long Total, long BytesPerSecond)
{
    /// <summary>How long the rest takes at this rate; null: not known.</summary>
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
