namespace Routing.Cluster;

/// <summary>The <c>routing</c> field of a member key: only our agents write it, every other tool ignores it.</summary>
/// <param name="Version">The agent's own version.</param>
/// <param name="Fence">Whether a fence guards this member, so that short leases are safe.</param>
public sealed record RoutingExtension(string Version, bool Fence);
