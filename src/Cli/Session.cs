using System.Globalization;
using Microsoft.Extensions.Logging;
using Routing.Cli.Configuration;
using Routing.Cli.Rest;
using Routing.Cli.Terminal;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Cli;

/// <summary>What one command works with. Configuration is read when it is first needed.</summary>
internal sealed partial class Session(CtlEnvironment environment, Lazy<CtlSettings> settings) : IDisposable
{
    private MemberApi? _api;

    public Screen Screen => environment.Screen;

    public TimeProvider Time => environment.Time;

    public Random Random => environment.Random;

    public CtlSettings Settings => settings.Value;

    public Prompts Prompts { get; } = new(environment.Screen);

    public ExternalProgram Programs { get; } = new(environment);

    public ILogger Logger { get; } = CreateLogger(environment);

    /// <summary>The members' REST API.</summary>
    public MemberApi Api => _api ??= new MemberApi(Settings.Api, Time);

    /// <summary>The cluster that is meant: the one named, else the configuration's scope.</summary>
    /// <exception cref="CtlException">Neither is there.</exception>
    public string ClusterName(string? argument) =>
        argument ?? Settings.Scope ?? throw new CtlException(
            "No cluster is named.", "Name it on the command line, or use a configuration with a scope.");

    /// <summary>
    /// The Citus group to show when none is named: the configured one; logged, because there may be others.
    /// </summary>
    public int? OnlyGroup()
    {
        if (Settings.ConfiguredGroup is { } group)
        {
            LogOnlyGroup(Logger, group);
        }
        return Settings.ConfiguredGroup;
    }

    /// <summary>Opens a cluster's keys.</summary>
    /// <param name="name">The scope.</param>
    /// <param name="group">The Citus group, or null.</param>
    public IClusterStore Open(string name, int? group) =>
        environment.OpenStore(
            Settings.Etcd, Settings.Namespace, CtlSettings.Scoped(name, group), Time,
            new StandardErrorLogger.Factory(Logger));

    /// <summary>Local time, as results are stamped with.</summary>
    public string Timestamp(bool withFraction = true) =>
        Time.GetLocalNow().ToString(withFraction ? "yyyy-MM-dd HH:mm:ss.fffff" : "yyyy-MM-dd HH:mm:ss",
            CultureInfo.InvariantCulture);

    /// <summary>Prints a hint when a cluster has no keys at all: most often its name is wrong.</summary>
    public void HintIfUnknown(ClusterSnapshot snapshot, string name, int? group)
    {
        if (snapshot is { Leader: null, Config: null, Members.Count: 0, Initialize.IsMissing: true })
        {
            Screen.WriteHint(
                $"There is nothing below {Settings.BasePath(name, group)}/ in the DCS: are the cluster's name and the "
                    + "namespace right?");
        }
    }

    /// <summary>Logs that a member gave no answer.</summary>
    public void LogNoAnswer(string problem) => LogNoAnswer(Logger, problem);

    /// <summary>Logs that a member's PostgreSQL gave no answer.</summary>
    public void LogNoServer(string member, string problem) => LogNoServer(Logger, member, problem);

    public void Dispose() => _api?.Dispose();

    private static StandardErrorLogger CreateLogger(CtlEnvironment environment) =>
        new(environment.Screen.Error, environment.Time, StandardErrorLogger.LevelFrom(environment.Variable));

    [LoggerMessage(EventId = 8002, Level = LogLevel.Error, Message = "The member's REST API failed: {Problem}")]
    private static partial void LogNoAnswer(ILogger logger, string problem);

    [LoggerMessage(
        EventId = 8004, Level = LogLevel.Warning, Message = "PostgreSQL of {Member} can't be reached: {Problem}")]
    private static partial void LogNoServer(ILogger logger, string member, string problem);

    [LoggerMessage(EventId = 8003, Level = LogLevel.Warning,
        Message = "Only Citus group {Group} of the configuration is shown; see --group for others")]
    private static partial void LogOnlyGroup(ILogger logger, int group);
}
