using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;

namespace Routing.TestKit;

/// <summary>A proxy in front of a <see cref="TestCluster"/>: a listener for writes, one for reads, an admin port.</summary>
public sealed class ProxyProcess : IAsyncDisposable
{
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(5) };
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(20);
    private readonly TempDirectory _directory = new("proxy");
    private OrdinaryProcess? _process;

    private ProxyProcess()
    {
    }

    /// <summary>The port that leads to the leader.</summary>
    public int WritePort { get; } = FreePorts.Take();

    /// <summary>The port that leads to replicas.</summary>
    public int ReadPort { get; } = FreePorts.Take();

    /// <summary>The admin port.</summary>
    public int AdminPort { get; } = FreePorts.Take();

    /// <summary>What it wrote to the console.</summary>
    public string Log => File.Exists(_directory["proxy.log"]) ? File.ReadAllText(_directory["proxy.log"]) : "";

    /// <summary>Its process.</summary>
    public int Id => _process!.Id;

    /// <summary>Starts one, and waits until it serves both ports.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="readOptions">More settings of the read listener, in YAML's flow form with a comma ahead.</param>
    public static async Task<ProxyProcess> StartAsync(TestCluster cluster, string readOptions = "")
    {
        var proxy = new ProxyProcess();
        OrdinaryProcess.GiveAway(proxy._directory.Path);
        await File.WriteAllTextAsync(proxy._directory["proxy.yml"], string.Create(CultureInfo.InvariantCulture, $$"""
            scope: {{cluster.Scope}}
            namespace: /service/
            etcd3:
              hosts: {{cluster.Etcd.Endpoint.Authority}}
            listeners:
              write: {listen: "127.0.0.1:{{proxy.WritePort}}", role: primary}
              read: {listen: "127.0.0.1:{{proxy.ReadPort}}", role: replica{{readOptions}}}
            admin:
              listen: 127.0.0.1:{{proxy.AdminPort}}
            timeouts: {drain: 2}

            """));
        proxy._process = OrdinaryProcess.Start(
            proxy._directory["proxy.log"], proxy._directory.Path, Programs.Proxy, proxy._directory["proxy.yml"]);
        await proxy.UntilReadyAsync();
        return proxy;
    }

    /// <summary>Waits until both ports have somewhere to go.</summary>
    public async Task UntilReadyAsync()
    {
        try
        {
            await WaitUntil.TrueAsync(IsReadyAsync, TestCluster.Patience, "the proxy is ready");
        }
        catch (TimeoutException late)
        {
            throw new TimeoutException($"{late.Message}\n{Log}");
        }
    }

    /// <summary>The document of <c>/routes</c>.</summary>
    public async Task<JsonNode> RoutesAsync() => JsonNode.Parse(await Http.GetStringAsync(new Uri($"http://127.0.0.1:{AdminPort}/routes")))!;

    /// <summary>The text of <c>/metrics</c>.</summary>
    public Task<string> MetricsAsync() => Http.GetStringAsync(new Uri($"http://127.0.0.1:{AdminPort}/metrics"));

    /// <summary>Connects through one of its ports as the superuser, without a pool.</summary>
    public static string ConnectionString(int port) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = port,
        Username = "postgres",
        Password = "super",
        Database = "postgres",
        Pooling = false,
        Timeout = 15,
        CommandTimeout = 20,
        GssEncryptionMode = GssEncryptionMode.Disable,
        SslMode = SslMode.Disable,
    }.ConnectionString;

    /// <summary>A connection through the port.</summary>
    public static async Task<NpgsqlConnection> OpenAsync(int port)
    {
        var connection = new NpgsqlConnection(ConnectionString(port));
        await connection.OpenAsync();
        return connection;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            process.Send(ProcessSignal.Terminate);
            _ = await process.WaitForExitAsync(EndLimit);
            process.Dispose();
        }
        _directory.Dispose();
    }

    /// <summary>Whether <c>/readyz</c> says that both ports have somewhere to go.</summary>
    public async Task<bool> IsReadyAsync()
    {
        try
        {
            using var answer = await Http.GetAsync(new Uri($"http://127.0.0.1:{AdminPort}/readyz"));
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
