using System.Collections.Immutable;
using System.Globalization;
using Routing.Cluster;
using Routing.Ha;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>
/// Takes local file, dynamic configuration, role and server version together into what PostgreSQL gets. Pure.
/// </summary>
public static class EffectivePostgresConfig
{
    /// <summary>The settings in force.</summary>
    /// <param name="settings">The local configuration.</param>
    /// <param name="dynamicConfig">The dynamic configuration; its default when the cluster has none yet.</param>
    /// <param name="role">
    /// The role that PostgreSQL is (to be) in: it chooses <c>parameters_ROLE</c>, <c>pg_hba_ROLE</c>,
    /// <c>pg_ident_ROLE</c>.
    /// </param>
    /// <param name="majorVersion">The server's major version, for example 17.</param>
    /// <param name="needsFeedback">
    /// Whether hot_standby_feedback has to be on for the sake of logical slots; null: as long as that is not known, it
    /// is on wherever it may be needed.
    /// </param>
    public static PostgresConfig Combine(
        AgentSettings settings, DynamicConfig dynamicConfig, Role role, int majorVersion, bool? needsFeedback = null)
    {
        var problems = ImmutableArray.CreateBuilder<string>();
        var local = settings.Postgres.Shared;
        var shared = DynamicPostgresSection.Read(dynamicConfig, problems);
        var roleName = RoleName(role);

        var wanted = Writable(
            SharedPostgresSettings.NoParameters
                .SetItems(Free(shared.Parameters))
                .SetItems(Free(local.Parameters))
                .SetItems(RoleParameters(local, shared, roleName, problems)),
            problems);
        var controlled = SharedPostgresSettings.NoParameters
            .SetItems(ControlledParameters.From(
                shared.Parameters ?? SharedPostgresSettings.NoParameters,
                (problem, instead) => problems.Add($"{problem}; {instead}")))
            .SetItem("listen_addresses", string.Join(',', settings.Postgres.ListenAddresses))
            .SetItem("port", settings.Postgres.Port.ToString(CultureInfo.InvariantCulture))
            .SetItem("cluster_name", settings.Scope);

        // Recovery settings written among the parameters belong to the recovery part; what recovery_conf says has
        // precedence.
        var recovery = Recovery(wanted, majorVersion)
            .SetItems(Recovery(local.RecoveryConf ?? shared.RecoveryConf ?? SharedPostgresSettings.NoParameters,
                majorVersion))
            .SetItems(Recovery(OfStandbyCluster(dynamicConfig.StandbyCluster, role), majorVersion));
        var parameters = wanted.RemoveRange(RecoveryParameterNames.All).SetItems(controlled);
        if (dynamicConfig.SynchronousMode != SynchronousMode.Off)
        {
            parameters = parameters.Remove("synchronous_standby_names");
        }
        if (needsFeedback ?? MayNeedFeedback(settings, dynamicConfig))
        {
            parameters = parameters.SetItem("hot_standby_feedback", "on");
        }
        var methods = MethodNames(local, shared);
        ImmutableArray<string> remoteMethods =
            dynamicConfig.StandbyCluster is { CreateReplicaMethods: { IsEmpty: false } named } ? named : ["basebackup"];

        return new PostgresConfig
        {
            Parameters = parameters,
            ControlledParameters =
                controlled.RemoveRange(controlled.Keys.Where(name => !ControlledParameters.OnCommandLine(name))),
            RecoveryParameters = recovery,
            PgHba = parameters.ContainsKey("hba_file")
                ? null
                : ForRole(local.RolePgHba, shared.RolePgHba, roleName) ?? local.PgHba ?? shared.PgHba,
            PgIdent = parameters.ContainsKey("ident_file")
                ? null
                : ForRole(local.RolePgIdent, shared.RolePgIdent, roleName) ?? local.PgIdent ?? shared.PgIdent,
            CustomConf = local.CustomConf ?? shared.CustomConf,
            Callbacks = local.Callbacks ?? shared.Callbacks ?? ImmutableSortedDictionary<string, string>.Empty,
            CreateReplicaMethods = methods,
            RemoteReplicaMethods = remoteMethods,
            ReplicaMethods = Methods([.. methods, .. remoteMethods], local, shared),
            BaseBackup = local.BaseBackup ?? shared.BaseBackup ?? [],
            Rewind = local.Rewind ?? shared.Rewind ?? [],
            UseSlots = dynamicConfig.UseSlots,
            UseRewind = local.UseRewind ?? shared.UseRewind ?? false,
            RemoveDataDirectoryOnRewindFailure =
                local.RemoveDataDirectoryOnRewindFailure ?? shared.RemoveDataDirectoryOnRewindFailure ?? false,
            RemoveDataDirectoryOnDivergedTimelines =
                local.RemoveDataDirectoryOnDivergedTimelines ?? shared.RemoveDataDirectoryOnDivergedTimelines ?? false,
            UseUnixSocket = local.UseUnixSocket ?? shared.UseUnixSocket ?? false,
            StartStopTimeout = local.StartStopTimeout ?? shared.StartStopTimeout ?? TimeSpan.FromSeconds(60),
            KerberosServiceName = local.KerberosServiceName ?? shared.KerberosServiceName,
            PrePromote = local.PrePromote ?? shared.PrePromote,
            BeforeStop = local.BeforeStop ?? shared.BeforeStop,
            Problems = problems.ToImmutable(),
        };
    }

