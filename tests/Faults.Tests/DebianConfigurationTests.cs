using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>
/// The file that Debian's <c>pg_createconfig_patroni</c> writes, unchanged: bootstrap by <c>pg_createcluster</c>, a
/// replica by <c>pg_clonecluster</c>, configuration apart from the data, another namespace.
/// </summary>
/// <remarks>
/// Debian's places are those of the machine: each member has its own behind them, by mounts, and a name of its own.
/// </remarks>
public sealed class DebianConfigurationTests : IAsyncLifetime
{
    private const string Generator = "/usr/bin/pg_createconfig_patroni";
    private const int RestPortAbovePort = 2576;
    private static readonly (string Name, string Place)[] s_places =
    [
        ("patroni", "/etc/patroni"), ("etc", "/etc/postgresql"), ("lib", "/var/lib/postgresql"),
        ("log", "/var/log/postgresql"), ("run", "/var/run/postgresql"),
        ("createcluster.conf", "/etc/postgresql-common/createcluster.conf"),
    ];

    private static readonly int s_major = PostgresUnderTest.Major;

    private readonly TempDirectory _directory = new("debian");
    private readonly List<DebianNode> _nodes = [];
    private EtcdServers _etcd = null!;

    public async ValueTask InitializeAsync()
    {
        OrdinaryProcess.GiveAway(_directory.Path);
        _etcd = await EtcdServers.StartAsync(1);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }
        await _etcd.DisposeAsync();
        // What a member's namespace held ends a moment after its first process.
        await WaitUntil.TrueAsync(() =>
        {
            try
            {
                _directory.Dispose();
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        });
    }

    [Fact]
    public async Task The_file_that_Debian_generates_starts_a_cluster_and_a_replica()
    {
        Installed.Require("patroni");
        Assert.SkipUnless(NamespaceLab.IsInside, NamespaceLab.WhyNot ?? "There are no namespaces here.");
        using var keys = new EtcdKeys(_etcd.Members[0].Endpoint, $"/postgresql-common/{s_major}-main");

        var first = Start("first");
        await UntilAsync(async () => await first.StatusAsync("/primary") == 200, "the first member leads");
        var second = Start("second");
        await UntilAsync(async () => await second.StatusAsync("/replica") == 200, "the second member streams");
        await UntilAsync(
            async () => await first.StatusAsync("/read-only") == 200
                && (await first.GetAsync("/patroni"))!["replication"] is JsonArray { Count: 1 } standbys
                && (string?)standbys[0]!["application_name"] == "second",
            "the first member knows its standby");

        Assert.Equal("first", (await keys.GetAsync("leader"))!.Value);
        foreach (var node in (DebianNode[])[first, second])
        {
            Assert.True(
                File.Exists(Path.Combine(node.Directory, $"etc/{s_major}/main/postgresql.base.conf")), Report());
            Assert.True(File.Exists(Path.Combine(node.Directory, $"lib/{s_major}/main/PG_VERSION")), Report());
            Assert.False(File.Exists(Path.Combine(node.Directory, $"lib/{s_major}/main/pg_hba.conf")), Report());
            Assert.True(File.Exists(Path.Combine(node.Directory, $"log/postgresql-{s_major}-main.log")), Report());
        }
        Assert.Contains("pg_clonecluster", await File.ReadAllTextAsync(
            second.Log, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private DebianNode Start(string name)
    {
        var (directory, port) = (_directory[name], FreePorts.Take());
        foreach (var (place, _) in s_places.Where(place => place.Name != "createcluster.conf"))
        {
            Directory.CreateDirectory(Path.Combine(directory, place));
        }
        File.Copy("/etc/patroni/config.yml.in", Path.Combine(directory, "patroni/config.yml.in"));
        File.WriteAllText(Path.Combine(directory, "patroni/dcs.yml"),
            $"etcd3:\n  hosts: {_etcd.Members[0].Endpoint.Host}:{_etcd.Members[0].Endpoint.Port}\n");
        // The key of Debian's self-made certificate belongs to root, whom a user namespace does not know.
        File.WriteAllText(Path.Combine(directory, "createcluster.conf"),
            "create_main_cluster = false\nssl = off\n");
        var mounts = string.Join('\n', s_places.Select(place =>
            $"mount --bind {Path.Combine(directory, place.Name)} {place.Place}"));
        var script = $"""
            set -e
            mkdir -p /var/run/postgresql
            {mounts}
            mount -t tmpfs tmpfs /dev/shm
            hostname {name}
            exec setpriv --inh-caps=-all --ambient-caps=-all sh -ec '
            {Generator} --hostip=127.0.0.1 --network=127.0.0.1/32 --port={port} {s_major} main
            {Programs.Agent} /etc/patroni/{s_major}-main.yml; exit $?'
            """;
        // The first process of its namespace takes all others with it.
        var process = OrdinaryProcess.Start(
            Path.Combine(directory, "agent.log"), directory,
            "unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "--uts", "--pid", "--fork",
            "--kill-child", "--mount-proc", "sh", "-c", script);
        var node = new DebianNode(name, directory, port + RestPortAbovePort, process);
        _nodes.Add(node);
        return node;
    }

    private Task UntilAsync(Func<Task<bool>> condition, string what) =>
        WaitUntil.TrueAsync(
            async () => _nodes.TrueForAll(node => !node.HasEnded)
                ? await condition()
                : throw new InvalidOperationException($"An agent has ended.{Report()}"),
            TestCluster.Patience * 2,
            () => what + Report());

    private string Report() => string.Concat(_nodes.Select(node =>
        $"\n--- {node.Name}\n{string.Join('\n', File.ReadLines(node.Log).TakeLast(20))}"));

    /// <summary>An agent with Debian's file, and its PostgreSQL, in namespaces of their own.</summary>
    private sealed class DebianNode(string name, string directory, int restPort, OrdinaryProcess process)
        : IAsyncDisposable
    {
        private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(10) };

        public string Name => name;

        public string Directory => directory;

        public bool HasEnded => process.HasExited;

        public string Log => Path.Combine(directory, "agent.log");

        /// <summary>The code of a REST answer.</summary>
        public async Task<int> StatusAsync(string path)
        {
            using var answer = await s_http.GetAsync(Rest(path));
            return (int)answer.StatusCode;
        }

        /// <summary>A REST document.</summary>
        public async Task<JsonNode?> GetAsync(string path) => JsonNode.Parse(await s_http.GetStringAsync(Rest(path)));

        public async ValueTask DisposeAsync() => await process.KillAsync(TimeSpan.FromSeconds(30));

        private Uri Rest(string path) => new($"http://127.0.0.1:{restPort}{path}");
    }
}
