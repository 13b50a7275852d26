using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>Speaks just enough of PostgreSQL's protocol to be logged in to, and does what a test tells it.</summary>
internal sealed class PretendServer : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private int _pid = 1000;

    public PretendServer(bool inRecovery = false)
    {
        InRecovery = inRecovery;
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _socket.Listen(1024);
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
        _ = AcceptAsync();
    }

    /// <summary>What it reports at login.</summary>
    public bool InRecovery { get; set; }

    /// <summary>Answers each start-up with this code, when it is set.</summary>
    public string? RefuseWith { get; set; }

    /// <summary>Does TLS with this certificate when it is asked to; null: answers N.</summary>
    public X509Certificate2? Certificate { get; set; }

    /// <summary>Offers these authentication mechanisms ahead of its welcome, and takes any answer.</summary>
    public string[] Mechanisms { get; set; } = [];

    /// <summary>Takes connections and says nothing.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Does TLS from the first byte, with the protocol's name.</summary>
    public bool IsDirect { get; set; }

    /// <summary>Length of the secret in its keys.</summary>
    public int SecretLength { get; set; } = 4;

    /// <summary>Knows no newer protocol than 3.0, and says so first.</summary>
    public bool Negotiates { get; set; }

    /// <summary>Takes a PROXY header off each connection, and keeps it.</summary>
    public bool TakesHeaders { get; set; }

    /// <summary>The headers that came, in hexadecimal (version 2) or as text (version 1).</summary>
    public ConcurrentQueue<string> Headers { get; } = new();

    /// <summary>Instead of answering queries; null: it answers.</summary>
    public Func<Stream, Task>? Talk { get; set; }

    /// <summary>Answers a query with the bytes that this gives; null: "SELECT 1" and ReadyForQuery.</summary>
    public Func<string, byte[]?> Answer { get; set; } = _ => null;

    public int Port { get; }

    public int Logins { get; private set; }

    /// <summary>How often it was asked for encryption by GSSAPI: by clients that want it, and by probes.</summary>
    public int Probes { get; private set; }

    /// <summary>Pids that were asked to cancel.</summary>
    public ConcurrentQueue<int> Cancelled { get; } = new();

    /// <summary>Start-up packets as they came.</summary>
    public ConcurrentQueue<byte[]> Startups { get; } = new();

    /// <summary>Connections that are open now.</summary>
    public ConcurrentDictionary<Socket, int> Open { get; } = new();

    /// <summary>Its cable is pulled: whatever comes in is dropped, without an answer of any kind.</summary>
    public void Vanish()
    {
        BlackHole.Swallow(_socket);
        foreach (var open in Open.Keys)
        {
            BlackHole.Swallow(open);
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        foreach (var open in Open.Keys)
        {
            open.Dispose();
        }
    }

    /// <summary>A message of the server.</summary>
    public static byte[] Message(char type, params ReadOnlySpan<byte> body)
    {
        var message = new byte[5 + body.Length];
        message[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + body.Length);
        body.CopyTo(message.AsSpan(5));
        return message;
    }

    public static byte[] Ready(char status = 'I') => Message('Z', (byte)status);

    public static byte[] Parameter(string name, string value) => Message('S', Encoding.UTF8.GetBytes($"{name}\0{value}\0"));

    public static byte[] Error(string code) => Message('E', Encoding.UTF8.GetBytes($"SFATAL\0VFATAL\0C{code}\0Mpretended\0\0"));

    private static async Task<byte[]> ReadPacketAsync(Stream stream)
    {
        var head = new byte[4];
        await stream.ReadExactlyAsync(head);
        var packet = new byte[BinaryPrimitives.ReadInt32BigEndian(head)];
        head.CopyTo(packet, 0);
        await stream.ReadExactlyAsync(packet.AsMemory(4));
        return packet;
    }

    private static async Task<string> ReadHeaderAsync(Stream stream)
    {
        var header = new byte[16];
        await stream.ReadExactlyAsync(header.AsMemory(0, 8));
        if (header[0] == 0x0D)
        {
            await stream.ReadExactlyAsync(header.AsMemory(8));
            var body = new byte[BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(14))];
            await stream.ReadExactlyAsync(body);
            return Convert.ToHexString([.. header, .. body]);
        }
        var text = new StringBuilder(Encoding.ASCII.GetString(header, 0, 8));
        while (text[^1] != '\n')
        {
            await stream.ReadExactlyAsync(header.AsMemory(0, 1));
            text.Append((char)header[0]);
        }
        return text.ToString();
    }

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
        Open[peer] = 0;
        try
        {
            Stream stream = new NetworkStream(peer, ownsSocket: true);
            if (IsSilent)
            {
                await stream.ReadExactlyAsync(new byte[100_000]);   // until the other side gives up
            }
            if (TakesHeaders)
            {
                Headers.Enqueue(await ReadHeaderAsync(stream));
            }
            if (IsDirect)
            {
                var encrypted = new SslStream(stream);
                await encrypted.AuthenticateAsServerAsync(
                    new SslServerAuthenticationOptions { ServerCertificate = Certificate, ApplicationProtocols = [new SslApplicationProtocol("postgresql")] });
                stream = encrypted;
            }
            var packet = await ReadPacketAsync(stream);
            while (BinaryPrimitives.ReadInt32BigEndian(packet.AsSpan(4)) is var request && request is (80_877_103 or 80_877_104))
            {
                if (request == 80_877_104)
                {
                    Probes++;
                    await stream.WriteAsync("N"u8.ToArray());
                    packet = await ReadPacketAsync(stream);
                    continue;
                }
                await stream.WriteAsync(Certificate is null ? "N"u8.ToArray() : "S"u8.ToArray());
                if (Certificate is not null)
                {
                    var encrypted = new SslStream(stream);
                    await encrypted.AuthenticateAsServerAsync(Certificate);
                    stream = encrypted;
                }
                packet = await ReadPacketAsync(stream);
            }
            if (BinaryPrimitives.ReadInt32BigEndian(packet.AsSpan(4)) == 80_877_102)
            {
                Cancelled.Enqueue(BinaryPrimitives.ReadInt32BigEndian(packet.AsSpan(8)));
                return;
            }
            Startups.Enqueue(packet);
            byte[] negotiation = Negotiates ? Message('v', [0, 3, 0, 0, 0, 0, 0, 1, .. "_pq_.grease\0"u8]) : [];
            if (RefuseWith is { } code)
            {
                await stream.WriteAsync((byte[])[.. negotiation, .. Error(code)]);
                return;
            }
            if (Mechanisms.Length > 0)
            {
                await stream.WriteAsync(Message('R', [0, 0, 0, 10, .. Encoding.UTF8.GetBytes(string.Join('\0', Mechanisms) + "\0\0")]));
                await stream.ReadExactlyAsync(new byte[5]);   // an empty answer
            }
            var pid = Interlocked.Increment(ref _pid);
            Open[peer] = pid;
            var key = new byte[4 + SecretLength];
            BinaryPrimitives.WriteInt32BigEndian(key, pid);
            BinaryPrimitives.WriteInt32BigEndian(key.AsSpan(4), pid * 7919);
            byte[] welcome =
            [
                .. negotiation, .. Message('R', 0, 0, 0, 0), .. Parameter("server_version", "15.1"), .. Parameter("in_hot_standby", InRecovery ? "on" : "off"),
                .. Message('K', key), .. Ready(),
            ];
            Logins++;
            await stream.WriteAsync(welcome);
            if (Talk is { } talk)
            {
                await talk(stream);
                return;
            }
            while (true)
            {
                var header = new byte[5];
                await stream.ReadExactlyAsync(header);
                var body = new byte[BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(1)) - 4];
                await stream.ReadExactlyAsync(body);
                if (header[0] == 'X')
                {
                    return;
                }
                var text = Encoding.UTF8.GetString(body).TrimEnd('\0');
                byte[] usual = [.. Message('C', "SELECT 1\0"u8), .. Ready()];
                await stream.WriteAsync(Answer(text) ?? usual);
            }
        }
        catch (Exception over) when (over is IOException or SocketException or ObjectDisposedException or AuthenticationException)
        {
            // the other side is gone, or does not trust us
        }
        finally
        {
            Open.TryRemove(peer, out _);
            peer.Dispose();
        }
    }
}
