using Microsoft.Extensions.Logging;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Configuration;
using Routing.Agent.Postgres.Files;
using Routing.Agent.Postgres.Programs;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>
/// What the verbs on the local server share: its settings, programs, files, processes and connections, and what is
/// remembered of it.
/// </summary>
internal sealed class ServerContext : IAsyncDisposable
{
    /// <summary>The context of these settings. Nothing is touched before the first verb.</summary>
    /// <param name="settings">The local configuration.</param>
    /// <param name="dynamicConfig">The dynamic configuration known so far; its default when there is none yet.</param>
    /// <param name="time">For all waiting.</param>
    /// <param name="wakeUp">
    /// Called within milliseconds when the postmaster ends, on a thread of the pool; must return at once.
    /// </param>
    /// <param name="logger">For what happens to the server.</param>
    public ServerContext(
        AgentSettings settings, DynamicConfig dynamicConfig, TimeProvider time, Action wakeUp, ILogger logger)
    {
        (Time, Logger, WakeUp) = (time, logger, wakeUp);
        Commands = new CommandRunner(time);
        Programs = new PostgresPrograms(settings.Postgres, Commands);
        Runner = new ProgramRunner(Commands, logger);
        Settings = new ServerSettings(settings, dynamicConfig, Programs, logger);
        Postmaster = new Postmaster(settings.Postgres.DataDirectory, time, wakeUp, logger);
        Notes = new ConfigurationLog(logger);
        Files = new ConfigurationFiles(settings.Postgres, new ConfigurationNotes(Notes.Overruled, Notes.Refused));
        Connections = new LocalConnections(Settings, Postmaster);
        Heartbeat = new HeartbeatConnection(time);
        Damage = new DamageMark(settings.Postgres.DataDirectory);
        Output = new ServerOutput(settings, time, logger);
    }

    public TimeProvider Time { get; }

    public ILogger Logger { get; }

    /// <summary>Wakes the loop; see the constructor.</summary>
    public Action WakeUp { get; }

    public CommandRunner Commands { get; }

    public PostgresPrograms Programs { get; }

    public ProgramRunner Runner { get; }

    public ServerSettings Settings { get; }

    public Postmaster Postmaster { get; }

    public ConfigurationFiles Files { get; }

    public ConfigurationLog Notes { get; }

    public LocalConnections Connections { get; }

    /// <summary>The connection that the loop looks through.</summary>
    public HeartbeatConnection Heartbeat { get; }

    public DamageMark Damage { get; }

    public ServerOutput Output { get; }

    public ServerMemory Memory { get; } = new();

    public string DataDirectory => Settings.DataDirectory;

    public AuthenticationSettings Users => Settings.Users;

    /// <summary>Where a new cluster or a copy is made.</summary>
    public DataFilling Filling => new(DataDirectory);

    /// <summary>Ends what runs beside the server. The server itself goes on.</summary>
    public async ValueTask DisposeAsync()
    {
        await Heartbeat.DisposeAsync();
        await Output.DisposeAsync();
    }
}
