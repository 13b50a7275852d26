using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Routing.Load;

/// <summary>Lets everybody log in and then says nothing: thousands of idle sessions without thousands of PostgreSQL backends.</summary>
internal sealed class PretendBackend : IDisposable
{
    private static readonly byte[] s_welcome =
    [
        .. Message('R', [0, 0, 0, 0]),
        .. Message('S', "server_version\0"u8, "15.1\0"u8),
        .. Message('S', "in_hot_standby\0"u8, "off\0"u8),
        .. Message('K', [0, 0, 0, 1, 0, 0, 0, 2]),
        .. Message('Z', "I"u8),
    ];

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private int _logins;

    public PretendBackend()
    {
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _socket.Listen(4096);
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

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

    public void Dispose() => _socket.Dispose();

    private static byte[] Message(char type, ReadOnlySpan<byte> body, ReadOnlySpan<byte> more = default) =>
        [(byte)type, 0, 0, 0, (byte)(sizeof(int) + body.Length + more.Length), .. body, .. more];

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _socket.AcceptAsync());
            }
        }
        catch (Exception over) when (over is SocketException or ObjectDisposedException)
        {
            // disposed of
        }
    }

    private async Task ServeAsync(Socket peer)
    {
        using (peer)
        {
            try
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
            catch (SocketException)
            {
                // reset
            }
        }
    }
}
