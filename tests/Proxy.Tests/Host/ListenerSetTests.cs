using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Host;
using Routing.Proxy.Tests.Sessions;
using Routing.Proxy.Transport;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Host;

/// <summary>The sockets that the proxy listens at.</summary>
public sealed class ListenerSetTests
{
    [Fact]
    public async Task A_reload_that_ends_after_the_stop_opens_no_listener()
    {
        await using var rig = new Rig();
        await using var transport =
            TransportFactory.Create("epoll", 1, Favor.Latency, TimeProvider.System, NullLogger.Instance, out _);
        var set = new ListenerSet(transport, rig.Server, NullLogger.Instance);
        ListenerConfig[] before = [Listener("write")], after = [.. before, Listener("read")];
        await set.AdoptAsync(before, set.Open(before, reusePort: false, GivenSockets.None), GivenSockets.None);
        var opened = set.Open(after, reusePort: false, GivenSockets.None);
        Assert.True(IsOpen(before[0]) && IsOpen(after[1]));

        await set.StopAsync();
        await set.AdoptAsync(after, opened, GivenSockets.None);

        Assert.False(IsOpen(before[0]));
        Assert.False(IsOpen(after[1]));
    }

    private static ListenerConfig Listener(string name) => new()
    {
        Name = name,
        Address = new ListenAddress(new HostPort("127.0.0.1", FreePorts.Take()), null),
        Request = new HostRequest { Role = WantedRole.Primary },
    };

    private static bool IsOpen(ListenerConfig listener)
    {
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            client.Connect(new IPEndPoint(IPAddress.Loopback, listener.Address.Tcp!.Value.Port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
