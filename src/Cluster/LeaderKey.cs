namespace Routing.Cluster;

/// <summary>The leader key as it stands in the DCS. Its holder may not have been promoted yet.</summary>
/// <param name="Holder">The member named by the key.</param>
/// <param name="Term">The key's create revision.</param>
/// <param name="ModRevision">The revision of its last write; a compare-and-set may name it.</param>
/// <param name="LeaseId">The lease that the key hangs on; 0 when it hangs on none.</param>
public sealed record LeaderKey(string Holder, Term Term, long ModRevision, long LeaseId);
