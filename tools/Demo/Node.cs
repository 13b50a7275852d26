using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Demo;

/// <summary>One node: an agent with its PostgreSQL, on two free ports of 127.0.0.1.</summary>
internal sealed class Node : IDisposable
{
    public const string Password = "demo";
    private readonly DemoOptions _options;
    private readonly Uri _etcd;
    private Process? _agent;

    public Node(string name, Uri etcd, DemoOptions options)
    {
        (Name, _etcd, _options) = (name, etcd, options);
        Folder = Path.Combine(options.Folder, name);
        // A name that no other data directory has: what the fence keeps elsewhere is named after it.
        DataDirectory = Path.Combine(Folder, $"{Path.GetFileName(options.Folder)}-{name}");
        (Port, RestPort) = (FreePorts.Take(), FreePorts.Take());
        Directory.CreateDirectory(Folder);
        File.WriteAllText(ConfigurationFile, Configuration());
    }

    public string Name { get; }

    public string Folder { get; }

    public string DataDirectory { get; }

    /// <summary>PostgreSQL's port.</summary>
    public int Port { get; }

    /// <summary>The port of the agent's REST.</summary>
    public int RestPort { get; }

    public Uri Rest => new($"http://127.0.0.1:{RestPort}/");

    public string ConfigurationFile => Path.Combine(Folder, "agent.yml");

    /// <summary>What the agent and its PostgreSQL print.</summary>
    public string LogFile => Path.Combine(Folder, "agent.log");

    public string ConnectionString => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = Port,
        Username = "postgres",
        Password = Password,
        Database = "postgres",
        Pooling = false,
        Timeout = 2,
        CommandTimeout = 4,
        CancellationTimeout = -1,
        SslMode = SslMode.Disable,
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString;

    public bool AgentRuns => _agent is { HasExited: false };

    /// <summary>PostgreSQL's main process by its pid file; null: none.</summary>
    public int? Postmaster
    {
        get
        {
            var file = Path.Combine(DataDirectory, "postmaster.pid");
            return File.Exists(file)
                && int.TryParse(File.ReadLines(file).FirstOrDefault(), CultureInfo.InvariantCulture, out var id)
                ? id
                : null;
        }
    }

    /// <summary>Starts the agent, away from our terminal: Ctrl-C is ours alone.</summary>
    public void Start()
    {
        _agent?.Dispose();
        var start = new ProcessStartInfo("setsid")
        {
            UseShellExecute = false,
            WorkingDirectory = Folder,
            ArgumentList =
            {
                "sh", "-c", "exec \"$@\" </dev/null >>\"$0\" 2>&1", LogFile,
                Path.Combine(_options.Programs, "routing-agent"), ConfigurationFile,
            },
        };
        foreach (var name in start.Environment.Keys.Where(key => key.StartsWith("PATRONI_", StringComparison.Ordinal))
            .ToList())
        {
            start.Environment.Remove(name);   // the file alone decides
        }
        _agent = Process.Start(start) ?? throw new InvalidOperationException($"The agent of {Name} was not started.");
    }

    /// <summary>
    /// Asks the agent to end, as a service manager would, and waits until it and its PostgreSQL have.
    /// </summary>
    public async Task StopAsync(TimeSpan limit)
    {
        if (_agent is { HasExited: false } agent)
        {
            ProcessFolder.Signal(agent.Id, ProcessFolder.Terminate);
        }
        await WaitUntil.TrueAsync(() => ProcessFolder.Processes(Folder).Count == 0, limit,
            $"everything of node {Name} has ended");
    }

    /// <summary>Everything of this node is gone in one moment.</summary>
    public void Kill() => ProcessFolder.KillAtOnce(Folder);

    public void Dispose() => _agent?.Dispose();

    private string Configuration() => $"""
        scope: demo
        name: {Name}
        etcd3:
          hosts: {_etcd.Authority}
        restapi:
          listen: 127.0.0.1:{RestPort}
          connect_address: 127.0.0.1:{RestPort}
        bootstrap:
          dcs:
            ttl: 5
            loop_wait: 1
            retry_timeout: 1
            maximum_lag_on_failover: 1048576
            synchronous_mode: quorum
            failsafe_mode: true
            postgresql:
              use_pg_rewind: true
              use_slots: true
              parameters:
                max_connections: 50
                shared_buffers: 32MB
                dynamic_shared_memory_type: mmap
                max_wal_size: 256MB
                min_wal_size: 80MB
                log_line_prefix: '%m [%p] '
          initdb:
            - encoding: UTF8
            - data-checksums
          pg_hba:
            - host all all 127.0.0.1/32 scram-sha-256
            - host replication replicator 127.0.0.1/32 scram-sha-256
        postgresql:
          listen: 127.0.0.1:{Port}
          connect_address: 127.0.0.1:{Port}
          data_dir: {DataDirectory}
          bin_dir: {_options.PostgresPrograms}
          pgpass: {Path.Combine(Folder, "pgpass")}
          authentication:
            superuser: {"{"}username: postgres, password: {Password}{"}"}
            replication: {"{"}username: replicator, password: {Password}{"}"}
            rewind: {"{"}username: rewinder, password: {Password}{"}"}
          parameters:
            unix_socket_directories: {Folder}
        """;
}
