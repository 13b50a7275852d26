using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Npgsql;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres;
using Routing.Agent.Postgres.Verbs;
using Routing.Cluster;
using Routing.Cluster.Keys;
using Routing.Ha;
using Routing.Settings;
using Routing.TestKit;

[assembly: AssemblyFixture(typeof(Routing.TestKit.OrdinaryUser))]

namespace Routing.Agent.Tests.Postgres;

/// <summary>A real PostgreSQL server with its supervisor, in a directory of its own.</summary>
internal sealed class TestNode : IAsyncDisposable
{
    /// <summary>A password with everything that has a meaning somewhere on its way.</summary>
    public const string HardPassword = """it's a:b\c "d" $e 'f' #g%h""";

    private readonly TempDirectory _directory;
    private readonly AgentSettings _settings;
    private int _wakeUps;

    public TestNode(string name, string? topLevel = null, DynamicConfig? dynamicConfig = null, string? extra = null,
        string? bootstrap = null, string? initDb = null)
    {
        _directory = new TempDirectory("pg");
        Name = name;
        Port = FreePorts.Take();
        _settings = Read(name, topLevel, extra, bootstrap, initDb);
        Dynamic = dynamicConfig ?? Config("{}");
        Server = NewServer();
    }

    public string Name { get; }

    public int Port { get; }

    public LocalPostgresServer Server { get; private set; }

    public DynamicConfig Dynamic { get; }

    public string Data => _directory["data"];

    /// <summary>A path beside the data directory; DIRECTORY in the settings.</summary>
    public string this[string name] => _directory[name];

    public int WakeUps => Volatile.Read(ref _wakeUps);

    public HostPort Address => new("127.0.0.2", Port);

    public Member Member => new() { Name = Name, Address = Address };

    public Progress<string> Progress { get; } = new(_ => { });

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static DynamicConfig Config(string json) => DynamicConfigReader.Read(JsonElement.Parse(json), 1);

    /// <summary>A node that runs as a primary.</summary>
    public static async Task<TestNode> PrimaryAsync(
        string name, DynamicConfig? dynamicConfig = null, string? extra = null)
    {
        var namesPrograms = extra?.Contains("bin_name", StringComparison.Ordinal) ?? false;
        var node = new TestNode(
            name, dynamicConfig: dynamicConfig, extra: extra, initDb: namesPrograms ? null : InitDb.Program);
        return await OrDisposedAsync(node, async () =>
        {
            var made = await node.Server.BootstrapAsync(node.Progress, null, Cancellation);
            Assert.True(made.Ok, made.Detail);
        });
    }

    /// <summary>A copy of this node that streams from it through a slot.</summary>
    public async Task<TestNode> StandbyAsync(string name, DynamicConfig? dynamicConfig = null, string? extra = null)
    {
        var node = new TestNode(name, dynamicConfig: dynamicConfig, extra: extra);
        return await OrDisposedAsync(node, async () =>
        {
            await ExecuteAsync($"SELECT pg_create_physical_replication_slot('{name}', true)");
            var copied = await node.Server.CloneAsync(new ClonePlan(Member), node.Progress, Cancellation);
            Assert.True(copied.Ok, copied.Detail);
            Assert.Equal(StartOutcome.Running, await node.StartStandbyOfAsync(this));
            await node.UntilAsync(seen => seen.IsStreaming);
        });
    }

    public Task<StartOutcome> StartStandbyOfAsync(TestNode upstream) => Server.StartAsync(
        new StartPlan(AsPrimary: false, new Upstream(upstream.Address, Name), TimeSpan.FromSeconds(30)), Cancellation);

    public Task<StartOutcome> StartPrimaryAsync() =>
        Server.StartAsync(new StartPlan(AsPrimary: true, null, TimeSpan.FromSeconds(30)), Cancellation);

    public ValueTask<LocalPostgres> ObserveAsync() => Server.ObserveAsync(Cancellation);

    /// <summary>Observes until the condition holds.</summary>
    public async Task<LocalPostgres> UntilAsync(Func<LocalPostgres, bool> condition)
    {
        var seen = await ObserveAsync();
        await WaitUntil.TrueAsync(async () => condition(seen = await ObserveAsync()), TimeSpan.FromSeconds(30),
            $"{Name}: {seen}");
        return seen;
    }

