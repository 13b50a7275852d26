using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Npgsql;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// A file as users write it: strings for switches, a <c>postgresql</c> section beside <c>dcs</c>, SQL after the
/// bootstrap, a watchdog that is required.
/// </summary>
public sealed class UserConfigurationTests
{
    private static readonly string[] s_names = ["zabbixdb01", "zabbixdb02", "zabbixdb03"];

    [Fact]
    public async Task The_file_of_our_first_users_makes_a_cluster_and_only_who_has_a_watchdog_leads()
    {
        await using var cluster = await TestCluster.PrepareAsync(new() { Nodes = 3 });
        using var keys = new EtcdKeys(cluster.Etcd.Endpoint, "/service/zabbixdb_cluster");
        using var first = new PretendWatchdog(Device(cluster.Nodes[0]));
        using var second = new PretendWatchdog(Device(cluster.Nodes[1]));
        var bare = cluster.Nodes[2];
        for (var i = 0; i < s_names.Length; i++)
        {
            cluster.Nodes[i].WriteConfig(Adapted(cluster, cluster.Nodes[i], s_names[i]));
        }

        // A member without a device makes no cluster, and says why.
        bare.Start();
        await UntilAsync(async () =>
            (await bare.GetAsync("/patroni"))?["watchdog_failed"]?.GetValue<bool>() == true, "the REST tells it");
        await UntilAsync(() => Task.FromResult(Log(bare).Contains("does not make a new cluster",
            StringComparison.Ordinal)), "the log tells it");
        Assert.Contains(Device(bare), Log(bare), StringComparison.Ordinal);
        Assert.Null(await keys.GetAsync("leader"));
        Assert.Null(await keys.GetAsync("initialize"));
        Assert.Null(bare.PostmasterPid);

        // One of the two others does. On a busy machine a device may answer too late, and its member gives way, or its
        // bootstrap fails and it ends: then it is started again, as a service manager does.
        (TestNode Node, PretendWatchdog Device)[] able = [(cluster.Nodes[0], first), (cluster.Nodes[1], second)];
        able[0].Node.Start();
        able[1].Node.Start();
        await FedAsync();
        var leader = await LeaderAsync(able);
        await AssertAppliedAsync(leader.Node, keys);

        // Nobody can make the member without a device lead: not by request …
        var other = leader;
        await UntilAsync(async () =>
        {
            foreach (var one in able.Where(one => one.Node.HasEnded))
            {
                one.Node.Start();
            }
            leader = await LeaderAsync(able);
            other = able.Single(one => one.Node != leader.Node);
            return await other.Node.StatusAsync("/quorum") == 200 && await bare.StatusAsync("/quorum") == 200
                && await SwitchoverAsync(leader.Node, NameOf(leader.Node), s_names[2])
                    == (412, "switchover is not possible: no good candidates have been found");
        }, "two voters stream, and it is no candidate");
        // … and not by taking the leaders away.
        var closes = leader.Device.Closes;
        await leader.Node.StopAsync();
        await UntilAsync(() => Task.FromResult(leader.Device.Closes > closes), "the device of the former leader rests");
        Assert.Equal(other, await LeaderAsync([other]));
        await FedAsync();
        await other.Node.StopAsync();
        await UntilAsync(async () => (await bare.GetAsync("/why"))?["code"]?.ToString() == "watchdog",
            "the last member says why it does not lead");
        Assert.Null(await keys.GetAsync("leader"));
        Assert.Equal("True", await SqlAsync(bare, "SELECT pg_is_in_recovery()"));

        string NameOf(TestNode node) => s_names[cluster.Nodes.ToList().IndexOf(node)];

        async Task<(TestNode Node, PretendWatchdog Device)> LeaderAsync((TestNode Node, PretendWatchdog Device)[] among)
        {
            (TestNode Node, PretendWatchdog Device)? found = null;
            await UntilAsync(async () =>
            {
                foreach (var one in among)
                {
                    if (await one.Node.StatusAsync("/primary") == 200)
                    {
                        found = one;
                    }
                }
                Assert.NotEqual(200, await bare.StatusAsync("/leader"));
                return found is not null;
            }, "a member with a device leads");
            return found!.Value;
        }

        // Whoever leads now, is fed now.
        async Task FedAsync()
        {
            var before = able.Select(one => one.Device.Signs).ToArray();
            await UntilAsync(async () =>
            {
                var leads = Array.IndexOf(able, await LeaderAsync(able));
                return able[leads].Device.Signs > before[leads] + 1 && able[leads].Device.TimeoutSeconds == 16;
            }, "the leader's device is fed");
        }

        Task UntilAsync(Func<Task<bool>> condition, string what) =>
            cluster.UntilAsync(condition, () => what + string.Concat(cluster.Nodes.Select(node =>
                $"\n--- {node.Name}\n{string.Join('\n', Log(node).Split('\n').TakeLast(30))}")),
                TestCluster.Patience * 2);
    }

