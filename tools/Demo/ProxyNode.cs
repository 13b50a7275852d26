using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Routing.TestKit;

namespace Routing.Demo;

/// <summary>The proxy: one port for writes, one for reads, one to look at.</summary>
internal sealed class ProxyNode : IDisposable
{
    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(5);
    private readonly DemoOptions _options;
    private Process? _process;

    public ProxyNode(Uri etcd, DemoOptions options)
    {
        _options = options;
        Folder = Path.Combine(options.Folder, "proxy");
        Directory.CreateDirectory(Folder);
        File.WriteAllText(ConfigurationFile, string.Create(CultureInfo.InvariantCulture, $$"""
            scope: demo
            etcd3:
              hosts: {{etcd.Authority}}
            listeners:
              write: {listen: "127.0.0.1:{{WritePort}}", role: primary}
              read: {listen: "127.0.0.1:{{ReadPort}}", role: replica}
            admin:
              listen: 127.0.0.1:{{AdminPort}}
            timeouts:
              drain: 1

            """));
    }

    public string Folder { get; }

    public int WritePort { get; } = FreePorts.Take();

    public int ReadPort { get; } = FreePorts.Take();

    public int AdminPort { get; } = FreePorts.Take();

    public string LogFile => Path.Combine(Folder, "proxy.log");

    private string ConfigurationFile => Path.Combine(Folder, "proxy.yml");

    public static string ConnectionString(int port) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = port,
        Username = "postgres",
        Password = Node.Password,
        Database = "postgres",
        Pooling = false,
        Timeout = 15,
        CommandTimeout = 8,
        CancellationTimeout = -1,
        SslMode = SslMode.Disable,
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString;

    /// <summary>Starts it, away from our terminal: Ctrl-C is ours alone.</summary>
    public void Start()
    {
        var start = new ProcessStartInfo("setsid")
        {
            UseShellExecute = false,
            WorkingDirectory = Folder,
            ArgumentList =
            {
                "sh", "-c", "exec \"$@\" </dev/null >>\"$0\" 2>&1", LogFile,
                Path.Combine(_options.Programs, "routing-proxy"), ConfigurationFile,
            },
        };
        foreach (var name in start.Environment.Keys.Where(
            key => key.StartsWith("ROUTING_PROXY_", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);   // the file alone decides
        }
        _process = Process.Start(start) ?? throw new InvalidOperationException("The proxy was not started.");
    }

    /// <summary>Ends it, in good order if it will.</summary>
    public async Task StopAsync()
    {
        if (_process is not { HasExited: false } process)
        {
            return;
        }
        ProcessFolder.Signal(process.Id, ProcessFolder.Terminate);
        try
        {
            await WaitUntil.TrueAsync(() => process.HasExited, s_endLimit, "the proxy has ended");
        }
        catch (TimeoutException)
        {
            ProcessFolder.Signal(process.Id, ProcessFolder.Kill);
        }
    }

    public void Dispose() => _process?.Dispose();
}
