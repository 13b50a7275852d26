namespace Routing.Cluster.HostChoice;

/// <summary>Why a member does or does not serve a request; for people and for <c>/routes</c>.</summary>
/// <param name="Member">The member.</param>
/// <param name="Fits">Whether it is a choice.</param>
/// <param name="Reason">The rest of a sentence that begins with its name.</param>
public readonly record struct HostVerdict(Member Member, bool Fits, string Reason);
