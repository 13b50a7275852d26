using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Integration.Tests.Tools;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>What leads clients to a cluster of ours where our proxy is not used: HAProxy, and libpq itself.</summary>
[Collection(SharedCluster.Name)]
public sealed class OtherRouterTests(ClusterFixture fixture)
{
    [Fact]
    public async Task HAProxy_follows_a_switchover_whatever_method_its_checks_use()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        var next = cluster.ReplicasOf(leader)[0];
        Installed.Require("haproxy");
        await using var proxy = new HaProxy();
        int[] write =
        [
            proxy.Listen("GET /primary", cluster.Nodes), proxy.Listen("HEAD /primary", cluster.Nodes),
            proxy.Listen("OPTIONS /primary", cluster.Nodes), proxy.Listen("OPTIONS /leader", cluster.Nodes),
        ];
        int[] read =
        [
            proxy.Listen("GET /replica", cluster.Nodes), proxy.Listen("HEAD /replica?lag=10MB", cluster.Nodes),
            proxy.Listen("OPTIONS /async", cluster.Nodes),
        ];
        var any = proxy.Listen("HEAD /read-only", cluster.Nodes);

        proxy.Start();
        await LeadToAsync(leader);
        await using var session = await ProxyProcess.OpenAsync(write[0]);
        await leader.SendAsync(
            "POST", "/switchover", new JsonObject { ["leader"] = leader.Name, ["candidate"] = next.Name });
        Assert.Equal(next, await cluster.HealthyAsync());
        await LeadToAsync(next);

        await Assert.ThrowsAnyAsync<Npgsql.NpgsqlException>(async () =>
        {
            await using var command = new Npgsql.NpgsqlCommand("SELECT 1", session);
            await command.ExecuteScalarAsync(TestContext.Current.CancellationToken);
        });

        async Task LeadToAsync(TestNode primary)
        {
            int[] standbys = [.. cluster.ReplicasOf(primary).Select(node => node.Port)];
            foreach (var port in write)
            {
                await cluster.UntilAsync(async () => await HaProxy.ServerBehindAsync(port) == primary.Port,
                    () => $"the port for writes leads to {primary.Name}: {proxy.Log}");
            }
            foreach (var port in read)
            {
                await cluster.UntilAsync(
                    async () => await HaProxy.ServerBehindAsync(port) is { } server && standbys.Contains(server),
                    () => $"the port for reads leads to a standby: {proxy.Log}");
            }
            await cluster.UntilAsync(async () => await HaProxy.ServerBehindAsync(any) is not null,
                () => $"the port for all leads anywhere: {proxy.Log}");
        }
    }

    /// <summary>
    /// Pgpool looks for the primary again when a server goes away. Ours stops the former one for its demotion, which a
    /// session that is open meanwhile lets pgpool notice.
    /// </summary>
    [Fact]
    public async Task Pgpool_finds_the_new_primary_and_takes_the_former_one_back_as_a_standby()
    {
        Installed.Require("pgpool");
        var (cluster, leader) = await fixture.TakeAsync();
        var next = cluster.ReplicasOf(leader)[0];
        await using var pool = new PgPool(cluster.Nodes);
        await LeadsToAsync(leader);
        await using var session = await pool.OpenAsync();

        var switched = leader.SendAsync(
            "POST", "/switchover", new JsonObject { ["leader"] = leader.Name, ["candidate"] = next.Name });
        await LeadsToAsync(next);

        Assert.Equal(200, (await switched).Code);

        Task LeadsToAsync(TestNode primary) => cluster.UntilAsync(
            async () => await pool.WritesToAsync() == primary.Port
                && await pool.NodesAsync() is { } nodes
                && cluster.Nodes.All(node => nodes[node.Port] == (node == primary ? "primary up" : "standby up")),
            () => $"pgpool leads to {primary.Name}, and has the others as standbys: {pool.Log}",
            TestCluster.Patience * 2);
    }

    [Theory]
    [InlineData("read-write", true)]
    [InlineData("primary", true)]
    [InlineData("read-only", false)]
    [InlineData("standby", false)]
    [InlineData("prefer-standby", false)]
    public async Task Libpq_finds_a_server_of_its_kind_among_all_members(string kind, bool primary)
    {
        Assert.SkipUnless(
            kind == "read-write" || PostgresUnderTest.Major >= 14, "libpq knows this kind of server since 14.");
        var (cluster, leader) = await fixture.TakeAsync();
        using var directory = new TempDirectory("psql");
        OrdinaryProcess.GiveAway(directory.Path);
        var hosts = string.Join(',', cluster.Nodes.Select(_ => "127.0.0.1"));
        var ports = string.Join(',', cluster.Nodes.Select(node => node.Port.ToString(CultureInfo.InvariantCulture)));

        using var psql = OrdinaryProcess.Start(
            directory["log"], directory.Path, PostgresClient.PathOf("psql"),
            $"host={hosts} port={ports} user=postgres password=super dbname=postgres gssencmode=disable "
                + $"connect_timeout=20 target_session_attrs={kind}",
            "-XAtc", "SHOW port");
        var code = await psql.WaitForExitAsync(TestCluster.Patience);
        var output = await File.ReadAllTextAsync(directory["log"], TestContext.Current.CancellationToken);

        Assert.True(code == 0, output);
        Assert.Equal(primary, int.Parse(output, CultureInfo.InvariantCulture) == leader.Port);
    }
}

/// <summary>HAProxy's checks over TLS at members that demand a certificate of each client.</summary>
public sealed class HaProxyTlsTests
{
    [Fact]
    public async Task Checks_with_a_client_certificate_find_the_primary_and_those_without_do_not()
    {
        using var certificates = new CertificateFiles();
        var (member, client) =
            (certificates.FileFor("127.0.0.1", "member.pem"), certificates.FileFor("127.0.0.1", "haproxy.pem"));
        await using var cluster = await TestCluster.PrepareAsync(new()
        {
            Nodes = 1,
            Configure = (_, config) =>
            {
                var rest = config["restapi"]!.AsObject();
                (rest["certfile"], rest["keyfile"], rest["cafile"], rest["verify_client"]) =
                    (member, member, certificates.Authority, "required");
            },
        });
        Installed.Require("haproxy");
        await using var proxy = new HaProxy();
        var trusted = $"check-ssl verify required ca-file {certificates.Authority}";
        var known = proxy.Listen("HEAD /primary", cluster.Nodes, $"{trusted} crt {client}");
        var options = proxy.Listen("OPTIONS /primary", cluster.Nodes, $"{trusted} crt {client}");
        var unknown = proxy.Listen("HEAD /primary", cluster.Nodes, trusted);
        proxy.Start();

        cluster.Nodes[0].Start();
        await cluster.UntilAsync(
            async () => await HaProxy.ServerBehindAsync(known) == cluster.Nodes[0].Port
                && await HaProxy.ServerBehindAsync(options) == cluster.Nodes[0].Port,
            () => $"the checks with a certificate find the primary: {proxy.Log}");

        Assert.Null(await HaProxy.ServerBehindAsync(unknown));
    }
}
