using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Xunit;

namespace Routing.TestKit;

/// <summary>How to start a <see cref="TestCluster"/>.</summary>
public sealed record TestClusterOptions
{
    /// <summary>How many nodes.</summary>
    public int Nodes { get; init; } = 3;

    /// <summary>How many members etcd has.</summary>
    public int EtcdMembers { get; init; } = 1;

    /// <summary>
    /// Where the nodes and etcd's members have machines of their own; null: all on this one. It ends with the cluster.
    /// </summary>
    public ITestNetwork? Network { get; init; }

    /// <summary>Life of the leader key, in seconds.</summary>
    public int Ttl { get; init; } = 6;

    /// <summary>Added to the dynamic configuration that the cluster is made with.</summary>
    public JsonObject Dcs { get; init; } = [];

    /// <summary>Changes the configuration of a node before it is written.</summary>
    public Action<TestNode, JsonObject>? Configure { get; init; }
}

/// <summary>
/// A real cluster on free ports of 127.0.0.1: etcd, agents, PostgreSQL; data below /tmp; gone with the test.
/// </summary>
public sealed class TestCluster : IAsyncDisposable
{
    /// <summary>How long a cluster may take to come to rest.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly List<TestCluster> s_running = [];
    private readonly TempDirectory _directory = new("cluster");
    private readonly List<TestNode> _nodes = [];
    private readonly TestClusterOptions _options;
    private readonly string? _collection = TestContext.Current.TestCollection?.UniqueID;

    private static readonly PosixSignalRegistration s_onTerminate;

