using System.Globalization;
using System.Text.Json.Nodes;
using Npgsql;

namespace Routing.TestKit;

/// <summary>How to start a <see cref="ProxyProcess"/>.</summary>
public sealed record ProxyOptions
{
    /// <summary>More settings of the write listener, in YAML's flow form with a comma ahead.</summary>
    public string Write { get; init; } = "";

    /// <summary>More settings of the read listener, likewise.</summary>
    public string Read { get; init; } = "";

    /// <summary>All listeners, each on a line of its own, instead of those two.</summary>
    public string? Listeners { get; init; }

    /// <summary>Where the topology comes from, in YAML, instead of the cluster's etcd.</summary>
    public string? Source { get; init; }

    /// <summary>More YAML, at the top level; it may replace <c>timeouts</c>.</summary>
    public string More { get; init; } = "timeouts: {drain: 2}";

    /// <summary>Words ahead of the program, such as <c>env NAME=VALUE</c>; they must become the program.</summary>
    public IReadOnlyList<string> Prefix { get; init; } = [];

    /// <summary>Words behind the program and its file.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Takes the ports of another proxy.</summary>
    public ProxyProcess? Beside { get; init; }

    /// <summary>Waits until both ports have somewhere to go.</summary>
    public bool UntilReady { get; init; } = true;
}

