using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>
/// <c>check_patroni</c>, unchanged, on a cluster of ours: each of its services, with the exit code of Nagios.
/// </summary>
/// <remarks>
/// Debian has it from 13 on. <c>ROUTING_CHECK_PATRONI</c> names the program where it is not installed.
/// </remarks>
[Collection(SecondCluster.Name)]
public sealed class CheckPatroniTests(ClusterFixture fixture)
{
    private const int Ok = 0;
    private const int Warning = 1;
    private const int Critical = 2;

    private static string Program =>
        Environment.GetEnvironmentVariable("ROUTING_CHECK_PATRONI") is { Length: > 0 } named
            ? named
            : "/usr/bin/check_patroni";

    [Fact]
    public async Task Each_of_its_services_has_its_verdict()
    {
        Assert.SkipUnless(File.Exists(Program), "There is no check_patroni: Debian has it from 13 on.");
        var (cluster, leader) = await fixture.TakeAsync();
        using var directory = new TempDirectory("check-patroni");
        OrdinaryProcess.GiveAway(directory.Path);
        var standby = cluster.ReplicasOf(leader)[0];
        var timeline = (await leader.DocumentAsync("/patroni"))["timeline"]!.ToString();

        await IsAsync(Ok, "cluster_has_leader");
        await IsAsync(Ok, "cluster_has_replica", "--warning", "2:", "--critical", "1:", "--max-lag", "16MB");
        await IsAsync(Critical, "cluster_has_replica", "--critical", "5:");
        await IsAsync(Ok, "cluster_node_count", "--warning", "3:", "--critical", "2:", "--healthy-critical", "3:");
        await IsAsync(Warning, "cluster_node_count", "--warning", "9:");
        await IsAsync(Ok, "cluster_is_in_maintenance");
        await IsAsync(Ok, "cluster_has_scheduled_action");
        await IsAsync(Critical, "cluster_config_has_changed", "--hash", "another");
        await OfAsync(leader, Ok, "node_is_alive");
        await OfAsync(leader, Ok, "node_is_primary");
        await OfAsync(standby, Critical, "node_is_primary");
        await OfAsync(leader, Ok, "node_is_leader");
        await OfAsync(standby, Critical, "node_is_leader");
        await OfAsync(standby, Ok, "node_is_replica", "--max-lag", "16MB");
        await OfAsync(standby, Ok, "node_is_replica", "--is-async");
        await OfAsync(standby, Critical, "node_is_replica", "--is-sync");
        await OfAsync(leader, Critical, "node_is_replica");
        await OfAsync(standby, Ok, "node_is_pending_restart");
        await OfAsync(leader, Ok, "node_patroni_version", "--patroni-version", "4.1.4");
        await OfAsync(leader, Critical, "node_patroni_version", "--patroni-version", "9.9.9");
        await OfAsync(leader, Ok, "node_tl_has_changed", "--timeline", timeline);
        await OfAsync(leader, Critical, "node_tl_has_changed", "--timeline", "99999");
        Assert.Equal(leader, await cluster.HealthyAsync());

        Task IsAsync(int code, params string[] service) => AskAsync(
            code, string.Join(',', cluster.Nodes.Select(node => $"http://{node.Machine.Address}:{node.RestPort}")),
            service);

        Task OfAsync(TestNode node, int code, params string[] service) =>
            AskAsync(code, $"http://{node.Machine.Address}:{node.RestPort}", service);

        async Task AskAsync(int code, string endpoints, string[] service)
        {
            var log = directory[$"{Guid.NewGuid():N}.log"];
            using var process = OrdinaryProcess.Start(
                log, directory.Path, [Program, "--timeout", "30", "--endpoints", endpoints, .. service]);
            var said = await process.WaitForExitAsync(TestCluster.Patience);
            Assert.True(said == code,
                $"{string.Join(' ', service)}: {said} instead of {code}: {await File.ReadAllTextAsync(log)}");
        }
    }
}
