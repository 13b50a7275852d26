using System.Collections.Immutable;
using Routing.Agent.Config;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>The agent's own sessions on the local server.</summary>
internal sealed class LocalConnections(ServerSettings settings, Postmaster postmaster)
{
    /// <summary>Where they go: the socket, or an address that the server listens on.</summary>
    public HostPort AddressOf(PostmasterFile file, PostgresConfig config)
    {
        var port = file.Port > 0 ? file.Port : settings.Postgres.Port;
        if (config.UseUnixSocket)
        {
            var directory = config.Parameters.GetValueOrDefault("unix_socket_directories")?.Split(',')[0].Trim();
            directory = string.IsNullOrEmpty(directory) ? file.SocketDirectory : directory;
            if (directory.Length > 0)
            {
                return new HostPort(directory, port);
            }
        }
        return new HostPort(HostOf(settings.Postgres.ListenAddresses), port);
    }

    /// <summary>Opens a session of the superuser.</summary>
    /// <param name="options">Its limits: one of the constants of <see cref="ServerSession"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="database">Null: the database of the settings.</param>
    /// <exception cref="IOException">There is no server.</exception>
    /// <exception cref="Npgsql.NpgsqlException">It refuses, or does not answer.</exception>
    public async Task<ServerSession> OpenAsync(
        string options, CancellationToken cancellationToken, string? database = null)
    {
        var process = postmaster.Find() ?? throw new IOException("PostgreSQL is not running.");
        var file =
            postmaster.ReadFile(process) ?? throw new IOException("PostgreSQL has not written postmaster.pid yet.");
        var config = (await settings.ForLatestRoleAsync(cancellationToken)).Config;
        return await ServerSession.OpenAsync(
            AddressOf(file, config), settings.Users.Superuser, database ?? settings.Postgres.Database, "Patroni",
            options, cancellationToken);
    }

    private static string HostOf(ImmutableArray<string> addresses)
    {
        if (addresses.Any(address => address is "*" or "0.0.0.0" or "localhost" or "127.0.0.1"))
        {
            return "127.0.0.1";
        }
        return addresses.FirstOrDefault(address => address is "::" or "::1") is null ? addresses[0] : "::1";
    }
}
