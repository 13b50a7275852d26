using Npgsql;

namespace Routing.TestKit;

/// <summary>How tests log in as the superuser.</summary>
public static class Superuser
{
    /// <summary>Connects without a pool, TLS and GSS.</summary>
    /// <param name="host">An address.</param>
    /// <param name="port">Of a server, or of what stands in front of servers.</param>
    /// <param name="commandTimeout">
    /// When a command is given up, in seconds. It says nothing about how fast a server has to be.
    /// </param>
    public static string ConnectionString(string host, int port, int commandTimeout) =>
        new NpgsqlConnectionStringBuilder
        {
            Host = host,
            Port = port,
            Username = "postgres",
            Password = "super",
            Database = "postgres",
            Pooling = false,
            Timeout = 15,
            CommandTimeout = commandTimeout,
            GssEncryptionMode = GssEncryptionMode.Disable,
            SslMode = SslMode.Disable,
        }.ConnectionString;

    /// <summary>Opens a connection; one that can't be opened is disposed of.</summary>
    public static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        var connection = new NpgsqlConnection(connectionString);
        try
        {
            await connection.OpenAsync();
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }
}
