namespace Routing.Cluster;

/// <summary>The words that states and roles have in keys, REST answers and tables.</summary>
public static class WireNames
{
    private static readonly string[] s_states =
    [
        "initializing new cluster", "initdb failed", "running custom bootstrap script", "custom bootstrap failed",
        "creating replica", "running", "starting", "starting after custom bootstrap", "start failed", "restarting",
        "restart failed", "stopping", "stopped", "stop failed", "crashed",
    ];

    /// <summary>
    /// The state's words, for example <c>running</c>; <c>unknown</c> for <see cref="PostgresState.Unknown"/>.
    /// </summary>
    public static string ToWire(this PostgresState state) =>
        state == PostgresState.Unknown ? "unknown" : s_states[(int)state];

    /// <summary>The state with these words, or <see cref="PostgresState.Unknown"/>.</summary>
    public static PostgresState ParseState(string? text)
    {
        var index = Array.IndexOf(s_states, text);
        return index < 0 ? PostgresState.Unknown : (PostgresState)index;
    }

    /// <summary>The word of a restore's phase, for example <c>restoring</c>.</summary>
    public static string ToWire(this RestorePhase phase) => phase switch
    {
        RestorePhase.Requested => "requested",
        RestorePhase.Restoring => "restoring",
        RestorePhase.Promoting => "promoting",
        RestorePhase.Promoted => "promoted",
        _ => "failed",
    };

    /// <summary>The role's word, for example <c>primary</c>.</summary>
    public static string ToWire(this Role role) => role switch
    {
        Role.Primary => "primary",
        Role.StandbyLeader => "standby_leader",
        Role.Replica => "replica",
        Role.Demoted => "demoted",
        Role.Promoted => "promoted",
        Role.Uninitialized => "uninitialized",
        _ => "unknown",
    };

    /// <summary>
    /// The role with this word (<c>master</c> is the old word for primary), or <see cref="Role.Unknown"/>.
    /// </summary>
    public static Role ParseRole(string? text) => text switch
    {
        "primary" or "master" => Role.Primary,
        "standby_leader" => Role.StandbyLeader,
        "replica" => Role.Replica,
        "demoted" => Role.Demoted,
        "promoted" => Role.Promoted,
        "uninitialized" => Role.Uninitialized,
        _ => Role.Unknown,
    };
}