    /// <summary>Whether one of the methods that make a replica needs nobody to copy from.</summary>
    public static bool CanCloneWithoutLeader(AgentSettings settings, DynamicConfig dynamicConfig)
    {
        var local = settings.Postgres.Shared;
        var shared = DynamicPostgresSection.Read(dynamicConfig, ImmutableArray.CreateBuilder<string>());
        return Methods(MethodNames(local, shared), local, shared).Values.Any(method => method.NoLeader);
    }

    private static ImmutableArray<string> MethodNames(SharedPostgresSettings local, SharedPostgresSettings shared) =>
        local.CreateReplicaMethods ?? shared.CreateReplicaMethods ?? ["basebackup"];

    /// <summary>
    /// A copied logical slot is usable only while the leader keeps the catalog rows that it needs, which it learns by
    /// feedback: from this member, or through it.
    /// </summary>
    private static bool MayNeedFeedback(AgentSettings settings, DynamicConfig dynamicConfig) =>
        dynamicConfig.UseSlots && (dynamicConfig.StandbyCluster is null || HaLoop.RemoteOf(dynamicConfig) is not null)
        && dynamicConfig.PermanentSlots.Values.Any(slot => slot.IsLogical) && !new MemberTags(settings.Tags).NoStream;

    private static IEnumerable<KeyValuePair<string, string>> Free(
        ImmutableSortedDictionary<string, string>? parameters) =>
        (parameters ?? SharedPostgresSettings.NoParameters)
            .Where(parameter => !ControlledParameters.Contains(parameter.Key))
            .Select(parameter => KeyValuePair.Create(parameter.Key.ToLowerInvariant(), parameter.Value));

    /// <summary>Without what no configuration file can hold: it would break all of it.</summary>
    private static ImmutableSortedDictionary<string, string> Writable(
        ImmutableSortedDictionary<string, string> parameters, ImmutableArray<string>.Builder problems)
    {
        var odd = DynamicPostgresSection.Unwritable(parameters);
        problems.AddRange(odd.Values.Select(problem => $"{problem}; it is left out"));
        return parameters.RemoveRange(odd.Keys);
    }

    private static IEnumerable<KeyValuePair<string, string>> RoleParameters(
        SharedPostgresSettings local, SharedPostgresSettings shared, string roleName,
        ImmutableArray<string>.Builder problems)
    {
        var given =
            local.RoleParameters.GetValueOrDefault(roleName) ?? shared.RoleParameters.GetValueOrDefault(roleName);
        foreach (var name in (given?.Keys ?? []).Where(ControlledParameters.Contains))
        {
            problems.Add(
                $"postgresql.parameters_{roleName}.{name}: has no effect: all members must agree on this parameter");
        }
        return Free(given);
    }

    /// <summary>Every member may need the remote archive; only the leader stays behind the remote primary.</summary>
    private static ImmutableSortedDictionary<string, string> OfStandbyCluster(StandbyClusterConfig? remote, Role role)
    {
        var given = SharedPostgresSettings.NoParameters;
        if (remote is null || role is Role.Primary or Role.Promoted)
        {
            return given;
        }
        given = With("restore_command", remote.RestoreCommand);
        given = With("archive_cleanup_command", remote.ArchiveCleanupCommand);
        return With("recovery_min_apply_delay", role == Role.StandbyLeader ? remote.RecoveryMinApplyDelay : null);

        ImmutableSortedDictionary<string, string> With(string name, string? value) =>
            value is null ? given : given.SetItem(name, value);
    }

    private static ImmutableSortedDictionary<string, string> Recovery(
        ImmutableSortedDictionary<string, string> parameters, int majorVersion)
    {
        var recovery = SharedPostgresSettings.NoParameters;
        foreach (var (name, value) in parameters.Where(parameter => RecoveryParameterNames.All.Contains(parameter.Key)))
        {
            if (RecoveryParameterNames.ForVersion(name, majorVersion) is { } known)
            {
                recovery = recovery.SetItem(known, value);
            }
        }
        return recovery;
    }

    private static ImmutableArray<string>? ForRole(
        ImmutableSortedDictionary<string, ImmutableArray<string>> local,
        ImmutableSortedDictionary<string, ImmutableArray<string>> shared,
        string roleName) =>
        local.TryGetValue(roleName, out var lines) || shared.TryGetValue(roleName, out lines) ? lines : null;

    private static ImmutableSortedDictionary<string, ReplicaMethodSettings> Methods(
        ImmutableArray<string> names, SharedPostgresSettings local, SharedPostgresSettings shared) =>
        names.Where(name => name != "basebackup").Distinct().ToImmutableSortedDictionary(
            name => name,
            name => local.ReplicaMethods.GetValueOrDefault(name)
                ?? shared.ReplicaMethods.GetValueOrDefault(name)
                ?? new ReplicaMethodSettings { Command = name },
            StringComparer.Ordinal);

    private static string RoleName(Role role) => role switch
    {
        Role.Primary or Role.Promoted => "primary",
        Role.StandbyLeader => "standby_leader",
        _ => "replica",
    };
}
