using Npgsql;
using Routing.Cluster;

namespace Routing.Driver.Members;

/// <summary>A server that should be the primary said at login that it is in recovery.</summary>
/// <remarks>Its cause is an <see cref="IOException"/>: by that Npgsql takes the server as gone and empties its pool.</remarks>
internal sealed class WrongRoleException(string member, HostPort address) : NpgsqlException(
    $"{member} at {address} is in recovery: it does not accept writes.", new IOException("The server is in recovery."));
