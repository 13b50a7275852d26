using Npgsql;
using Routing.Cluster;

namespace Routing.Driver.Members;

/// <summary>A server that should accept writes does not.</summary>
/// <remarks>
/// Its cause is an <see cref="IOException"/>: by that Npgsql takes the server as gone and empties its pool.
/// </remarks>
internal sealed class WrongRoleException(
    string member, HostPort address, string reason = WrongRoleException.InRecovery) : NpgsqlException(
    $"{member} at {address} {reason}: it does not accept writes.", new IOException($"The server {reason}."))
{
    public const string InRecovery = "is in recovery";
    public const string ReadOnly = "has default_transaction_read_only switched on";
}
