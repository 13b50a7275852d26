using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace Routing.TestKit;

/// <summary>How to start an etcd member.</summary>
public sealed record EtcdServerOptions
{
    /// <summary>PEM files for TLS with client certificates, or null for clear text.</summary>
    public (string Ca, string Certificate, string Key)? Tls { get; init; }

    /// <summary>The machine of each member, by its name. Default: all on this one.</summary>
    public Func<string, TestMachine> Machine { get; init; } = _ => TestMachine.This;

    /// <summary>
    /// Where clients are told to reach a port of a machine, as <c>host:port</c>. Default: at the machine's address.
    /// </summary>
    public Func<TestMachine, int, string> Front { get; init; } = (machine, port) => $"{machine.Address}:{port}";

    /// <summary>More command-line arguments, such as <c>--auth-token-ttl 3</c>, one word each.</summary>
    public IReadOnlyList<string> ExtraArguments { get; init; } = [];
}

/// <summary>
/// A real etcd member on free ports of 127.0.0.1, with its data in memory where it can be; gone with the test.
/// </summary>
public sealed class EtcdServer : IAsyncDisposable
{
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(2) };
    private readonly TempDirectory _directory = TempDirectory.InMemory("etcd");
    private readonly string[] _arguments;
    private readonly string _initialCluster;
    private readonly int _peerPort;
    private string _token;
    private Process? _process;

    static EtcdServer() => AppDomain.CurrentDomain.ProcessExit += (_, _) => KillAll();

    private static readonly List<EtcdServer> s_running = [];

    internal EtcdServer(string name, int clientPort, int peerPort, string initialCluster, EtcdServerOptions options)
    {
        var scheme = options.Tls is null ? "http" : "https";
        var metricsPort = FreePorts.Take();
        (_initialCluster, _peerPort, _token) = (initialCluster, peerPort, initialCluster);
        Name = name;
        Machine = options.Machine(name);
        Endpoint = new Uri($"{scheme}://{Machine.Address}:{clientPort}");
        HealthAddress = new Uri($"http://{Machine.Address}:{metricsPort}/health");
        _arguments =
        [
            "--name", name,
            "--data-dir", _directory["data"],
            "--listen-client-urls", Url(Endpoint), "--advertise-client-urls",
            $"{scheme}://{options.Front(Machine, clientPort)}",
            "--listen-peer-urls", $"http://{Machine.Address}:{peerPort}",
            "--initial-advertise-peer-urls", $"http://{Machine.Address}:{peerPort}",
            "--initial-cluster", initialCluster,
            "--listen-metrics-urls", $"http://{Machine.Address}:{metricsPort}",
            .. EtcdUnderTest.LogArguments,
            .. options.Tls is { } tls
                ? (string[])["--client-cert-auth", "--trusted-ca-file", tls.Ca, "--cert-file", tls.Certificate,
                    "--key-file", tls.Key]
                : [],
            .. options.ExtraArguments,
        ];
    }

    /// <summary>The member's name.</summary>
    public string Name { get; }

    /// <summary>The machine it runs on.</summary>
    public TestMachine Machine { get; }

    /// <summary>Where clients connect.</summary>
    public Uri Endpoint { get; }

    /// <summary>Its health page, in clear text whatever <see cref="Endpoint"/> speaks.</summary>
    public Uri HealthAddress { get; }

    /// <summary>Its log.</summary>
    public string LogFile => _directory["etcd.log"];

    /// <summary>The process, while it runs.</summary>
    public int ProcessId => _process?.Id ?? throw new InvalidOperationException($"etcd {Name} does not run.");

    /// <summary>Starts a cluster of one and waits until it is healthy.</summary>
    public static async Task<EtcdServer> StartAsync(EtcdServerOptions? options = null)
    {
        var (client, peer) = (FreePorts.Take(), FreePorts.Take());
        var chosen = options ?? new();
        var server =
            new EtcdServer("etcd1", client, peer, $"etcd1=http://{chosen.Machine("etcd1").Address}:{peer}", chosen);
        try
        {
            await server.RestartAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether this member leads its etcd cluster; false when it does not answer.</summary>
    public async Task<bool> LeadsAsync()
    {
        try
        {
            var address = new Uri(Endpoint, $"{EtcdUnderTest.Gateway}/maintenance/status");
            using var answer = await s_http.PostAsJsonAsync(address, new JsonObject());
            var status = JsonNode.Parse(await answer.Content.ReadAsStringAsync());
            return status?["leader"]?.ToString() is { } leader && leader == status["header"]?["member_id"]?.ToString();
        }
        catch (Exception silent) when (silent is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }

    /// <summary>Starts the process (again, with its old data) and waits until it is healthy.</summary>
    public async Task RestartAsync()
    {
        Launch();
        await WaitUntilHealthyAsync();
    }

    /// <summary>Starts the process without waiting.</summary>
    public void Launch()
    {
        if (_process is not null)
        {
            throw new InvalidOperationException($"etcd {Name} runs already.");
        }
        // The shell only points its output to the log and becomes etcd: the process id stays.
        var start = new ProcessStartInfo("/bin/sh")
        {
            UseShellExecute = false,
            ArgumentList = { "-c", "exec \"$@\" >>\"$0\" 2>&1", LogFile },
        };
        // A test decides alone, not the ETCD_* variables around it.
        foreach (var name in start.Environment.Keys.Where(key => key.StartsWith("ETCD_", StringComparison.Ordinal))
            .ToList())
        {
            start.Environment.Remove(name);
        }
        foreach (var word in (string[])
            [.. Machine.Entrance, EtcdUnderTest.Program, .. _arguments, "--initial-cluster-token", _token])
        {
            start.ArgumentList.Add(word);
        }
        lock (s_running)
        {
            _process = Process.Start(start) ?? throw new InvalidOperationException("etcd was not started.");
            s_running.Add(this);
        }
    }

    /// <summary>Waits until the member answers and knows a leader.</summary>
    public async Task WaitUntilHealthyAsync()
    {
        try
        {
            await WaitUntil.TrueAsync(IsHealthyAsync, TimeSpan.FromSeconds(30), $"etcd {Name} is healthy");
        }
        catch (Exception problem) when (problem is TimeoutException or InvalidOperationException)
        {
            var log = File.Exists(LogFile) ? string.Join('\n', (await File.ReadAllLinesAsync(LogFile))
                    .Where(line => !line.Contains("/health error", StringComparison.Ordinal)).TakeLast(10))
                        : "(no log)";
            throw new InvalidOperationException($"{problem.Message}\n{log}", problem);
        }
    }

    /// <summary>Ends it with SIGKILL and waits for its end.</summary>
    public Task KillAsync() => EndAsync(Signal.Kill);

    /// <summary>Ends it with SIGTERM and waits for its end.</summary>
    public Task StopAsync() => EndAsync(Signal.Terminate);

    /// <summary>Kills it, unless it is down, and starts it without any data: a store that was set up anew.</summary>
    /// <param name="token">
    /// The token of the new cluster; null: the same as before, so that the cluster id is the same.
    /// </param>
    public async Task WipeAsync(string? token = null)
    {
        if (_process is not null)
        {
            await KillAsync();
        }
        Directory.Delete(_directory["data"], recursive: true);
        _token = token ?? _token;
        await RestartAsync();
    }

    /// <summary>Saves a snapshot of what it holds.</summary>
    /// <returns>The file.</returns>
    public async Task<string> SaveSnapshotAsync()
    {
        var file = _directory[$"snapshot-{Guid.NewGuid():N}"];
        await RunEtcdctlAsync("--endpoints", Url(Endpoint), "snapshot", "save", file);
        return file;
    }

    /// <summary>Kills it and starts it with a snapshot that was saved earlier.</summary>
    /// <param name="snapshot">The file.</param>
    /// <param name="token">The token of the new cluster; null: the same as before.</param>
    public async Task RestoreAsync(string snapshot, string? token = null)
    {
        await KillAsync();
        Directory.Delete(_directory["data"], recursive: true);
        _token = token ?? _token;
        await RunEtcdctlAsync(
            "snapshot", "restore", snapshot, "--data-dir", _directory["data"], "--name", Name,
            "--initial-cluster", _initialCluster, "--initial-cluster-token", _token,
            "--initial-advertise-peer-urls", $"http://{Machine.Address}:{_peerPort}");
        await RestartAsync();
    }

    private static async Task RunEtcdctlAsync(params string[] arguments)
    {
        var start =
            new ProcessStartInfo("etcdctl", arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["ETCDCTL_API"] = "3";
        using var process = Process.Start(start) ?? throw new InvalidOperationException("etcdctl was not started.");
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"etcdctl {string.Join(' ', arguments)}: {errors} {await output}");
        }
    }

    /// <summary>
    /// Freezes it (SIGSTOP) and waits until every thread has stopped: connections stay up, nothing is answered.
    /// </summary>
    public void Freeze()
    {
        Send(Signal.Stop);
        var started = Stopwatch.GetTimestamp();
        while (!Directory.EnumerateDirectories($"/proc/{ProcessId}/task").All(IsStopped))
        {
            if (Stopwatch.GetElapsedTime(started) > TimeSpan.FromSeconds(5))
            {
                throw new TimeoutException($"etcd {Name} did not stop.");
            }
            Thread.Yield();
        }

        // "pid (name) state …"
        static bool IsStopped(string thread)
        {
            try
            {
                return File.ReadAllText(Path.Combine(thread, "stat")).Split(") ")[^1][0] == 'T';
            }
            catch (IOException)
            {
                return true;   // it has ended
            }
        }
    }

    /// <summary>Lets it go on (SIGCONT).</summary>
    public void Thaw() => Send(Signal.Continue);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await KillAsync();
        }
        _directory.Dispose();
    }

    private static void KillAll()
    {
        lock (s_running)
        {
            foreach (var server in s_running.ToList())
            {
                if (server._process is { HasExited: false })
                {
                    server.Send(Signal.Kill);
                }
                server._directory.Dispose();
            }
            s_running.Clear();
        }
    }

    private static string Url(Uri uri) => uri.GetLeftPart(UriPartial.Authority);

    private async Task<bool> IsHealthyAsync()
    {
        if (_process is { HasExited: true } ended)
        {
            throw new InvalidOperationException($"etcd {Name} ended with exit code {ended.ExitCode}.");
        }
        try
        {
            return (await s_http.GetStringAsync(HealthAddress)).Contains("\"true\"", StringComparison.Ordinal);
        }
        catch (Exception notYet) when (notYet is HttpRequestException or TaskCanceledException)
        {
            return false;
        }
    }

    private async Task EndAsync(Signal signal)
    {
        var process = _process ?? throw new InvalidOperationException($"etcd {Name} does not run.");
        if (!process.HasExited)
        {
            Send(signal);
        }
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await process.WaitForExitAsync(limit.Token);
        lock (s_running)
        {
            s_running.Remove(this);
            _process = null;
        }
        process.Dispose();
    }

    private void Send(Signal signal)
    {
        if (kill(ProcessId, (int)signal) != 0)
        {
            throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture,
                    $"Signal {signal} to etcd {Name} ({ProcessId}): error {Marshal.GetLastPInvokeError()}."));
        }
    }

    private enum Signal
    {
        Kill = 9,
        Terminate = 15,
        Continue = 18,
        Stop = 19,
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int kill(int pid, int signal);
}

