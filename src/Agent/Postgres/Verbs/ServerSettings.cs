using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Agent.Postgres.Programs;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>The local and the dynamic configuration of the server, and what follows from both for a role.</summary>
/// <param name="local">The local configuration.</param>
/// <param name="dynamicConfig">The dynamic configuration known so far; its default when there is none yet.</param>
/// <param name="programs">Say which parameters PostgreSQL takes.</param>
/// <param name="logger">Gets the problems of a configuration.</param>
internal sealed partial class ServerSettings(
    AgentSettings local, DynamicConfig dynamicConfig, PostgresPrograms programs, ILogger logger)
{
    private readonly ILogger _logger = logger;

    private volatile AgentSettings _local = local;
    private volatile DynamicConfig _dynamic = dynamicConfig;
    private volatile EffectiveSettings? _latest;

    private volatile object? _needsFeedback;
    private volatile bool _leadsStandbyCluster;

    /// <summary>The local configuration, as it was read last.</summary>
    public AgentSettings Local
    {
        get => _local;
        set => _local = value;
    }

    /// <summary>The dynamic configuration that was applied last.</summary>
    public DynamicConfig Dynamic
    {
        get => _dynamic;
        set => _dynamic = value;
    }

    /// <summary>
    /// Whether hot_standby_feedback has to be on for the sake of logical slots; null: the configuration alone tells.
    /// </summary>
    public bool? NeedsFeedback
    {
        get => (bool?)_needsFeedback;
        set => _needsFeedback = value;
    }

    /// <summary>Whether this standby leads a standby cluster: its settings are those of a standby leader.</summary>
    public bool LeadsStandbyCluster
    {
        get => _leadsStandbyCluster;
        set => _leadsStandbyCluster = value;
    }

    public PostgresSettings Postgres => _local.Postgres;

    public string DataDirectory => _local.Postgres.DataDirectory;

    public AuthenticationSettings Users => _local.Postgres.Authentication;

    /// <summary>With data in place the server program can be asked which parameters it knows.</summary>
    public bool HasData => File.Exists(Path.Combine(DataDirectory, "PG_VERSION"));

    /// <summary>The settings that were asked for last; null before the first time.</summary>
    public EffectiveSettings? Latest => _latest;

    /// <summary>The settings in force for the role that they were asked for last; a replica's at first.</summary>
    /// <exception cref="IOException">The server program cannot be asked.</exception>
    public ValueTask<EffectiveSettings> ForLatestRoleAsync(CancellationToken cancellationToken) =>
        ForAsync(_latest?.Role ?? Role.Replica, cancellationToken);

    /// <summary>The settings in force for a role.</summary>
    /// <exception cref="IOException">The server program cannot be asked.</exception>
    public async ValueTask<EffectiveSettings> ForAsync(Role role, CancellationToken cancellationToken)
    {
        role = role is Role.Replica or Role.StandbyLeader
            ? LeadsStandbyCluster ? Role.StandbyLeader : Role.Replica
            : role;
        var version = await programs.VersionAsync(cancellationToken);
        if (_latest is { } known && known.Role == role && known.Version == version
            && ReferenceEquals(known.Local, _local) && ReferenceEquals(known.Dynamic, _dynamic)
            && known.HasData == HasData && known.NeedsFeedback == NeedsFeedback)
        {
            return known;
        }
        var (settings, dynamic, feedback) = (_local, _dynamic, NeedsFeedback);
        var config = EffectivePostgresConfig.Combine(settings, dynamic, role, version / 10000, feedback);
        var refused = await programs.RefusedAsync(
            config.Parameters.Where(pair => !config.ControlledParameters.ContainsKey(pair.Key))
                .Concat(config.RecoveryParameters),
            DataDirectory, cancellationToken);
        if (refused.Count > 0)
        {
            config = config with
            {
                Parameters = config.Parameters.RemoveRange(refused.Keys),
                RecoveryParameters = config.RecoveryParameters.RemoveRange(refused.Keys),
                Problems = [.. config.Problems, .. refused.Select(pair =>
                    $"postgresql.parameters.{pair.Key}: PostgreSQL {version / 10000} refuses it ({pair.Value}); it is "
                        + "left out")],
            };
        }
        if (_latest is not { } before || !before.Config.Problems.SequenceEqual(config.Problems))
        {
            foreach (var problem in config.Problems)
            {
                LogProblem(problem);
            }
        }
        return _latest = new EffectiveSettings(role, version, settings, dynamic, config, HasData, feedback);
    }

    [LoggerMessage(EventId = 2012, Level = LogLevel.Warning, Message = "{Problem}")]
    private partial void LogProblem(string problem);
}
