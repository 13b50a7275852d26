namespace Routing.Dcs;

/// <summary>Shows a process whether the store is still the one that an earlier process knew.</summary>
/// <param name="ClusterId">The id of the etcd cluster; 0: nothing is known.</param>
/// <param name="LeaderCreated">The create revision of the newest leader key that was seen; 0: none was.</param>
public readonly record struct StoreMark(ulong ClusterId, long LeaderCreated);
