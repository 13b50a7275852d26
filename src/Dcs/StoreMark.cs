namespace Routing.Dcs;

/// <summary>By what a process recognises that the store is not the one that an earlier process knew.</summary>
/// <param name="ClusterId">The id of the etcd cluster; 0: nothing is known.</param>
/// <param name="LeaderCreated">The create revision of the newest leader key that was seen; 0: none was.</param>
public readonly record struct StoreMark(ulong ClusterId, long LeaderCreated);