/// <summary>An etcd cluster of several members.</summary>
public sealed class EtcdServers : IAsyncDisposable
{
    private EtcdServers(IReadOnlyList<EtcdServer> members) => Members = members;

    /// <summary>The members.</summary>
    public IReadOnlyList<EtcdServer> Members { get; }

    /// <summary>Where clients connect, in the order of <see cref="Members"/>.</summary>
    public IReadOnlyList<Uri> Endpoints => [.. Members.Select(member => member.Endpoint)];

    /// <summary>Starts a cluster and waits until every member is healthy.</summary>
    public static async Task<EtcdServers> StartAsync(int count = 3, EtcdServerOptions? options = null)
    {
        var peers = FreePorts.Take(count);
        var chosen = options ?? new();
        var initial = string.Join(
            ',', peers.Select((port, i) => $"etcd{i + 1}=http://{chosen.Machine($"etcd{i + 1}").Address}:{port}"));
        var members = peers
            .Select((port, i) => new EtcdServer($"etcd{i + 1}", FreePorts.Take(), port, initial, chosen))
            .ToList();
        var cluster = new EtcdServers(members);
        try
        {
            members.ForEach(member => member.Launch());
            await Task.WhenAll(members.Select(member => member.WaitUntilHealthyAsync()));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var member in Members)
        {
            await member.DisposeAsync();
        }
    }
}
