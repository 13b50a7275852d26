using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Agent.Config;
using Routing.Agent.Fence;
using Routing.Agent.Loop;
using Routing.Agent.Native;
using Routing.Agent.Tests.Native;
using Routing.Agent.Watchdog;
using Routing.Cluster;

namespace Routing.Agent.Tests.Fence;

/// <summary>
/// A node that died as the leader comes back: the order to guard its postmaster is still there, the postmaster is not.
/// </summary>
[Trait("Category", "Integration")]
public sealed class LeftOverOrderTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("routing-fence-").FullName;
    private readonly List<FenceClient> _clients = [];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        foreach (var client in _clients)
        {
            client.Dismiss();
            client.Dispose();
        }
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>
    /// Otherwise it would say that it has no fence, and every member would take the long leases of the unfenced.
    /// </summary>
    [Fact]
    public async Task The_agent_has_a_fence_from_its_first_look_on()
    {
        using var postmaster = Process.Start("sleep", "1000");
        var fence = await OrderOfAnEarlierAgentAsync(postmaster);
        RealPostgres.Signal(Signals.Kill, fence);
        postmaster.Kill();
        await postmaster.WaitForExitAsync(Cancelled);
        await Eventually.TrueAsync(() => ProcessStat.Read(fence) is not { IsAlive: true }, "the former fence is gone");

        var next = Client();
        var watchdog = new DeviceWatchdog(
            new WatchdogSettings { Mode = WatchdogMode.Off }, _ => throw new InvalidOperationException("it is off"),
            TimeProvider.System, _ => { });
        var guard = new PrimaryGuard(next, watchdog, () => Timing.Default, TimeProvider.System,
            NullLogger<PrimaryGuard>.Instance);
        await guard.TendAsync(Cancelled);

        Assert.True(guard.IsFenced);
        Assert.Equal(0, next.ArmedPid);
        // until the agent takes it back, or its time comes: children of the postmaster may live on
        Assert.True(next.IsArmed);
        Assert.NotEqual(fence, next.FencePid);
    }

    /// <summary>
    /// An agent that finds its name in the leader key puts the key on its own lease: should it die at once, the order
    /// must not be the longer one.
    /// </summary>
    [Fact]
    public async Task The_deadline_of_an_earlier_agents_order_is_brought_forward_and_never_put_back()
    {
        using var postmaster = Process.Start("sleep", "1000");
        _ = await OrderOfAnEarlierAgentAsync(postmaster);
        var next = Client();
        await next.EnsureRunningAsync(Cancelled);
        Assert.Equal(postmaster.Id, next.ArmedPid);

        next.BringForward(After(TimeSpan.FromSeconds(0.3)));
        next.BringForward(After(TimeSpan.FromSeconds(600)));
        await postmaster.WaitForExitAsync(Cancelled).WaitAsync(TimeSpan.FromSeconds(30), Cancelled);

        await Eventually.TrueAsync(() => !next.IsArmed, "the order is carried out");
        Assert.Equal(postmaster.Id, next.LastFencing?.PostmasterPid);
        Assert.Equal(0, next.ArmedPid);
    }

    /// <summary>Gives the order to guard a postmaster for a minute, and lets go of its fence.</summary>
    /// <returns>The fence.</returns>
    private async Task<int> OrderOfAnEarlierAgentAsync(Process postmaster)
    {
        var former = Client();
        await former.EnsureRunningAsync(Cancelled);
        former.Arm(postmaster.Id, ProcessStat.Read(postmaster.Id)!.Value.StartTicks, After(TimeSpan.FromSeconds(60)));
        Assert.True(await former.WaitUntilGuardingAsync(TimeSpan.FromSeconds(10), Cancelled));
        var fence = former.FencePid!.Value;
        _clients.Remove(former);
        former.Dispose();
        return fence;
    }

    private static long After(TimeSpan span) =>
        TimeProvider.System.GetTimestamp() + (long)(span.TotalSeconds * TimeProvider.System.TimestampFrequency);

    private FenceClient Client()
    {
        var client = new FenceClient(
            new FenceSettings(Path.Combine(_directory, "page", "fence"), "dotnet",
                [Path.Combine(AppContext.BaseDirectory, "Routing.Agent.dll")]),
            TimeProvider.System, () => { });
        _clients.Add(client);
        return client;
    }
}
