using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;

namespace Routing.Agent.Tests.Rest;

/// <summary>How many connections may wait until REST accepts them: asked of the kernel.</summary>
public sealed class RequestQueueTests
{
    private const int ProtocolTcp = 6;
    private const int TcpInfo = 11;

    /// <summary>In the kernel's struct tcp_info: of a listening socket, how many connections may wait.</summary>
    private const int MostWaitingAt = 28;

    [Fact]
    public async Task As_many_connections_may_wait_as_is_configured_also_after_a_reload()
    {
        var settings = RestHost.Loopback() with { RequestQueueSize = 7 };
        await using var host = await RestHost.StartAsync(Nodes.Primary, settings);
        var before = MostWaiting(settings.Listen.Port);

        await host.Server.ReloadAsync(
            settings with { RequestQueueSize = 9 }, TestContext.Current.CancellationToken);

        Assert.Equal((7, 9), (before, MostWaiting(settings.Listen.Port)));
    }

    private static int MostWaiting(int port)
    {
        const string Listening = "0A";
        var address = $":{port:X4}";
        var inode = File.ReadLines("/proc/self/net/tcp")
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Single(words => words[3] == Listening && words[1].EndsWith(address, StringComparison.Ordinal))[9];
        var descriptor = Directory.EnumerateFiles("/proc/self/fd")
            .First(path => new FileInfo(path).LinkTarget == $"socket:[{inode}]");
        using var socket = new Socket(
            new SafeSocketHandle(
                int.Parse(Path.GetFileName(descriptor), CultureInfo.InvariantCulture), ownsHandle: false));
        Span<byte> info = stackalloc byte[MostWaitingAt + sizeof(int)];
        socket.GetRawSocketOption(ProtocolTcp, TcpInfo, info);
        return BinaryPrimitives.ReadInt32LittleEndian(info[MostWaitingAt..]);
    }
}
