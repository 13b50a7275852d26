using System.Net;
using System.Net.Http.Json;
using Routing.DapperShop;
using Routing.Driver;
using Routing.TestKit;

namespace Routing.Samples.Tests;

/// <summary>Every sample does what it shows, also over a change of leader.</summary>
[Collection(SampleCluster.Name)]
public sealed class SampleTests(SampleCluster fixture)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Plain_ADO_from_the_package()
    {
        Installed.Require("sample");
        var (cluster, leader) = await fixture.TakeAsync();
        using var directory = new TempDirectory("sample");
        OrdinaryProcess.GiveAway(directory.Path);
        var log = directory["out"];

        using var sample = OrdinaryProcess.Start(
            log, directory.Path, Programs.Sample, SampleCluster.ConnectionString(cluster));
        var code = await sample.WaitForExitAsync(TimeSpan.FromSeconds(30));

        var output = await File.ReadAllTextAsync(log, Cancellation);
        Assert.True(code == 0, output);
        Assert.Contains("is an umbrella", output, StringComparison.Ordinal);
        Assert.Contains($"{leader.Name} leads", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dapper()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var source = RoutingDataSource.Create(SampleCluster.ConnectionString(cluster));
        var shop = new Shop(source);
        await shop.CreateAsync();
        var first = await shop.OrderAsync("umbrella");

        await SampleCluster.SwitchOverAsync(cluster, leader);

        Assert.True(await shop.OrderAsync("boots") > first);
        await cluster.UntilAsync(async () => await shop.CountAsync() >= 2, "the replicas know of both orders");
    }

    [Fact]
    public async Task A_web_application()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await leader.SqlAsync("CREATE TABLE IF NOT EXISTS web_orders (id bigserial PRIMARY KEY, article text)");
        var address = new Uri($"http://127.0.0.1:{FreePorts.Take()}");
        await using var app = WebShop.WebShop.Build(
        [
            $"--urls={address}", $"--Orders:Cluster={cluster.Scope}",
            $"--Orders:Etcd:0={cluster.Etcd.Endpoint.Host}:{cluster.Etcd.Endpoint.Port}",
            $"--Orders:ConnectionString={SampleCluster.Login}", "--Logging:LogLevel:Default=Warning",
        ]);
        await app.StartAsync(Cancellation);
        using var cookies = new HttpClientHandler { CookieContainer = new CookieContainer() };
        using var client = new HttpClient(cookies) { BaseAddress = address };

        // prometheus-net listens to meters from its first scrape on
        await client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Cancellation);

        for (var round = 0; round < 20; round++)
        {
            using var ordered =
                await client.PostAsync(new Uri("/orders/umbrella", UriKind.Relative), null, Cancellation);
            var id = await ordered.Content.ReadFromJsonAsync<long>(Cancellation);
            Assert.Equal("umbrella",
                await client.GetFromJsonAsync<string>(new Uri($"/orders/{id}", UriKind.Relative), Cancellation));
        }
        var metrics = await client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Cancellation);
        var health = await client.GetStringAsync(new Uri("/health", UriKind.Relative), Cancellation);
        await app.StopAsync(Cancellation);

        Assert.Equal("Healthy", health);
        Assert.Contains($"routing_driver_leader_known{{cluster=\"{cluster.Scope}\"}} 1", metrics,
            StringComparison.Ordinal);
        Assert.Contains("routing_driver_open_duration", metrics, StringComparison.Ordinal);
    }
}
