using Routing.Cluster.Text;

namespace Routing.Cluster;

/// <summary>When a restart by request takes place at all.</summary>
/// <param name="Role">Only in this role: <c>primary</c>, <c>standby_leader</c> or <c>replica</c>; null: in any.</param>
/// <param name="PostgresVersion">
/// Only while the server is older than this, for example <c>15.8</c>; null: whatever it is.
/// </param>
/// <param name="RestartPending">Only when a changed parameter waits for a restart.</param>
public sealed record RestartFilter(string? Role, string? PostgresVersion, bool RestartPending)
{
    /// <summary>Whatever the server is.</summary>
    public static readonly RestartFilter None = new(null, null, false);

    /// <summary>Why a server does not meet it; null when it does.</summary>
    /// <param name="role">Its role, as published.</param>
    /// <param name="version">Its <c>server_version_num</c>; 0: not known, which meets no version.</param>
    /// <param name="isPending">A changed parameter waits for a restart.</param>
    public string? Objection(Role role, int version, bool isPending) => this switch
    {
        { Role: { } wanted } when wanted != role.ToWire() => $"its role is {role.ToWire()}, not {wanted}",
        { PostgresVersion: { } newer } when !PostgresVersionText.TryParse(newer, out var number) || version == 0
            || version >= number =>
            $"its version is {version}, not below {newer}",
        { RestartPending: true } when !isPending => "no parameter waits for a restart",
        _ => null,
    };
}
