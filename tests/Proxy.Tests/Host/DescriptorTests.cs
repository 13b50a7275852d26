using System.Globalization;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>The real program without descriptors: it waits, says so, and goes on.</summary>
[Trait("Category", "Integration")]
public sealed class DescriptorTests(PretendCluster cluster) : IClassFixture<PretendCluster>
{
    [Fact]
    public async Task Without_descriptors_clients_wait_until_some_are_free()
    {
        await using var proxy = await cluster.ProxyAsync();
        var held = await FillAsync(proxy);

        using var waiting = new RawClient(proxy.WritePort);
        var login = waiting.LoginAsync();
        await proxy.UntilAsync(() => proxy.Log.Contains("No descriptors or memory", StringComparison.Ordinal),
            "it says what it lacks");
        Assert.False(login.IsCompleted);
        held.ForEach(client => client.Dispose());

        Assert.Null(await login);
        Assert.Equal(200, (await proxy.GetAsync("/readyz")).Code);
        Assert.Single(proxy.Log.Split('\n'),
            line => line.Contains("No descriptors or memory", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Told_to_end_without_descriptors_it_resets_nobody_who_waits_in_the_queue()
    {
        await using var proxy = await cluster.ProxyAsync();
        var held = await FillAsync(proxy);
        using var waiting = new RawClient(proxy.WritePort);
        var login = waiting.LoginAsync();
        await proxy.UntilAsync(() => proxy.Log.Contains("No descriptors or memory", StringComparison.Ordinal),
            "it says what it lacks");

        proxy.Send(ProcessSignal.Terminate);

        Assert.Equal("57P03", await login);   // in words
        Assert.Equal(0, await proxy.WaitForExitAsync());
        held.ForEach(client => client.Dispose());
    }

    // Sessions until no further one fits; the limit is lowered on the running process.
    private static async Task<List<RawClient>> FillAsync(ProxyProcess proxy)
    {
        Assert.SkipUnless(Programs.AreNative,
            "On the JIT a process without descriptors can't load its own code: ./test runs it with the native "
                + "program.");
        const int Room = 8;
        var limit =
            Directory.GetFiles($"/proc/{proxy.Id}/fd")
                .Select(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture)).Max() + 1 + Room;
        using var directory = new TempDirectory("limit");
        OrdinaryProcess.GiveAway(directory.Path);
        using var lower = OrdinaryProcess.Start(
            directory["log"], directory.Path, "prlimit", $"--pid={proxy.Id}",
            string.Create(CultureInfo.InvariantCulture, $"--nofile={limit}:{limit}"));
        Assert.Equal(0, await lower.WaitForExitAsync(TimeSpan.FromSeconds(10)));
        var held = new List<RawClient>();
        while (Directory.GetFiles($"/proc/{proxy.Id}/fd").Length < limit - 1)
        {
            var client = new RawClient(proxy.WritePort);
            held.Add(client);
            var code = await client.LoginAsync();
            Assert.True(code is null, $"{code}\n{proxy.Log}");
        }
        // The last descriptors go to connections that say nothing yet.
        while (Directory.GetFiles($"/proc/{proxy.Id}/fd").Length < limit)
        {
            held.Add(new RawClient(proxy.WritePort));
            var wanted = Directory.GetFiles($"/proc/{proxy.Id}/fd").Length + 1;
            await WaitUntil.TrueAsync(
                () => Directory.GetFiles($"/proc/{proxy.Id}/fd").Length >= Math.Min(wanted, limit));
        }
        return held;
    }
}
