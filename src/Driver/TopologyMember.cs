using System.Globalization;

namespace Routing.Driver;

/// <summary>A member of the cluster, as the driver sees it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Host">Host of its PostgreSQL; null: it publishes none that can be used.</param>
/// <param name="Port">Its port; 0 without a host.</param>
/// <param name="Role">What it says that it is: primary, replica …</param>
/// <param name="State">The state of its PostgreSQL: running, starting …</param>
/// <param name="LagBytes">
/// Bytes of WAL that it has not replayed, as far as is known; null: unknown, or the leader.
/// </param>
public sealed record TopologyMember(string Name, string? Host, int Port, string Role, string State, long? LagBytes)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Name} ({Role}, {State}{(LagBytes is > 0 and var lag ? $", {lag} bytes behind" : "")})");
}
