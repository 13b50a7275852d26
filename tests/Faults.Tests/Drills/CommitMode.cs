namespace Routing.Faults.Tests.Drills;

/// <summary>What an acknowledged commit has waited for.</summary>
public enum CommitMode
{
    /// <summary>For the primary's own disk.</summary>
    Async,

    /// <summary>For one standby, named by the leader.</summary>
    Sync,

    /// <summary>For one of two standbys, whichever answers first.</summary>
    Quorum,
}
