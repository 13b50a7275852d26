using System.Collections.Immutable;

namespace Routing.Settings.Postgres;

/// <summary>
/// The <c>postgresql</c> settings that both the local file and the dynamic configuration may hold. Null: the source
/// does not set it.
/// </summary>
public sealed record SharedPostgresSettings
{
    /// <summary>No parameters.</summary>
    public static readonly ImmutableSortedDictionary<string, string> NoParameters =
        ImmutableSortedDictionary<string, string>.Empty.WithComparers(StringComparer.OrdinalIgnoreCase);

    /// <summary><c>parameters</c>, names in any case.</summary>
    public ImmutableSortedDictionary<string, string>? Parameters { get; init; }

    /// <summary><c>parameters_ROLE</c> by role (primary, replica, standby_leader).</summary>
    public ImmutableSortedDictionary<string, ImmutableSortedDictionary<string, string>> RoleParameters { get; init; } =
        ImmutableSortedDictionary<string, ImmutableSortedDictionary<string, string>>.Empty;

    /// <summary><c>pg_hba</c>: the whole file.</summary>
    public ImmutableArray<string>? PgHba { get; init; }

    /// <summary><c>pg_hba_ROLE</c> by role.</summary>
    public ImmutableSortedDictionary<string, ImmutableArray<string>> RolePgHba { get; init; } =
        ImmutableSortedDictionary<string, ImmutableArray<string>>.Empty;

    /// <summary><c>pg_ident</c>: the whole file.</summary>
    public ImmutableArray<string>? PgIdent { get; init; }

    /// <summary><c>pg_ident_ROLE</c> by role.</summary>
    public ImmutableSortedDictionary<string, ImmutableArray<string>> RolePgIdent { get; init; } =
        ImmutableSortedDictionary<string, ImmutableArray<string>>.Empty;

    /// <summary><c>recovery_conf</c>.</summary>
    public ImmutableSortedDictionary<string, string>? RecoveryConf { get; init; }

    /// <summary><c>custom_conf</c>: a file to include instead of the base configuration.</summary>
    public string? CustomConf { get; init; }

    /// <summary><c>callbacks</c> by event (on_start, on_stop, on_restart, on_reload, on_role_change).</summary>
    public ImmutableSortedDictionary<string, string>? Callbacks { get; init; }

    /// <summary><c>create_replica_methods</c>, in the order in which they are tried.</summary>
    public ImmutableArray<string>? CreateReplicaMethods { get; init; }

    /// <summary>The sections of custom replica methods, by name.</summary>
    public ImmutableSortedDictionary<string, ReplicaMethodSettings> ReplicaMethods { get; init; } =
        ImmutableSortedDictionary<string, ReplicaMethodSettings>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary><c>basebackup</c>: options of pg_basebackup, from a list or a map.</summary>
    public ImmutableArray<ProgramOption>? BaseBackup { get; init; }

    /// <summary><c>rewind</c>: options of pg_rewind.</summary>
    public ImmutableArray<ProgramOption>? Rewind { get; init; }

    /// <summary><c>use_pg_rewind</c>.</summary>
    public bool? UseRewind { get; init; }

    /// <summary><c>remove_data_directory_on_rewind_failure</c>.</summary>
    public bool? RemoveDataDirectoryOnRewindFailure { get; init; }

    /// <summary><c>remove_data_directory_on_diverged_timelines</c>.</summary>
    public bool? RemoveDataDirectoryOnDivergedTimelines { get; init; }

    /// <summary><c>use_unix_socket</c>: the agent's own connections.</summary>
    public bool? UseUnixSocket { get; init; }

    /// <summary><c>pg_ctl_timeout</c>: the wait for a start or a stop.</summary>
    public TimeSpan? StartStopTimeout { get; init; }

    /// <summary><c>krbsrvname</c>.</summary>
    public string? KerberosServiceName { get; init; }

    /// <summary><c>pre_promote</c>: a command that can forbid a promotion.</summary>
    public string? PrePromote { get; init; }

    /// <summary><c>before_stop</c>: a command run before PostgreSQL stops.</summary>
    public string? BeforeStop { get; init; }
}

/// <summary>A custom way to make a replica.</summary>
public sealed record ReplicaMethodSettings
{
    /// <summary><c>command</c>. Default: the method's name.</summary>
    public required string Command { get; init; }

    /// <summary><c>keep_data</c>: leave what is in the data directory.</summary>
    public bool KeepData { get; init; }

    /// <summary>
    /// <c>no_params</c>: call it without <c>--scope</c>, <c>--role</c>, <c>--datadir</c>, <c>--connstring</c>.
    /// </summary>
    public bool NoParameters { get; init; }

    /// <summary><c>no_leader</c>: the method works without a leader.</summary>
    public bool NoLeader { get; init; }

    /// <summary>Every other key, to be passed as <c>--key=value</c>.</summary>
    public ImmutableSortedDictionary<string, string> Arguments { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;
}