    private static async Task AssertAppliedAsync(TestNode leader, EtcdKeys keys)
    {
        var config = await leader.DocumentAsync("/config");
        Assert.Equal("160", config["postgresql"]!["parameters"]!["max_connections"]!.ToString());
        Assert.True(config["postgresql"]!["use_pg_rewind"]!.GetValue<bool>());
        Assert.Equal("quorum", config["synchronous_mode"]!.ToString());
        Assert.Equal("160", await SqlAsync(leader, "SHOW max_connections"));
        Assert.Equal("on", await SqlAsync(leader, "SHOW data_checksums"));
        Assert.Equal("UTF8", await SqlAsync(leader, "SHOW server_encoding"));
        Assert.Equal("2", await SqlAsync(leader,
            "SELECT count(*) FROM pg_roles WHERE rolname IN ('repl', 'rewind_user')"));
        Assert.NotNull(await keys.GetAsync("failsafe"));
        Assert.Contains("This member", Log(leader), StringComparison.Ordinal);
        // Changes need the password of the file; reading does not.
        Assert.Equal(401, (await leader.SendAsync("PATCH", "/config", new JsonObject { ["loop_wait"] = 2 })).Code);
        Assert.Equal(200, await leader.StatusAsync("/config"));
    }

    /// <summary>As the superuser of the file.</summary>
    private static async Task<string?> SqlAsync(TestNode node, string sql)
    {
        var login = new NpgsqlConnectionStringBuilder(node.ConnectionString) { Password = "change-me" };
        await using var connection = new NpgsqlConnection(login.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return (await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))?.ToString();
    }

    private static async Task<(int Code, string Sentence)> SwitchoverAsync(
        TestNode node, string leader, string candidate)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post,
            string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{node.RestPort}/switchover"));
        request.Headers.Authorization = new AuthenticationHeaderValue(
            "Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes("admin:change-me")));
        request.Content = new StringContent($$"""{"leader":"{{leader}}","candidate":"{{candidate}}"}""");
        using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)answer.StatusCode,
            await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static string Device(TestNode node) => Path.Combine(node.DirectoryPath, "watchdog");

    private static string Log(TestNode node)
    {
        var file = Path.Combine(node.DirectoryPath, "log", "patroni.log");
        return File.Exists(file) ? File.ReadAllText(file) : "";
    }

    /// <summary>The file, with the addresses and paths of this machine, on which all three nodes run.</summary>
    private static string Adapted(TestCluster cluster, TestNode node, string name)
    {
        var etcd = $"{cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port}";
        (string Theirs, string Ours)[] changes =
        [
            ("name: zabbixdb01", $"name: {name}"),
            ("listen: 0.0.0.0:8008", $"listen: 127.0.0.1:{node.RestPort}"),
            ("connect_address: zabbixdb01.example.com:8008", $"connect_address: 127.0.0.1:{node.RestPort}"),
            ("zabbixdb01.example.com:2379,zabbixdb02.example.com:2379,zabbixdb03.example.com:2379", etcd),
            ("listen: 0.0.0.0:5432", $"listen: 127.0.0.1:{node.Port}"),
            ("connect_address: zabbixdb01.example.com:5432", $"connect_address: 127.0.0.1:{node.Port}"),
            ("dir: /var/log/patroni", $"dir: {node.DirectoryPath}/log"),
            ("data_dir: /data/patroni", $"data_dir: {node.DataDirectory}"),
            // The three nodes have one home directory, where the password file would be.
            ("config_dir: /data/patroni", $"config_dir: {node.DataDirectory}\n  pgpass: {node.DirectoryPath}/pgpass"),
            ("bin_dir: /usr/pgsql-17/bin", "bin_dir: " + PostgresUnderTest.Folder),
            ("'/var/run/postgresql'", $"'{node.DirectoryPath}'"),
            ("cs_CZ.UTF-8", "C.UTF-8"),
            // A pipe in place of the device.
            ("device: /dev/watchdog", $"driver: testing\n  device: {Device(node)}"),
        ];
        var text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Examples", "three-nodes.yml"));
        foreach (var (theirs, ours) in changes)
        {
            Assert.Contains(theirs, text, StringComparison.Ordinal);
            text = text.Replace(theirs, ours, StringComparison.Ordinal);
        }
        return text;
    }
}
