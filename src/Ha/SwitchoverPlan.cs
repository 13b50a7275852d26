using Routing.Cluster;

namespace Routing.Ha;

/// <summary>How far a leader is with a switchover that it announces.</summary>
/// <param name="Request">The request, by the revision of its key.</param>
/// <param name="Since">When the checkpoint was asked for, with which it begins.</param>
public sealed record SwitchoverPlan(long Request, TimeSpan Since)
{
    /// <summary>What it has announced; null: nothing yet.</summary>
    public SwitchoverIntent? Intent { get; init; }

    /// <summary>When that was.</summary>
    public TimeSpan AnnouncedAt { get; init; }
}
