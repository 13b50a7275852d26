using Npgsql;
using Routing.Cluster;

namespace Routing.Cli.Sql;

/// <summary>
/// How routingctl logs in to a member's PostgreSQL. What is null comes from the variables and files that libpq knows.
/// </summary>
/// <param name="Username">The user, else PGUSER, else the operating system's.</param>
/// <param name="Password">The password, else PGPASSWORD, else that of ~/.pgpass.</param>
/// <param name="Database">The database, else PGDATABASE, else the one named like the user.</param>
internal sealed record SqlLogin(string? Username, string? Password, string? Database)
{
    private const int ConnectTimeoutSeconds = 5;

    /// <summary>Connects.</summary>
    /// <exception cref="NpgsqlException">No answer, or a refusal.</exception>
    public async Task<NpgsqlConnection> OpenAsync(HostPort address, CancellationToken cancellationToken)
    {
        var settings = new NpgsqlConnectionStringBuilder
        {
            Host = address.Host,
            Port = address.Port,
            ApplicationName = "routingctl",
            Timeout = ConnectTimeoutSeconds,
            CommandTimeout = 0,
            Pooling = false,
            Enlist = false,
            GssEncryptionMode = GssEncryptionMode.Disable,
        };
        if (Username is not null)
        {
            settings.Username = Username;
        }
        if (Password is not null)
        {
            settings.Password = Password;
        }
        if (Database is not null)
        {
            settings.Database = Database;
        }
        var builder = new NpgsqlSlimDataSourceBuilder(settings.ConnectionString);
        builder.EnableTransportSecurity().ConfigureTypeLoading(types => types.EnableTypeLoading(false));
        // Without a pool the source holds nothing that has to outlive the connection.
        var source = builder.Build();
        return await source.OpenConnectionAsync(cancellationToken);
    }
}
