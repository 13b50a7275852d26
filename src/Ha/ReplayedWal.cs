using Routing.Cluster;
using Routing.Cluster.Text;

namespace Routing.Ha;

/// <summary>WAL that a server replays before it can be used: after a crash, or to the target of a restore.</summary>
/// <param name="From">Where replay began.</param>
/// <param name="At">How far it is, to a segment or nearer.</param>
public sealed record ReplayedWal(Lsn From, Lsn At)
{
    /// <summary>When a transaction ended where replay began; null: not known.</summary>
    public DateTimeOffset? FromMoment { get; init; }

    /// <summary>When the last known transaction ended that was replayed; null: not known.</summary>
    public DateTimeOffset? AtMoment { get; init; }

    /// <summary>Where replay ends; null: not known.</summary>
    public Lsn? End { get; init; }

    /// <summary>The moment at which replay ends; null: not known.</summary>
    public DateTimeOffset? EndMoment { get; init; }

    /// <summary>How long replay has been watched: the time from <see cref="FromMoment"/> to now.</summary>
    public TimeSpan Watched { get; init; }

    /// <summary>The time that is left until <see cref="EndMoment"/> at this speed; null: not known.</summary>
    public TimeSpan? LeftToMoment =>
        EndMoment is { } end && AtMoment is { } at && FromMoment is { } from && at > from && Watched > TimeSpan.Zero
            ? TimeSpan.FromSeconds(Math.Max(0, (end - at) / (at - from) * Watched.TotalSeconds))
            : null;

    /// <summary>
    /// For example <c>from 0/2000028 (2026-11-30 12:00:00+00:00) to 0/5000000 (2026-11-30 13:05:11+00:00), and on to
    /// 2026-11-30 14:00:00+00:00</c>.
    /// </summary>
    public override string ToString()
    {
        var end = End is { } last ? $", and on to {last}"
            : EndMoment is { } moment ? $", and on to {PostgresTime.Format(moment)}"
            : "";
        return $"from {From}{Of(FromMoment)} to {At}{Of(AtMoment)}{end}";
    }

    private static string Of(DateTimeOffset? moment) =>
        moment is { } known ? $" ({PostgresTime.Format(known)})" : "";
}
