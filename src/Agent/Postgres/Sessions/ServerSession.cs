using System.Globalization;
using Npgsql;
using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Sessions;

/// <summary>One connection to a server, ours or another member's.</summary>
internal sealed class ServerSession : IAsyncDisposable
{
    /// <summary>
    /// Role statements carry passwords: nothing of them may reach the server's log, and no standby is waited for.
    /// </summary>
    public const string Quiet =
        "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=log "
        + "-c synchronous_commit=local -c statement_timeout=0";

    /// <summary>The loop's own question: must not wait for anything.</summary>
    public const string Heartbeat = "-c statement_timeout=2000";

    /// <summary>Commands that may take their time, such as a checkpoint.</summary>
    public const string Patient = "-c statement_timeout=0 -c synchronous_commit=local";

    private const int ConnectTimeoutSeconds = 3;

    /// <summary>
    /// The server's own limit holds for statements; this one for a server, or a network, that does not answer at all.
    /// </summary>
    private const int AnswerTimeoutSeconds = 5;

    private readonly NpgsqlDataSource _source;

    private ServerSession(NpgsqlDataSource source, NpgsqlConnection connection) =>
        (_source, Connection) = (source, connection);

    public NpgsqlConnection Connection { get; }

    /// <summary>Connects.</summary>
    /// <exception cref="NpgsqlException">It did not answer, or refused us.</exception>
    public static async Task<ServerSession> OpenAsync(
        HostPort address, PostgresUser user, string database, string application, string options,
        CancellationToken cancellationToken)
    {
        var builder =
            new NpgsqlSlimDataSourceBuilder(Settings(address, user, database, application, options).ConnectionString);
        builder.EnableTransportSecurity().ConfigureTypeLoading(types => types.EnableTypeLoading(false));
        var source = builder.Build();
        try
        {
            return new ServerSession(source, await source.OpenConnectionAsync(cancellationToken));
        }
        catch
        {
            await source.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs one statement as it stands.</summary>
    public async Task ExecuteAsync(string statement, CancellationToken cancellationToken)
    {
        // A batch is not looked into: no parameters are searched, no semicolons.
        await using var batch = new NpgsqlBatch(Connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand(statement));
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The first column of the first row, as text; null for none.</summary>
    public async Task<string?> TextAsync(string query, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(query, Connection);
        return await command.ExecuteScalarAsync(cancellationToken) switch
        {
            null or DBNull => null,
            var value => Convert.ToString(value, CultureInfo.InvariantCulture),
        };
    }

    public async ValueTask DisposeAsync()
    {
        await Connection.DisposeAsync();
        await _source.DisposeAsync();
    }

    /// <summary>
    /// The connection string for the replication protocol, which takes no options and has no time limit of its own.
    /// </summary>
    internal static string SettingsForReplication(HostPort address, PostgresUser user, string application)
    {
        var settings = Settings(address, user, "", application, "");
        settings.Remove("Database");
        settings.Remove("Options");
        settings.Remove("Command Timeout");
        return settings.ConnectionString;
    }

    private static NpgsqlConnectionStringBuilder Settings(
        HostPort address, PostgresUser user, string database, string application, string options)
    {
        var settings = new NpgsqlConnectionStringBuilder
        {
            Host = address.Host,
            Port = address.Port,
            Username = user.Username,
            Password = user.Password,
            Database = database,
            ApplicationName = application,
            Options = options,
            Timeout = ConnectTimeoutSeconds,
            CommandTimeout = options == Heartbeat ? AnswerTimeoutSeconds : 0,
            // A server that does not answer must not be waited for a second time.
            CancellationTimeout = -1,
            Pooling = false,
            Enlist = false,
            TcpKeepAlive = true,
            TcpKeepAliveTime = 10,
            TcpKeepAliveInterval = 5,
            GssEncryptionMode = GssEncryptionMode.Disable,
        };
        foreach (var (keyword, value) in user.Options)
        {
            Apply(settings, keyword, value);
        }
        if (address.Host.StartsWith('/'))
        {
            settings.SslMode = SslMode.Disable;
            // A Unix domain socket refuses the options of TCP, and Npgsql then fails to connect.
            (settings.TcpKeepAlive, settings.TcpKeepAliveTime, settings.TcpKeepAliveInterval) = (false, 0, 0);
        }
        return settings;
    }

    private static void Apply(NpgsqlConnectionStringBuilder settings, string keyword, string value)
    {
        switch (keyword)
        {
            case "sslmode":
                settings.SslMode = value switch
                {
                    "disable" => SslMode.Disable,
                    "allow" => SslMode.Allow,
                    "require" => SslMode.Require,
                    "verify-ca" => SslMode.VerifyCA,
                    "verify-full" => SslMode.VerifyFull,
                    _ => SslMode.Prefer,
                };
                break;
            case "sslcert":
                settings.SslCertificate = value;
                break;
            case "sslkey":
                settings.SslKey = value;
                break;
            case "sslpassword":
                settings.SslPassword = value;
                break;
            case "sslrootcert":
                settings.RootCertificate = value;
                break;
            case "channel_binding":
                settings.ChannelBinding = value switch
                {
                    "disable" => ChannelBinding.Disable,
                    "require" => ChannelBinding.Require,
                    _ => ChannelBinding.Prefer,
                };
                break;
            case "sslnegotiation":
                settings.SslNegotiation = value == "direct" ? SslNegotiation.Direct : SslNegotiation.Postgres;
                break;
            case "gssencmode":
                settings.GssEncryptionMode = value == "require" ? GssEncryptionMode.Require : GssEncryptionMode.Disable;
                break;
            default:
                break;   // sslcrl, sslcrldir: lists of revoked certificates are libpq's; .NET asks the issuer
        }
    }
}