    static TestCluster()
    {
        AppDomain.CurrentDomain.ProcessExit += (_, _) => KillAll();
        // A test run that is told to end takes its servers with it, whatever its runner does about the signal.
        s_onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => KillAll());
    }

    private TestCluster(EtcdServers etcd, TestClusterOptions options)
    {
        EtcdMembers = etcd;
        _options = options;
        Keys = new EtcdKeys(etcd.Endpoints, $"/service/{Scope}");
        OrdinaryProcess.GiveAway(_directory.Path);
        lock (s_running)
        {
            s_running.Add(this);
        }
    }

    /// <summary>The cluster's name.</summary>
    public string Scope { get; } = "pay";

    /// <summary>Its etcd: the first member, which by default is the only one.</summary>
    public EtcdServer Etcd => EtcdMembers.Members[0];

    /// <summary>All members of its etcd.</summary>
    public EtcdServers EtcdMembers { get; }

    /// <summary>Its keys, read without the product.</summary>
    public EtcdKeys Keys { get; }

    /// <summary>Its nodes, n1 first.</summary>
    public IReadOnlyList<TestNode> Nodes => _nodes;

    /// <summary>The life of the leader key.</summary>
    public TimeSpan Ttl => TimeSpan.FromSeconds(_options.Ttl);

    /// <summary>The node of this name.</summary>
    public TestNode this[string name] => _nodes.Single(node => node.Name == name);

    /// <summary>Starts etcd and the nodes, and waits until a leader leads and all others stream.</summary>
    public static async Task<TestCluster> StartAsync(TestClusterOptions? options = null)
    {
        var cluster = await PrepareAsync(options);
        try
        {
            foreach (var node in cluster.Nodes)
            {
                node.Start();
            }
            await cluster.HealthyAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts etcd and writes the configuration of the nodes; starts none.</summary>
    public static async Task<TestCluster> PrepareAsync(TestClusterOptions? options = null)
    {
        var chosen = options ?? new();
        var cluster = new TestCluster(await StartEtcdAsync(chosen), chosen);
        for (var i = 0; i < chosen.Nodes; i++)
        {
            cluster.AddNode();
        }
        return cluster;
    }

    private static async Task<EtcdServers> StartEtcdAsync(TestClusterOptions options)
    {
        var machines = Enumerable.Range(1, options.EtcdMembers).ToDictionary(
            number => $"etcd{number}", number => options.Network?.Add($"etcd{number}") ?? TestMachine.This);
        var etcd = new EtcdServerOptions { Machine = name => machines[name] };
        return await EtcdServers.StartAsync(
            options.EtcdMembers, options.Network is { } network ? etcd with { Front = network.Front } : etcd);
    }

    /// <summary>Adds a node, configured and not started.</summary>
    public TestNode AddNode(Action<TestNode, JsonObject>? configure = null)
    {
        var name = $"n{_nodes.Count + 1}";
        var node = new TestNode(name, _directory[name], Path.GetFileName(_directory.Path), _options.Network);
        node.Config = ConfigOf(node);
        _options.Configure?.Invoke(node, node.Config);
        configure?.Invoke(node, node.Config);
        node.WriteConfig();
        _nodes.Add(node);
        return node;
    }

    /// <summary>Ends a node and forgets it; the cluster forgets it when its member key ends.</summary>
    public async Task RemoveNodeAsync(TestNode node)
    {
        await node.KillAsync();
        node.Dispose();
        _nodes.Remove(node);
        await UntilAsync(async () => await Keys.GetAsync($"members/{node.Name}") is null,
            $"the member key of {node.Name} ends");
    }

    /// <summary>The name in the leader key; null when nobody leads.</summary>
    public async Task<string?> LeaderNameAsync() => (await Keys.GetAsync("leader"))?.Value;

    /// <summary>Waits for a leader that is a running primary.</summary>
    /// <param name="not">Not this one.</param>
    /// <param name="within">The deadline; default <see cref="Patience"/>.</param>
    public async Task<TestNode> LeaderAsync(TestNode? not = null, TimeSpan? within = null)
    {
        TestNode? found = null;
        await UntilAsync(
            async () =>
            {
                if (await LeaderNameAsync() is not { } name || name == not?.Name)
                {
                    return false;
                }
                found = this[name];
                return await found.GetAsync("/patroni") is { } status && IsPrimary(status)
                    && Text(status["state"]) == "running";
            },
            () => not is null ? "a primary leads" : $"a primary other than {not.Name} leads",
            within);
        return found!;
    }

    /// <summary>
    /// Waits until one leads and every other started node streams on the same timeline, by REST of both sides and by
    /// member key.
    /// </summary>
    /// <returns>The leader.</returns>
    public async Task<TestNode> HealthyAsync(TimeSpan? within = null)
    {
        TestNode? leader = null;
        await UntilAsync(
            async () =>
            {
                var keys = await Keys.AllAsync();
                if (keys.GetValueOrDefault("leader")?.Value is not { } name || Started(name) is not { } first
                    || await first.GetAsync("/patroni") is not { } status || !IsPrimary(status))
                {
                    return false;
                }
                leader = first;
                var timeline = Text(Member(name)?["timeline"]);
                foreach (var node in _nodes.Where(node => node.IsStarted))
                {
                    if (Member(node.Name) is not { } member || Text(member["state"]) != "running"
                        || Text(member["timeline"]) != timeline
                        || (node == leader ? !IsPrimary(member) : Text(member["role"]) != "replica")
                        || (node != leader && !await StreamsAsync(node, member, status)))
                    {
                        return false;
                    }
                }
                return true;

                // What somebody damaged is no member; its owner writes it again.
                JsonObject? Member(string of) => keys.GetValueOrDefault($"members/{of}")?.JsonOrNull as JsonObject;
            },
            static () => "one leads and the others stream", within);
        return leader!;

        // Patroni before 3.0.4 does not tell whether its own server streams.
        static async Task<bool> StreamsAsync(TestNode node, JsonObject member, JsonNode leaderStatus) =>
            (node.Patroni is not null || Text(member["replication_state"]) == "streaming")
            && leaderStatus["replication"] is JsonArray standbys
            && standbys.Any(standby => Text(standby?["application_name"]) == node.Name
                && Text(standby?["state"]) == "streaming")
            && await node.GetAsync("/patroni") is { } status
            && (node.Patroni is not null || Text(status["replication_state"]) == "streaming")
            // A standby that was started a moment ago tells 0 until it knows where its WAL ends: it cannot lead yet.
            && Text(status["xlog"]?["received_location"]) is not (null or "0");
    }

    /// <summary>The nodes that run and are not the leader.</summary>
    public IReadOnlyList<TestNode> ReplicasOf(TestNode leader) =>
        [.. _nodes.Where(node => node != leader && node.IsStarted)];

    /// <summary>Starts every agent that does not run.</summary>
    public void StartMissing()
    {
        foreach (var node in _nodes.Where(node => !node.IsStarted))
        {
            node.Start();
        }
    }

    /// <summary>Changes the dynamic configuration through a member's REST.</summary>
    public async Task ConfigureAsync(JsonObject patch)
    {
        var leader = await LeaderAsync();
        var (code, text) = await leader.SendAsync("PATCH", "/config", patch);
        if (code != 200)
        {
            throw new InvalidOperationException($"PATCH /config: {code} {text}");
        }
    }

    /// <summary>Turns failsafe mode on, and waits until every member knows the others.</summary>
    public async Task UseFailsafeAsync()
    {
        await ConfigureAsync(new JsonObject { ["failsafe_mode"] = true });
        await UntilAsync(
            async () => (await Keys.GetAsync("failsafe"))?.Json.AsObject().Count == Nodes.Count,
            "the failsafe members are written");
        foreach (var node in Nodes)
        {
            await UntilAsync(
                async () => (await node.GetAsync("/failsafe"))?.AsObject().Count == Nodes.Count,
                $"{node.Name} knows the failsafe members");
        }
    }

    /// <summary>
    /// Runs routingctl against this cluster. Its file names the superuser, as the agent's own does; libpq's variables
    /// do too.
    /// </summary>
    public Task<(int Code, string Output)> CtlAsync(params string[] arguments) => CtlWithInputAsync("", arguments);

    /// <summary>Runs routingctl, which reads the answers to its questions from a text.</summary>
    public async Task<(int Code, string Output)> CtlWithInputAsync(string input, params string[] arguments)
    {
        var config = _directory["ctl.yml"];
        var superuser = new JsonObject { ["username"] = "postgres", ["password"] = "super" };
        await File.WriteAllTextAsync(config, new JsonObject
        {
            ["scope"] = Scope,
            ["etcd3"] = new JsonObject { ["hosts"] = $"{Etcd.Endpoint.Host}:{Etcd.Endpoint.Port}" },
            ["postgresql"] = new JsonObject { ["authentication"] = new JsonObject { ["superuser"] = superuser } },
        }.ToJsonString());
        var log = _directory[$"ctl-{Guid.NewGuid():N}.log"];
        string[] login = ["/usr/bin/env", "PGUSER=postgres", "PGPASSWORD=super", "PGDATABASE=postgres"];
        var answers = _directory[$"ctl-{Guid.NewGuid():N}.in"];
        await File.WriteAllTextAsync(answers, input);
        string[] reading = ["/bin/sh", "-c", """in="$1"; shift; exec "$@" < "$in" """, "sh", answers];
        using var ctl = OrdinaryProcess.Start(
            log, _directory.Path, [.. login, .. reading, Programs.Ctl, "-c", config, .. arguments]);
        var code = await ctl.WaitForExitAsync(Patience);
        return (code, await File.ReadAllTextAsync(log));
    }

    /// <summary>
    /// Waits until the sync key names a standby: before that nobody but the old leader may lead, however long it is
    /// gone.
    /// </summary>
    public Task SynchronousAsync() => UntilAsync(
        async () => await Keys.AllAsync() is var keys && keys.GetValueOrDefault("sync")?.Json is { } sync
            && (string?)sync["leader"] == keys.GetValueOrDefault("leader")?.Value
            && !string.IsNullOrEmpty((string?)sync["sync_standby"]),
        "a standby is named in the sync key");

    /// <summary>Waits for a condition; when it does not come true, the agents' logs are told.</summary>
    public Task UntilAsync(Func<Task<bool>> condition, string what, TimeSpan? within = null) =>
        UntilAsync(condition, () => what, within);

    /// <summary>Waits for a condition; when it does not come true, the agents' logs are told.</summary>
    public async Task UntilAsync(Func<Task<bool>> condition, Func<string> what, TimeSpan? within = null)
    {
        try
        {
            await WaitUntil.TrueAsync(condition, within ?? Patience, what);
        }
        catch (TimeoutException problem)
        {
            throw new TimeoutException(problem.Message + Report(), problem);
        }
    }

    /// <summary>Waits for a condition; when it does not come true, the agents' logs are told.</summary>
    public Task UntilAsync(Func<bool> condition, string what, TimeSpan? within = null) =>
        UntilAsync(() => Task.FromResult(condition()), what, within);

    /// <summary>The ends of the agents' logs.</summary>
    public string Report() => string.Concat(_nodes.Select(node =>
        $"\n--- {node.Name} ({(node.IsStarted ? "started" : "ended")}, PostgreSQL "
            + $"{node.PostmasterPid?.ToString((IFormatProvider?)null) ?? "down"})\n{node.LogTail()}"));

    /// <summary>The ends of the agents' logs of all clusters that tests of a collection have started.</summary>
    internal static string ReportOf(string? collection)
    {
        lock (s_running)
        {
            return string.Concat(
                s_running.Where(cluster => cluster._collection == collection).Select(cluster => cluster.Report()));
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        lock (s_running)
        {
            s_running.Remove(this);
        }
        foreach (var node in _nodes)
        {
            await node.KillAsync();
            node.Dispose();
        }
        Keys.Dispose();
        await EtcdMembers.DisposeAsync();
        if (_options.Network is { } network)
        {
            await network.DisposeAsync();
        }
        if (Environment.GetEnvironmentVariable("ROUTING_KEEP") is null)
        {
            _directory.Dispose();
        }
    }

    private static string? Text(JsonNode? node) => node?.ToString();

    /// <summary>Patroni before 4.0 says <c>master</c>.</summary>
    private static bool IsPrimary(JsonNode status) => Text(status["role"]) is "primary" or "master";

    private TestNode? Started(string name) => _nodes.SingleOrDefault(node => node.Name == name && node.IsStarted);

    private static void KillAll()
    {
        lock (s_running)
        {
            foreach (var cluster in s_running)
            {
                foreach (var node in cluster._nodes)
                {
                    node.KillNow();
                }
                cluster._directory.Dispose();
            }
            s_running.Clear();
        }
    }

    private JsonObject ConfigOf(TestNode node)
    {
        var (address, subnet) = (node.Machine.Address, node.Machine.Subnet);
        var dcs = new JsonObject
        {
            ["ttl"] = _options.Ttl,
            ["loop_wait"] = 1,
            ["retry_timeout"] = 1,
            ["postgresql"] = new JsonObject
            {
                ["use_pg_rewind"] = true,
                // A killed process loses nothing that it handed to the kernel: fsync would only cost the tests time.
                ["parameters"] =
                    new JsonObject { ["max_connections"] = 50, ["shared_buffers"] = "16MB", ["fsync"] = "off" },
            },
        };
        Merge(dcs, _options.Dcs);
        return new JsonObject
        {
            ["scope"] = Scope,
            ["name"] = node.Name,
            ["restapi"] = new JsonObject { ["listen"] = $"{address}:{node.RestPort}",
                ["connect_address"] = Front(node.RestPort) },
            ["etcd3"] = new JsonObject { ["hosts"] = new JsonArray([.. EtcdMembers.Members.Select(EtcdOf)]) },
            ["bootstrap"] = new JsonObject
            {
                ["dcs"] = dcs,
                ["initdb"] = new JsonArray(new JsonObject { ["encoding"] = "UTF8" }, "data-checksums", "no-sync"),
                ["pg_hba"] = new JsonArray(
                    $"host replication all {subnet} scram-sha-256", $"host all all {subnet} scram-sha-256"),
            },
            ["postgresql"] = new JsonObject
            {
                ["listen"] = $"{address}:{node.Port}",
                ["connect_address"] = Front(node.Port),
                ["data_dir"] = node.DataDirectory,
                ["bin_dir"] = PostgresUnderTest.Folder,
                ["bin_name"] = new JsonObject { ["initdb"] = InitDb.Program },
                ["pgpass"] = Path.Combine(node.DirectoryPath, "pgpass"),
                ["basebackup"] = new JsonArray("no-sync"),
                ["authentication"] = new JsonObject
                {
                    ["superuser"] = User("postgres", "super"),
                    ["replication"] = User("replicator", "repl"),
                    ["rewind"] = User("rewinder", "rewind"),
                },
                ["parameters"] = new JsonObject { ["unix_socket_directories"] = node.DirectoryPath },
            },
        };

        string Front(int port) => _options.Network?.Front(node.Machine, port) ?? $"{address}:{port}";

        JsonNode? EtcdOf(EtcdServer member) =>
            _options.Network?.Front(member.Machine, member.Endpoint.Port)
                ?? $"{member.Endpoint.Host}:{member.Endpoint.Port}";

        static JsonObject User(string name, string password) => new() { ["username"] = name, ["password"] = password };
    }

    private static void Merge(JsonObject target, JsonObject patch)
    {
        foreach (var (key, value) in patch)
        {
            if (value is JsonObject inner && target[key] is JsonObject existing)
            {
                Merge(existing, inner);
            }
            else
            {
                target[key] = value?.DeepClone();
            }
        }
    }
}
