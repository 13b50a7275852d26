using System.Collections.Immutable;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>
/// The settings of PostgreSQL in force on this node: local file, dynamic configuration, role and version taken
/// together.
/// </summary>
public sealed record PostgresConfig
{
    /// <summary>
    /// Server parameters as text, controlled ones included, recovery parameters not; names in any case.
    /// </summary>
    public required ImmutableSortedDictionary<string, string> Parameters { get; init; }

    /// <summary>
    /// The parameters that also stand on the command line of <c>postgres</c>, so that ALTER SYSTEM can't change them.
    /// </summary>
    public required ImmutableSortedDictionary<string, string> ControlledParameters { get; init; }

    /// <summary>
    /// Recovery settings that the operator gave (<c>recovery_conf</c>, and recovery names among <c>parameters</c>).
    /// </summary>
    public required ImmutableSortedDictionary<string, string> RecoveryParameters { get; init; }

    /// <summary>The whole pg_hba.conf; null: leave the file alone.</summary>
    public ImmutableArray<string>? PgHba { get; init; }

    /// <summary>The whole pg_ident.conf; null: leave the file alone.</summary>
    public ImmutableArray<string>? PgIdent { get; init; }

    /// <summary>A file to include instead of the base configuration; null: the base configuration.</summary>
    public string? CustomConf { get; init; }

    /// <summary>Commands by event (on_start, on_stop, on_restart, on_reload, on_role_change).</summary>
    public ImmutableSortedDictionary<string, string> Callbacks { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>The ways to make a replica, in order. Default basebackup.</summary>
    public ImmutableArray<string> CreateReplicaMethods { get; init; } = ["basebackup"];

    /// <summary>The ways to copy the remote primary of a standby cluster, in order. Default basebackup.</summary>
    public ImmutableArray<string> RemoteReplicaMethods { get; init; } = ["basebackup"];

    /// <summary>The custom ones among both, by name.</summary>
    public ImmutableSortedDictionary<string, ReplicaMethodSettings> ReplicaMethods { get; init; } =
        ImmutableSortedDictionary<string, ReplicaMethodSettings>.Empty;

    /// <summary>Options of pg_basebackup, without those that the agent sets itself.</summary>
    public ImmutableArray<ProgramOption> BaseBackup { get; init; } = [];

    /// <summary>Options of pg_rewind.</summary>
    public ImmutableArray<ProgramOption> Rewind { get; init; } = [];

    /// <summary>Whether members have replication slots. Default on.</summary>
    public bool UseSlots { get; init; } = true;

    /// <summary>Whether a former primary is rewound. Default off.</summary>
    public bool UseRewind { get; init; }

    /// <summary>Whether a failed rewind is followed by a new clone. Default off.</summary>
    public bool RemoveDataDirectoryOnRewindFailure { get; init; }

    /// <summary>Whether a diverged node that can't be rewound is cloned anew. Default off.</summary>
    public bool RemoveDataDirectoryOnDivergedTimelines { get; init; }

    /// <summary>The agent connects by socket. Default off.</summary>
    public bool UseUnixSocket { get; init; }

    /// <summary>The wait for a start or a stop. Default 60 s.</summary>
    public TimeSpan StartStopTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Kerberos service name for connections between members.</summary>
    public string? KerberosServiceName { get; init; }

    /// <summary>A command that can forbid a promotion.</summary>
    public string? PrePromote { get; init; }

    /// <summary>A command run before PostgreSQL stops.</summary>
    public string? BeforeStop { get; init; }

    /// <summary>Values that were dropped or replaced, one sentence each, for the log.</summary>
    public ImmutableArray<string> Problems { get; init; } = [];
}