/// <summary>A proxy process: a listener for writes, one for reads, an admin port.</summary>
public sealed class ProxyProcess : IAsyncDisposable
{
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(15) };
    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(20);
    private readonly TempDirectory _directory = new("proxy");
    private readonly string _scope;
    private readonly Uri _etcd;
    private OrdinaryProcess? _process;

    private ProxyProcess(string scope, Uri etcd, ProxyProcess? beside)
    {
        (_scope, _etcd) = (scope, etcd);
        WritePort = beside?.WritePort ?? FreePorts.Take();
        ReadPort = beside?.ReadPort ?? FreePorts.Take();
        AdminPort = beside?.AdminPort ?? FreePorts.Take();
    }

    /// <summary>The port that leads to the leader.</summary>
    public int WritePort { get; }

    /// <summary>The port that leads to replicas.</summary>
    public int ReadPort { get; }

    /// <summary>The admin port.</summary>
    public int AdminPort { get; }

    /// <summary>What it wrote to the console.</summary>
    public string Log => File.Exists(_directory["proxy.log"]) ? File.ReadAllText(_directory["proxy.log"]) : "";

    /// <summary>Its process.</summary>
    public int Id => _process!.Id;

    /// <summary>Its configuration file.</summary>
    public string ConfigFile => _directory["proxy.yml"];

    /// <summary>Starts one before a cluster, and waits until it serves both ports.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="options">More.</param>
    public static Task<ProxyProcess> StartAsync(TestCluster cluster, ProxyOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(cluster);
        return StartAsync(cluster.Scope, cluster.Etcd.Endpoint, options);
    }

    /// <summary>Starts one.</summary>
    /// <param name="scope">The cluster's name.</param>
    /// <param name="etcd">Its etcd.</param>
    /// <param name="options">More.</param>
    public static async Task<ProxyProcess> StartAsync(string scope, Uri etcd, ProxyOptions? options = null)
    {
        var chosen = options ?? new();
        var proxy = new ProxyProcess(scope, etcd, chosen.Beside);
        OrdinaryProcess.GiveAway(proxy._directory.Path);
        proxy.Configure(chosen);
        proxy._process = OrdinaryProcess.Start(
            proxy._directory["proxy.log"], proxy._directory.Path,
            [.. chosen.Prefix, Programs.Proxy, proxy.ConfigFile, .. chosen.Arguments]);
        if (chosen.UntilReady)
        {
            try
            {
                await proxy.UntilReadyAsync();
            }
            catch
            {
                await proxy.DisposeAsync();
                throw;
            }
        }
        return proxy;
    }

    /// <summary>Writes the configuration file; a SIGHUP makes a running proxy take it.</summary>
    public void Configure(ProxyOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var listeners = options.Listeners ?? string.Create(CultureInfo.InvariantCulture, $$"""
              write: {listen: "127.0.0.1:{{WritePort}}", role: primary{{options.Write}}}
              read: {listen: "127.0.0.1:{{ReadPort}}", role: replica{{options.Read}}}
            """);
        File.WriteAllText(ConfigFile, string.Create(CultureInfo.InvariantCulture, $$"""
            scope: {{_scope}}
            namespace: /service/
            {{options.Source ?? $"etcd3: {{hosts: {_etcd.Authority}}}"}}
            listeners:
            {{listeners}}
            admin:
              listen: 127.0.0.1:{{AdminPort}}
            {{options.More}}

            """));
    }

    /// <summary>Sends it SIGHUP and waits until it says what came of it.</summary>
    public async Task ReloadAsync()
    {
        var before = Reloads();
        Send(ProcessSignal.Hangup);
        await UntilAsync(() => Reloads() > before, "the proxy has looked at its file again");

        int Reloads() => Log.Split("was reloaded").Length + Log.Split("was not reloaded").Length;
    }

    /// <summary>Sends it a signal.</summary>
    public void Send(ProcessSignal signal) => _process!.Send(signal);

    /// <summary>Waits for its end.</summary>
    /// <returns>The exit code.</returns>
    public Task<int> WaitForExitAsync() => _process!.WaitForExitAsync(s_endLimit);

    /// <summary>Waits until both ports have somewhere to go.</summary>
    public Task UntilReadyAsync() => UntilAsync(IsReadyAsync, "the proxy is ready");

    /// <summary>Waits for a condition; when it does not come true, the proxy's log is told.</summary>
    public Task UntilAsync(Func<bool> condition, string what) => UntilAsync(() => Task.FromResult(condition()), what);

    /// <summary>Waits for a condition; when it does not come true, the proxy's log is told.</summary>
    public async Task UntilAsync(Func<Task<bool>> condition, string what)
    {
        try
        {
            await WaitUntil.TrueAsync(condition, TestCluster.Patience, what);
        }
        catch (TimeoutException late)
        {
            throw new TimeoutException($"{late.Message}\n{Log}");
        }
    }

    /// <summary>Whether <c>/readyz</c> says that both ports have somewhere to go.</summary>
    public async Task<bool> IsReadyAsync()
    {
        try
        {
            return (await GetAsync("/readyz")).Code == 200;
        }
        catch (Exception silent) when (silent is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }

    /// <summary>Any answer of the admin port.</summary>
    public async Task<(int Code, string Text)> GetAsync(string path)
    {
        using var answer = await s_http.GetAsync(Admin(path));
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    /// <summary>An address at the admin port.</summary>
    public Uri Admin(string path) => new($"http://127.0.0.1:{AdminPort}{path}");

    /// <summary>The document of <c>/routes</c>.</summary>
    public async Task<JsonNode> RoutesAsync() => JsonNode.Parse(await s_http.GetStringAsync(Admin("/routes")))!;

    /// <summary>The text of <c>/metrics</c>.</summary>
    public Task<string> MetricsAsync() => s_http.GetStringAsync(Admin("/metrics"));

    /// <summary>Connects through one of its ports as the superuser, without a pool.</summary>
    public static string ConnectionString(int port) =>
        Superuser.ConnectionString("127.0.0.1", port, commandTimeout: 20);

    /// <summary>A connection through the port.</summary>
    public static Task<NpgsqlConnection> OpenAsync(int port) => Superuser.OpenAsync(ConnectionString(port));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            if (!process.HasExited)
            {
                process.Send(ProcessSignal.Terminate);
            }
            _ = await process.WaitForExitAsync(s_endLimit);
            process.Dispose();
        }
        _directory.Dispose();
    }
}
