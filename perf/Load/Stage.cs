using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Routing.TestKit;

namespace Routing.Load;

/// <summary>PostgreSQL with data, etcd with a leader and a member made up, and every way to get there.</summary>
internal sealed class Stage : IAsyncDisposable
{
    private const int MostConnections = 500;

    private readonly TempDirectory _directory = new("load");
    private readonly string _bin;
    private readonly Options _options;
    private readonly List<OrdinaryProcess> _servers = [];
    private readonly List<Route> _routes = [];
    private EtcdServer? _etcd;

    private Stage(Options options, string bin) => (_options, _bin) = (options, bin);

    public int PostgresPort { get; } = FreePorts.Take();

    public string Folder => _directory.Path;

    /// <summary>Where etcd listens: host and port.</summary>
    public string Etcd => _etcd!.Endpoint.Authority;

    public EtcdKeys Keys { get; private set; } = null!;

    public static async Task<Stage> StartAsync(Options options)
    {
        var stage = new Stage(options, PostgresUnderTest.Folder);
        OrdinaryProcess.GiveAway(stage.Folder);
        await stage.RunAsync("initdb", "-D", stage._directory["pg"], "-A", "trust", "-U", "postgres", "--no-sync");
        await stage.StartServerAsync("pg", stage.PostgresPort, "1GB", MostConnections);
        await stage.RunAsync("pgbench", "-i", "-q", "-s", "10", "-h", "127.0.0.1", "-p", Text(stage.PostgresPort), "-U",
            "postgres", "postgres");
        stage._etcd = await EtcdServer.StartAsync();
        stage.Keys = new EtcdKeys(stage._etcd.Endpoint, "/service/load");
        await stage.LeadAsync("n1", stage.PostgresPort);
        return stage;
    }

    /// <summary>Publishes a member that runs as a primary, and the leader key with its name.</summary>
    public async Task LeadAsync(string name, int port)
    {
        await PublishAsync(name, port, "primary");
        await Keys.PutAsync("leader", name);
    }

    /// <summary>Copies the server, starts the copy as a standby, and publishes it as a replica.</summary>
    /// <returns>Its port.</returns>
    public async Task<int> FollowAsync(string name)
    {
        var port = FreePorts.Take();
        await RunAsync(
            "pg_basebackup", "-h", "127.0.0.1", "-p", Text(PostgresPort), "-U", "postgres", "-D", _directory[name],
            "-R", "-c", "fast", "--no-sync");
        await StartServerAsync(name, port, "128MB", MostConnections);
        await PublishAsync(name, port, "replica");
        return port;
    }

    /// <summary>Starts two primaries with the same data and users. They are not published.</summary>
    /// <returns>Their ports.</returns>
    public async Task<(int First, int Second)> StartTwinsAsync(string first, string second, int connections)
    {
        var (one, other) = (FreePorts.Take(), FreePorts.Take());
        await RunAsync("initdb", "-D", _directory[first], "-A", "trust", "-U", "postgres", "--no-sync");
        var (code, output) = await TryAsync("cp", "-a", _directory[first], _directory[second]);
        if (code != 0)
        {
            throw new InvalidOperationException($"cp: {output}");
        }
        await StartServerAsync(first, one, "128MB", connections);
        await StartServerAsync(second, other, "128MB", connections);
        return (one, other);
    }

