using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>How one of the agent's users connects: the libpq keywords of an <c>authentication</c> entry.</summary>
public sealed record PostgresUser
{
    /// <summary><c>username</c>.</summary>
    public required string Username { get; init; }

    /// <summary><c>password</c>; null: peer, certificate or Kerberos.</summary>
    public string? Password { get; init; }

    /// <summary>The other keywords by their libpq names: sslmode, sslcert, sslkey, sslrootcert, sslcrl, sslpassword,
    /// sslcrldir, gssencmode, channel_binding, sslnegotiation. Only those that were given.</summary>
    public ImmutableSortedDictionary<string, string> Options { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>The options that libpq of this major version understands.</summary>
    public IEnumerable<KeyValuePair<string, string>> OptionsFor(int majorVersion) =>
        Options.Where(option => ServerFeatures.HasKeyword(majorVersion, option.Key));

    /// <summary>The keywords that <see cref="Options"/> may hold.</summary>
    internal static ImmutableArray<string> Keywords { get; } =
    [
        "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslcrldir", "gssencmode",
        "channel_binding",
        "sslnegotiation",
    ];

    /// <summary>The values that libpq takes for a keyword; empty: any text.</summary>
    internal static ImmutableArray<string> WordsOf(string keyword) => keyword switch
    {
        "sslmode" => ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        "gssencmode" or "channel_binding" => ["disable", "prefer", "require"],
        "sslnegotiation" => ["postgres", "direct"],
        _ => [],
    };

    /// <summary>Without the password.</summary>
    public override string ToString() => $"{nameof(PostgresUser)} {{ Username = {Username} }}";
}

/// <summary><c>postgresql.authentication</c>.</summary>
public sealed record AuthenticationSettings
{
    /// <summary><c>superuser</c>.</summary>
    public required PostgresUser Superuser { get; init; }

    /// <summary><c>replication</c>.</summary>
    public required PostgresUser Replication { get; init; }

    /// <summary><c>rewind</c>; null: not configured.</summary>
    public PostgresUser? Rewind { get; init; }

    /// <summary>Who rewinds: <see cref="Rewind"/>, else the superuser.</summary>
    public PostgresUser RewindOrSuperuser => Rewind ?? Superuser;
}

/// <summary>The names of PostgreSQL's programs.</summary>
public sealed record ProgramNames
{
    /// <summary>Default <c>pg_ctl</c>.</summary>
    public string PgCtl { get; init; } = "pg_ctl";

    /// <summary>Default <c>initdb</c>.</summary>
    public string InitDb { get; init; } = "initdb";

    /// <summary>Default <c>pg_controldata</c>.</summary>
    public string PgControlData { get; init; } = "pg_controldata";

    /// <summary>Default <c>pg_basebackup</c>.</summary>
    public string PgBaseBackup { get; init; } = "pg_basebackup";

    /// <summary>Default <c>postgres</c>.</summary>
    public string Postgres { get; init; } = "postgres";

    /// <summary>Default <c>pg_isready</c>.</summary>
    public string PgIsReady { get; init; } = "pg_isready";

    /// <summary>Default <c>pg_rewind</c>.</summary>
    public string PgRewind { get; init; } = "pg_rewind";
}

/// <summary>
/// <c>postgresql</c>: what only this node's file says, and under <see cref="Shared"/> what the cluster may say too.
/// </summary>
public sealed record PostgresSettings
{
    /// <summary>The hosts of <c>listen</c>, as <c>listen_addresses</c> wants them; <c>*</c> for all.</summary>
    public required ImmutableArray<string> ListenAddresses { get; init; }

    /// <summary>The port of <c>listen</c>.</summary>
    public required int Port { get; init; }

    /// <summary><c>connect_address</c>: published in the member key as <c>conn_url</c>.</summary>
    public required HostPort ConnectAddress { get; init; }

    /// <summary><c>proxy_address</c>: published as <c>proxy_url</c>; null: none.</summary>
    public HostPort? ProxyAddress { get; init; }

    /// <summary><c>data_dir</c>, absolute. Not reloadable.</summary>
    public required string DataDirectory { get; init; }

    /// <summary><c>config_dir</c>. Default: the data directory. Not reloadable.</summary>
    public required string ConfigDirectory { get; init; }

    /// <summary><c>config_base_name</c>. Default <c>postgresql</c>.</summary>
    public string ConfigBaseName { get; init; } = "postgresql";

    /// <summary><c>bin_dir</c>; null: the PATH. Not reloadable.</summary>
    public string? BinDirectory { get; init; }

    /// <summary><c>bin_name</c>.</summary>
    public ProgramNames Programs { get; init; } = new();

    /// <summary><c>pgpass</c>. Default <c>~/pgpass</c>. Not reloadable.</summary>
    public required string PasswordFile { get; init; }

    /// <summary>
    /// <c>database</c>: where the agent connects to, and the path of <c>conn_url</c>. Default <c>postgres</c>.
    /// </summary>
    public string Database { get; init; } = "postgres";

    /// <summary><c>authentication</c>.</summary>
    public required AuthenticationSettings Authentication { get; init; }

    /// <summary>What may stand in the dynamic configuration as well; these values win.</summary>
    public SharedPostgresSettings Shared { get; init; } = new();
}
