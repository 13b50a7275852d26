using System.Collections.Frozen;
using Routing.Cluster;

namespace Routing.Settings.Postgres;

/// <summary>
/// The parameters that steer recovery: PostgreSQL reads them from its configuration since 12, but they belong to a
/// node's role.
/// </summary>
public static class RecoveryParameterNames
{
    /// <summary>
    /// Their names, in any case; with those of before version 12 that are still written in configurations.
    /// </summary>
    public static FrozenSet<string> All { get; } = new[]
    {
        "archive_cleanup_command", "recovery_end_command", "recovery_min_apply_delay", "restore_command",
        "recovery_target", "recovery_target_action", "recovery_target_inclusive", "recovery_target_lsn",
        "recovery_target_name",
        "recovery_target_time", "recovery_target_timeline", "recovery_target_xid",
        "primary_conninfo", "primary_slot_name",
        "promote_trigger_file", "trigger_file", "standby_mode", "pause_at_recovery_target",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>The name that a server of this major version knows the parameter by; null: it has none.</summary>
    public static string? ForVersion(string name, int majorVersion) => name.ToLowerInvariant() switch
    {
        "standby_mode" or "pause_at_recovery_target" => null,
        "trigger_file" or "promote_trigger_file" =>
            ServerFeatures.HasPromoteTriggerFile(majorVersion) ? "promote_trigger_file" : null,
        var known => known,
    };
}
