using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>One row of <c>pg_stat_replication</c>.</summary>
/// <param name="ApplicationName"><c>application_name</c>: the standby's member name.</param>
/// <param name="State"><c>state</c>, such as <c>streaming</c>.</param>
/// <param name="SyncState"><c>sync_state</c>: <c>async</c>, <c>potential</c>, <c>sync</c> or <c>quorum</c>.</param>
/// <param name="WriteLsn"><c>write_lsn</c>; null when the standby has not reported it.</param>
/// <param name="FlushLsn"><c>flush_lsn</c>; null when the standby has not reported it.</param>
/// <param name="ReplayLsn"><c>replay_lsn</c>; null when the standby has not reported it.</param>
public sealed record WalSender(
    string ApplicationName, string State, string SyncState, Lsn? WriteLsn, Lsn? FlushLsn, Lsn? ReplayLsn)
{
    /// <summary>The position that a commit waits for at this level of <c>synchronous_commit</c>.</summary>
    /// <param name="synchronousCommit">
    /// The parameter's text; every level without a column of its own waits for the flush.
    /// </param>
    public Lsn? AcknowledgedLsn(string synchronousCommit) => synchronousCommit switch
    {
        "remote_apply" => ReplayLsn,
        "remote_write" => WriteLsn,
        _ => FlushLsn,
    };
}