    /// <summary>What an agent that starts anew on this node has.</summary>
    public async Task RestartAgentAsync()
    {
        await Server.DisposeAsync();
        Server = NewServer();
    }

    public async Task ExecuteAsync(string sql) => await ValueAsync(sql);

    /// <summary>A session of its own.</summary>
    public async Task<NpgsqlConnection> OpenAsync(string user = "boss", string password = HardPassword)
    {
        var settings = new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.2",
            Port = Port,
            Username = user,
            Password = password,
            Database = "postgres",
            Pooling = false,
        };
        var connection = new NpgsqlConnection(settings.ConnectionString);
        try
        {
            await connection.OpenAsync(Cancellation);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public async Task<string?> ValueAsync(string sql, string user = "boss", string password = HardPassword)
    {
        await using var connection = await OpenAsync(user, password);
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(await command.ExecuteScalarAsync(Cancellation), CultureInfo.InvariantCulture);
    }

    /// <summary>What pg_controldata prints.</summary>
    public async Task<Dictionary<string, string>> ControlDataAsync()
    {
        var command = new Command(Path.Combine(Binaries, "pg_controldata"), Data)
        {
            Environment = new Dictionary<string, string?> { ["LC_ALL"] = "C" },
        };
        var answer = await new CommandRunner(TimeProvider.System).CaptureAsync(command, Cancellation);
        return answer.Output.Split('\n').Select(line => line.Split(':', 2, StringSplitOptions.TrimEntries))
            .Where(pair => pair.Length == 2).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        await Server.StopAsync(new StopPlan(StopMode.Immediate), CancellationToken.None);
        await Server.DisposeAsync();
        _directory.Dispose();
    }

    /// <summary>A test whose setup fails must not leave a server behind.</summary>
    private static async Task<TestNode> OrDisposedAsync(TestNode node, Func<Task> setUp)
    {
        try
        {
            await setUp();
            return node;
        }
        catch
        {
            await node.DisposeAsync();
            throw;
        }
    }

    private LocalPostgresServer NewServer() => new(
        _settings, Dynamic, TimeProvider.System, () => Interlocked.Increment(ref _wakeUps), new TestLog());

    private AgentSettings Read(string name, string? topLevel, string? extra, string? bootstrap, string? initDb)
    {
        var text = $"""
            scope: demo
            name: {name}
            etcd3:
              hosts: 127.0.0.1:2379
            restapi:
              listen: 127.0.0.2:{FreePorts.Take()}
              connect_address: 127.0.0.2:8008
            bootstrap:
              dcs: {"{}"}
            {bootstrap}
              initdb:
              - encoding: UTF8
              - no-sync
              - data-checksums
              - auth-host: scram-sha-256
              - locale: C
              pg_hba:
              - host replication repl 127.0.0.0/8 scram-sha-256
              - host all all 127.0.0.0/8 scram-sha-256
            {topLevel}
            postgresql:
              listen: 127.0.0.2:{Port}
              connect_address: 127.0.0.2:{Port}
              data_dir: {Data}
              bin_dir: {Binaries}
              {(initDb is null ? "" : $"bin_name: {{initdb: {initDb}}}")}
              pgpass: {_directory["pgpass"]}
              use_pg_rewind: true
              basebackup:
              - no-sync
              authentication:
                superuser: {"{"}username: boss, password: {Quoted}{"}"}
                replication: {"{"}username: repl, password: {Quoted}{"}"}
                rewind: {"{"}username: rewinder, password: {Quoted}{"}"}
              parameters:
                unix_socket_directories: {_directory.Path}
                fsync: 'off'
                shared_buffers: 16MB
            {extra}
            """.Replace("DIRECTORY", _directory.Path, StringComparison.Ordinal);
        var path = _directory["agent.yml"];
        File.WriteAllText(path, text);
        var result = AgentSettingsReader.Load(path, SettingsEnvironment.Empty(AgentSettingsReader.EnvironmentPrefix));
        Assert.True(result.Settings is not null, string.Join('\n', result.Errors));
        return result.Settings;
    }

    private static string Quoted => $"'{HardPassword.Replace("'", "''", StringComparison.Ordinal)}'";

    public static string Binaries => PostgresUnderTest.Folder;

    /// <summary>Shows the server's log lines beside a failing test.</summary>
    private sealed class TestLog : ILogger<LocalPostgresServer>
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            TestContext.Current.TestOutputHelper?.WriteLine(formatter(state, exception));
    }
}
