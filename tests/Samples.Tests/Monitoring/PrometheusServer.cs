using System.Globalization;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Samples.Tests.Monitoring;

/// <summary>A real Prometheus that scrapes every other second.</summary>
internal sealed class PrometheusServer : IAsyncDisposable
{
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(30) };
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);
    private readonly TempDirectory _directory = new("prometheus");
    private readonly int _port = FreePorts.Take();
    private OrdinaryProcess? _process;

    /// <summary>Starts it, and waits until it answers.</summary>
    /// <param name="jobs">The targets by the name of their job.</param>
    /// <param name="rules">Alert rules as they are shipped.</param>
    public static async Task<PrometheusServer> StartAsync(
        IReadOnlyDictionary<string, IEnumerable<int>> jobs, string rules)
    {
        var server = new PrometheusServer();
        OrdinaryProcess.GiveAway(server._directory.Path);
        await File.WriteAllTextAsync(server._directory["rules.yml"], rules);
        var scrapes = jobs.Select(job => $$"""
              - job_name: {{job.Key}}
                static_configs: [{targets: [{{string.Join(", ", job.Value.Select(port => $"\"127.0.0.1:{port}\""))}}]}]
            """);
        await File.WriteAllTextAsync(server._directory["prometheus.yml"], $"""
            global: {"{"}scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s{"}"}
            rule_files: [rules.yml]
            scrape_configs:
            {string.Join('\n', scrapes)}
            """);
        server._process = OrdinaryProcess.Start(
            server._directory["log"], server._directory.Path, "prometheus",
            $"--config.file={server._directory["prometheus.yml"]}", $"--storage.tsdb.path={server._directory["data"]}",
            string.Create(CultureInfo.InvariantCulture, $"--web.listen-address=127.0.0.1:{server._port}"));
        try
        {
            await WaitUntil.TrueAsync(
                async () => (await s_http.GetAsync(server.Address("/-/ready"))).IsSuccessStatusCode, s_limit,
                () => $"Prometheus is ready: {File.ReadAllText(server._directory["log"])}");
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>The series that a query gives now.</summary>
    public async Task<IReadOnlyList<JsonObject>> QueryAsync(string query) =>
        await ResultAsync($"/api/v1/query?query={Uri.EscapeDataString(query)}");

    /// <summary>The series that a query gives between two times.</summary>
    public async Task<IReadOnlyList<JsonObject>> QueryAsync(string query, DateTimeOffset from, DateTimeOffset to) =>
        await ResultAsync(string.Create(CultureInfo.InvariantCulture,
            $"/api/v1/query_range?query={Uri.EscapeDataString(query)}&start={from.ToUnixTimeSeconds()}"
                + $"&end={to.ToUnixTimeSeconds()}&step=1"));

    /// <summary>The names of all metrics.</summary>
    public async Task<IReadOnlySet<string>> NamesAsync() =>
        (await AskAsync("/api/v1/label/__name__/values"))!.AsArray().Select(name => (string)name!).ToHashSet();

    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            await process.KillAsync(s_limit);
        }
        _directory.Dispose();
    }

    private async Task<IReadOnlyList<JsonObject>> ResultAsync(string path) =>
        [.. (await AskAsync(path))!["result"]!.AsArray().Select(series => series!.AsObject())];

    private async Task<JsonNode?> AskAsync(string path)
    {
        using var answer = await s_http.GetAsync(Address(path));
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode
            ? JsonNode.Parse(text)!["data"]
            : throw new InvalidOperationException($"{path}: {text}");
    }

    private Uri Address(string path) => new($"http://127.0.0.1:{_port}{path}");
}
