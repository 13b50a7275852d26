using System.Collections.Immutable;
using System.Globalization;
using System.Security;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Postgres.Configuration;
using Routing.Settings.Postgres;

namespace Routing.Agent.Postgres.Sessions;

/// <summary>Asks a server that runs already what <c>--generate-config</c> has to know.</summary>
internal static class RunningServerReader
{
    private const int DefaultPort = 5432;
    private const int TimeoutSeconds = 15;
    private const string SocketDirectory = "/var/run/postgresql";

    /// <summary>Reads it, as a superuser.</summary>
    /// <param name="dsn">libpq's form, a URL or <c>keyword=value</c>; null: libpq's variables alone.</param>
    /// <param name="variable">A variable of the environment by its name.</param>
    /// <param name="cancellationToken">Ends it early.</param>
    /// <exception cref="NpgsqlException">No answer, or a refusal.</exception>
    /// <exception cref="InvalidOperationException">The user is no superuser.</exception>
    /// <exception cref="FormatException">The DSN cannot be read.</exception>
    public static async Task<RunningServer> ReadAsync(
        string? dsn, Func<string, string?> variable, CancellationToken cancellationToken)
    {
        var login = Login(dsn, variable);
        var builder = new NpgsqlSlimDataSourceBuilder(login.ConnectionString);
        builder.EnableTransportSecurity().ConfigureTypeLoading(types => types.EnableTypeLoading(false));
        await using var source = builder.Build();
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        if (await TextAsync(connection, "SHOW is_superuser", cancellationToken) != "on")
        {
            throw new InvalidOperationException("The user is no superuser: only one sees all of the configuration.");
        }
        var set = await PairsAsync(
            """
            SELECT s.name::text, coalesce(
                -- what is shown of it while archive_mode is off is "(disabled)"
                (SELECT f.setting FROM pg_catalog.pg_file_settings f
                 WHERE s.name = 'archive_command' AND f.name = s.name ORDER BY f.seqno DESC LIMIT 1),
                pg_catalog.current_setting(s.name))
            FROM pg_catalog.pg_settings s
            WHERE s.source IN ('configuration file', 'command line', 'environment variable')
            """);
        var controlled = await PairsAsync($"""
            SELECT s.name::text, pg_catalog.current_setting(s.name) FROM pg_catalog.pg_settings s
            WHERE s.name IN ({string.Join(", ", ControlledParameters.Names.Select(SqlText.Literal))})
            """);
        var roles = await PairsAsync("""
            SELECT rolname::text, '' FROM pg_catalog.pg_roles WHERE rolreplication AND rolcanlogin AND NOT rolsuper
            """);
        var version = int.Parse(await ShowAsync("server_version_num"), CultureInfo.InvariantCulture);
        var data = await ShowAsync("data_directory");
        var (hbaFile, identFile) = (await ShowAsync("hba_file"), await ShowAsync("ident_file"));
        return new RunningServer
        {
            Parameters = set,
            Controlled = controlled,
            Version = version,
            ReplicationRoles = [.. roles.Keys],
            AdmitsReplication = await TextAsync(
                connection,
                """
                SELECT pg_catalog.bool_or(type <> 'local' AND 'replication' = ANY (database)
                    AND auth_method <> 'reject' AND coalesce(address, '') NOT IN ('127.0.0.1', '::1', 'localhost'))
                FROM pg_catalog.pg_hba_file_rules
                """,
                cancellationToken) == "True",
            DataDirectory = data,
            BinDirectory = BinDirectory(data),
            ListenAddresses = await ShowAsync("listen_addresses"),
            Port = int.Parse(await ShowAsync("port"), CultureInfo.InvariantCulture),
            ClusterName = await ShowAsync("cluster_name"),
            CanRewind = await ShowAsync("data_checksums") == "on" || await ShowAsync("wal_log_hints") == "on",
            HbaFile = hbaFile,
            IdentFile = identFile,
            Hba = await FileAsync(hbaFile),
            Ident = await FileAsync(identFile),
            Superuser = await TextAsync(connection, "SELECT current_user::text", cancellationToken),
            Password = login.Password,
        };

        async Task<ImmutableSortedDictionary<string, string>> PairsAsync(string query)
        {
            var found = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
            await using var command = new NpgsqlCommand(query, connection);
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            while (await rows.ReadAsync(cancellationToken))
            {
                found[rows.GetString(0)] = rows.GetString(1);
            }
            return found.ToImmutable();
        }

        Task<string> ShowAsync(string parameter) => TextAsync(connection, $"SHOW {parameter}", cancellationToken);

        Task<string> FileAsync(string path) => TextAsync(
            connection, $"SELECT pg_catalog.pg_read_file({SqlText.Literal(path)})", cancellationToken);
    }

    /// <summary>How to log in: what the DSN says, else libpq's variables, else its defaults.</summary>
    private static NpgsqlConnectionStringBuilder Login(string? dsn, Func<string, string?> variable)
    {
        var given = dsn is null ? [] : ConnectionText.ReadAny(dsn);
        var settings = new NpgsqlConnectionStringBuilder
        {
            Host = Value("host") ?? (Directory.Exists(SocketDirectory) ? SocketDirectory : "localhost"),
            Port = int.Parse(
                Value("port") ?? DefaultPort.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture),
            Username = Value("user") ?? Environment.UserName,
            Password = Value("password"),
            ApplicationName = "routing-agent",
            Timeout = TimeoutSeconds,
            CommandTimeout = TimeoutSeconds,
            Pooling = false,
            Enlist = false,
            GssEncryptionMode = GssEncryptionMode.Disable,
        };
        settings.Database = Value("dbname", "PGDATABASE") ?? settings.Username;
        if (Value("sslmode") is { } mode)
        {
            settings.SslMode = Enum.TryParse<SslMode>(
                mode.Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out var parsed)
                ? parsed
                : throw new FormatException($"sslmode {mode} is not known.");
        }
        if (Value("sslrootcert") is { } authority)
        {
            settings.RootCertificate = authority;
        }
        return settings;

        string? Value(string keyword, string? name = null) =>
            given.GetValueOrDefault(keyword)
                ?? (variable(name ?? $"PG{keyword.ToUpperInvariant()}") is { Length: > 0 } text ? text : null);
    }

    private static async Task<string> TextAsync(
        NpgsqlConnection connection, string query, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(query, connection);
        return Convert.ToString(
            await command.ExecuteScalarAsync(cancellationToken), CultureInfo.InvariantCulture) ?? "";
    }

    /// <summary>By the postmaster's program; null on another machine, or when its process belongs to others.</summary>
    private static string? BinDirectory(string dataDirectory)
    {
        try
        {
            var pid = File.ReadLines(Path.Combine(dataDirectory, "postmaster.pid")).FirstOrDefault();
            return Path.GetDirectoryName(new FileInfo($"/proc/{pid}/exe").LinkTarget);
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException or SecurityException)
        {
            return null;
        }
    }
}
