namespace Routing.Cluster;

/// <summary>The <c>routing</c> field of a member key: only our agents write it, every other tool ignores it.</summary>
/// <param name="Version">The agent's own version.</param>
/// <param name="Fence">Whether a fence guards this member, so that short leases are safe.</param>
public sealed record RoutingExtension(string Version, bool Fence)
{
    /// <summary>
    /// A standby that streams: the member that it streams from, or host and port of a server that is none. Null: it
    /// does not stream, or does not say.
    /// </summary>
    public string? Upstream { get; init; }

    /// <summary>The member that its data are copied from at present; null: none are, or it does not say.</summary>
    public string? CopiesFrom { get; init; }
}
