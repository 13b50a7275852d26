using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Routing.TestKit;

namespace Routing.Load;

/// <summary>
/// Lets everybody log in and then says nothing: thousands of idle sessions without thousands of PostgreSQL backends.
/// </summary>
internal sealed class PretendBackend() : PretendListener(backlog: 4096)
{
    private static readonly byte[] s_welcome =
    [
        .. BackendMessage.LoggedIn, .. BackendMessage.Parameter("server_version", "15.1"),
        .. BackendMessage.Parameter("in_hot_standby", "off"),
        .. BackendMessage.Key(1), .. BackendMessage.Ready(),
    ];

    private int _logins;

    public int Logins => Volatile.Read(ref _logins);

    /// <summary>Logs in through a port and returns the open connection.</summary>
    public static async Task<Socket> LoginAsync(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port);
            byte[] startup = [0, 0, 0, 0, 0, 3, 0, 0, .. "user\0postgres\0database\0postgres\0\0"u8];
            BinaryPrimitives.WriteInt32BigEndian(startup, startup.Length);
            await socket.SendAsync(startup);
            var buffer = new byte[1024];
            var length = 0;
            while (length < 6 || buffer[length - 6] != 'Z')
            {
                var count = await socket.ReceiveAsync(buffer.AsMemory(length));
                if (count == 0 || buffer[0] == 'E')
                {
                    throw new IOException("The login failed.");
                }
                length += count;
            }
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    protected override async Task ServeAsync(Socket peer)
    {
        var buffer = new byte[256];
        if (await peer.ReceiveAsync(buffer) > 0)
        {
            await peer.SendAsync(s_welcome);
            Interlocked.Increment(ref _logins);
            while (await peer.ReceiveAsync(Memory<byte>.Empty) == 0 && await peer.ReceiveAsync(buffer) > 0)
            {
                // whatever it says
            }
        }
    }
}
