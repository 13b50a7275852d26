using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>
/// A primary that cannot reach etcd, and which others can still ask: they ask it before one of them leads.
/// </summary>
public sealed class CutOffLeaderTests : IAsyncLifetime
{
    private readonly Dictionary<string, TcpRelay> _links = [];
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await TestCluster.StartAsync(new()
    {
        Configure = (node, config) =>
        {
            var link = _links[node.Name] = new TcpRelay(new Uri($"http://{config["etcd3"]!["hosts"]![0]}"));
            config["etcd3"]!["hosts"] = new JsonArray($"{link.Endpoint.Host}:{link.Endpoint.Port}");
        },
    });

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        foreach (var link in _links.Values)
        {
            await link.DisposeAsync();
        }
    }

    /// <summary>In a pause no guard stops it, and it does not hear that the pause is over.</summary>
    [Fact]
    public async Task A_primary_that_was_cut_off_in_a_pause_stays_the_only_one_after_it()
    {
        var leader = await _cluster.HealthyAsync();
        var others = _cluster.ReplicasOf(leader);
        await _cluster.ConfigureAsync(new JsonObject { ["pause"] = true });
        await _cluster.UntilAsync(
            async () => (await leader.GetAsync("/patroni"))?["pause"]?.GetValue<bool>() == true,
            "the leader knows of the pause");
        var writers = await Writer.StartOnEachAsync(_cluster);

        _links[leader.Name].Cut();
        await _cluster.UntilAsync(async () => await _cluster.LeaderNameAsync() is null,
            "the lease of the leader has ended");
        Assert.Equal(200, (await others[0].SendAsync("PATCH", "/config", new JsonObject { ["pause"] = null })).Code);
        foreach (var other in others)
        {
            await _cluster.UntilAsync(() => other.CountInLog($"{leader} still runs as a primary") > 0,
                $"{other} has asked the old leader");
        }
        // Twice the life of the lease.
        await Task.Delay(_cluster.Ttl * 2, TestContext.Current.CancellationToken);
        var during = await _cluster.LeaderNameAsync();
        _links[leader.Name].Refuses = false;
        await _cluster.HealthyAsync();

        Assert.Null(during);
        await AssertOnePrimaryAsync(writers);
    }

    /// <summary>The leader counts on a consent for its whole time: it cannot know what was configured since.</summary>
    [Fact]
    public async Task A_consent_binds_though_failsafe_mode_is_switched_off()
    {
        var leader = await _cluster.HealthyAsync();
        var other = _cluster.ReplicasOf(leader)[0];
        await _cluster.UseFailsafeAsync();
        var writers = await Writer.StartOnEachAsync(_cluster);

        _links[leader.Name].Cut();
        await _cluster.UntilAsync(async () => await _cluster.LeaderNameAsync() is null,
            "the lease of the leader has ended");
        await _cluster.UntilAsync(
            async () => (await leader.GetAsync("/patroni"))?["failsafe_mode_is_active"]?.GetValue<bool>() == true,
            "failsafe mode is active");
        Assert.Equal(
            200, (await other.SendAsync("PATCH", "/config", new JsonObject { ["failsafe_mode"] = null })).Code);
        var next = await _cluster.LeaderAsync(not: leader);
        await Task.Delay(_cluster.Ttl, TestContext.Current.CancellationToken);
        _links[leader.Name].Refuses = false;
        await _cluster.HealthyAsync();

        Assert.NotEqual(leader, next);
        await AssertOnePrimaryAsync(writers);
    }

    private async Task AssertOnePrimaryAsync(IReadOnlyList<Writer> writers)
    {
        foreach (var writer in writers)
        {
            await writer.DisposeAsync();
        }
        var fault = Judge.FaultIn(writers.SelectMany(writer => writer.Writes));
        Assert.True(fault is null, $"{fault}{_cluster.Report()}");
    }
}
