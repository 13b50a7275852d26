namespace Routing.Cluster.Keys;

/// <summary>One key as the DCS stores it.</summary>
/// <param name="Key">The part below the base path, such as <c>members/a</c>.</param>
/// <param name="Value">UTF-8 text.</param>
/// <param name="CreateRevision">When it came into being.</param>
/// <param name="ModRevision">When it was last written.</param>
/// <param name="LeaseId">The lease it hangs on; 0 for none.</param>
public sealed record RawKey(string Key, string Value, long CreateRevision, long ModRevision, long LeaseId);
