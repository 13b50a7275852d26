using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Failover;

/// <summary>One agent with its PostgreSQL.</summary>
internal sealed class TestedNode : IAsyncDisposable
{
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(3) };
    private readonly Contender _contender;
    private readonly string _directory;
    private readonly string _postgres;
    private Process? _agent;

    public TestedNode(Contender contender, string scope, string name, string directory, string postgres, Uri etcd)
    {
        (_contender, _directory, _postgres, Name) = (contender, directory, postgres, name);
        Port = FreePorts.Take();
        Rest = new Uri($"http://127.0.0.1:{FreePorts.Take()}");
        Directory.CreateDirectory(directory);
        File.WriteAllText(Configuration, Yaml(scope, etcd));
        Server = new NpgsqlSlimDataSourceBuilder(
            $"Host=127.0.0.1;Port={Port};Username=postgres;Password=super;Database=postgres;Pooling=false;Timeout=1;"
            + "Command Timeout=5;Server Compatibility Mode=NoTypeLoading;Include Error Detail=true").Build();
    }

    public string Name { get; }

    public int Port { get; }

    public Uri Rest { get; }

    /// <summary>Opens connections straight to this PostgreSQL, each a new one.</summary>
    public NpgsqlDataSource Server { get; }

    /// <summary>The agent's process.</summary>
    public int AgentId => _agent?.Id ?? throw new InvalidOperationException($"The agent of {Name} does not run.");

    public bool IsStarted => _agent is { HasExited: false };

    private string Configuration => Path.Combine(_directory, "node.yml");

    private string Log => Path.Combine(_directory, "agent.log");

    private string DataDirectory => Path.Combine(_directory, "data");

    public void StartAgent()
    {
        _agent?.Dispose();
        // The shell only points the output to the log and becomes the agent: the process id stays.
        var start = new ProcessStartInfo("/bin/sh")
        {
            UseShellExecute = false,
            WorkingDirectory = _directory,
            ArgumentList = { "-c", "exec \"$@\" >>\"$0\" 2>&1", Log, _contender.Program, Configuration },
        };
        foreach (var name in start.Environment.Keys.Where(IsSetting).ToList())
        {
            start.Environment.Remove(name);
        }
        start.Environment["HOME"] = _directory;
        _agent = Process.Start(start) ?? throw new InvalidOperationException("The agent was not started.");

        static bool IsSetting(string name) =>
            name.StartsWith("PATRONI_", StringComparison.Ordinal) || name.StartsWith("PG", StringComparison.Ordinal);
    }

    public void StopAgent() => Linux.Signal(AgentId, Linux.SigTerm);

    public void KillAgent() => Linux.Signal(AgentId, Linux.SigKill);

    public void KillPostmaster()
    {
        var pid = int.Parse(File.ReadLines(Path.Combine(DataDirectory, "postmaster.pid")).First(),
            CultureInfo.InvariantCulture);
        if (!Linux.Signal(pid, Linux.SigKill))
        {
            throw new InvalidOperationException($"The postmaster of {Name} ({pid}) was gone before it was killed.");
        }
    }

    /// <summary>Whether a health page answers 200.</summary>
    public async Task<bool> IsAsync(string role, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await s_http.GetAsync(new Uri(Rest, role), cancellationToken);
            return answer.IsSuccessStatusCode;
        }
        catch (Exception silent) when (silent is HttpRequestException or TaskCanceledException
            && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    public async Task<T?> AskAsync<T>(string sql, CancellationToken cancellationToken)
    {
        await using var connection = await Server.OpenConnectionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T?)await command.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>The last lines of the agent's log.</summary>
    public IEnumerable<string> LastWords(int lines) =>
        File.Exists(Log) ? File.ReadLines(Log).TakeLast(lines).Select(line => $"{Name}: {line}") : [];

    public async Task WaitForEndAsync(CancellationToken cancellationToken)
    {
        if (_agent is { } agent)
        {
            await agent.WaitForExitAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _agent?.Dispose();
        _agent = null;
        await Server.DisposeAsync();
    }

    private string Yaml(string scope, Uri etcd) => $$"""
        scope: {{scope}}
        name: {{Name}}
        restapi: {listen: "127.0.0.1:{{Rest.Port}}", connect_address: "127.0.0.1:{{Rest.Port}}"}
        etcd3: {hosts: ["127.0.0.1:{{etcd.Port}}"]}
        bootstrap:
          dcs:
            ttl: {{_contender.Ttl}}
            loop_wait: {{_contender.LoopWait}}
            retry_timeout: {{_contender.RetryTimeout}}
            postgresql:
              use_pg_rewind: true
              parameters: {max_connections: 100, shared_buffers: 64MB}
          initdb: [{encoding: UTF8}, data-checksums]
          pg_hba: ["host replication all 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust"]
        postgresql:
          listen: "127.0.0.1:{{Port}}"
          connect_address: "127.0.0.1:{{Port}}"
          data_dir: {{DataDirectory}}
          bin_dir: {{_postgres}}
          pgpass: {{_directory}}/pgpass
          authentication:
            superuser: {username: postgres, password: super}
            replication: {username: replicator, password: replica}
            rewind: {username: rewinder, password: rewind}
          parameters: {unix_socket_directories: "{{_directory}}"}

        """;
}