    /// <summary>Starts what stands between the client and a server at this port.</summary>
    /// <param name="variant">One of the variants.</param>
    /// <param name="target">The server's port.</param>
    /// <param name="admin">The admin port of a proxy; null: it has none.</param>
    public async Task<Route> OpenAsync(string variant, int target, int? admin = null)
    {
        var port = FreePorts.Take();
        var home = _directory[$"{variant}-{port}"];
        Directory.CreateDirectory(home);
        OrdinaryProcess.GiveAway(home);
        string[]? command = variant switch
        {
            "direct" => null,
            "haproxy1" or "haproxy2" or "splice" =>
                ["/usr/sbin/haproxy", "-f", Write("haproxy.cfg", string.Create(CultureInfo.InvariantCulture, $"""
                global
                    nbthread {(variant == "haproxy1" ? 1 : 2)}
                    maxconn {(variant == "splice" ? 2000 : 9900)}
                defaults
                    mode tcp
                    {(variant == "splice" ? "option splice-auto" : "")}
                    timeout connect 5s
                    timeout client 1h
                    timeout server 1h
                listen pg
                    bind 127.0.0.1:{port}
                    server s 127.0.0.1:{target}

                """))],
            "pgbouncer" => ["/usr/sbin/pgbouncer", Write("bouncer.ini", string.Create(CultureInfo.InvariantCulture, $"""
                [databases]
                postgres = host=127.0.0.1 port={target} user=postgres
                [pgbouncer]
                listen_addr = 127.0.0.1
                listen_port = {port}
                unix_socket_dir =
                auth_type = any
                pool_mode = session
                max_client_conn = 9900
                default_pool_size = 9900
                ignore_startup_parameters = extra_float_digits

                """))],
            _ => [variant == "before" ? _options.Before! : _options.Proxy,
                Write("proxy.yml", string.Create(CultureInfo.InvariantCulture, $$"""
                scope: load
                etcd3: {hosts: "{{_etcd!.Endpoint.Authority}}"}
                transport: {{(variant == "before" ? "auto" : variant.TrimEnd('1', '2', '+'))}}
                favor: {{(variant.EndsWith('+') ? "throughput" : "latency")}}
                loops: {{(char.IsAsciiDigit(variant[^1]) ? variant[^1] : '0')}}
                listeners:
                  write: {listen: "127.0.0.1:{{port}}", role: primary}
                {{(admin is null ? "" : $"admin: {{listen: \"127.0.0.1:{admin}\"}}")}}

                """))],
        };
        if (command is null)
        {
            return new Route(variant, target, null);
        }
        var process = OrdinaryProcess.Start(Path.Combine(home, "log"), home, command);
        var route = new Route(variant, port, process);
        _routes.Add(route);
        await UntilListeningAsync(port);
        return route;

        string Write(string name, string text)
        {
            var file = Path.Combine(home, name);
            File.WriteAllText(file, text);
            return file;
        }
    }

    /// <summary>Runs one of PostgreSQL's programs.</summary>
    public async Task<string> RunAsync(string program, params string[] arguments)
    {
        var (code, output) = await TryAsync(Path.Combine(_bin, program), arguments);
        return code == 0 ? output : throw new InvalidOperationException($"{program}: exit code {code}: {output}");
    }

    /// <summary>Runs a program to its end.</summary>
    public async Task<(int Code, string Output)> TryAsync(string program, params string[] arguments)
    {
        var log = _directory[$"{Guid.NewGuid():N}.out"];
        using var process = OrdinaryProcess.Start(log, Folder, [program, .. arguments]);
        var code = await process.WaitForExitAsync(TimeSpan.FromMinutes(5));
        var output = await File.ReadAllTextAsync(log);
        File.Delete(log);
        return (code, output);
    }

    public async ValueTask DisposeAsync()
    {
        _routes.ForEach(route => route.Dispose());   // those that an interruption left
        foreach (var server in _servers)
        {
            server.Send(ProcessSignal.Quit);
            _ = await server.WaitForExitAsync(TimeSpan.FromSeconds(20));
            server.Dispose();
        }
        if (_etcd is { } etcd)
        {
            await etcd.DisposeAsync();
        }
        _directory.Dispose();
    }

    private Task PublishAsync(string name, int port, string role) => Keys.PutAsync(
        $"members/{name}",
        $$"""{"conn_url":"postgres://127.0.0.1:{{port}}/postgres","api_url":"http://127.0.0.1:1/patroni","state":"running","role":"{{role}}","version":"4.1.4","xlog_location":1,"timeline":1}""");

    private async Task StartServerAsync(string name, int port, string buffers, int connections)
    {
        _servers.Add(OrdinaryProcess.Start(
            _directory[$"{name}.log"], Folder, Path.Combine(_bin, "postgres"), "-D", _directory[name], "-p", Text(port),
            "-k", Folder,
            "-c", "fsync=off", "-c", $"shared_buffers={buffers}", "-c", $"max_connections={Text(connections)}", "-c",
            "listen_addresses=127.0.0.1"));
        await UntilListeningAsync(port);
        await WaitUntil.TrueAsync(async () =>
            (await TryAsync(Path.Combine(_bin, "pg_isready"), "-h", "127.0.0.1", "-p", Text(port))).Code == 0);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static Task UntilListeningAsync(int port) => WaitUntil.TrueAsync(() =>
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            probe.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }, TimeSpan.FromSeconds(20));
}
