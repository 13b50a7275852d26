using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using Routing.TestKit;

namespace Routing.Integration.Tests;

/// <summary>Whatever a client says, the proxy answers as the server behind it would.</summary>
[Collection(SecondCluster.Name)]
public sealed class ProxyProtocolTests(ClusterFixture fixture)
{
    private const int Version30 = 3 << 16, SslRequest = 80_877_103, CancelRequest = 80_877_102;
    private const int AuthenticationOk = 0;
    private const int LongestStartup = 10_000;   // without its length
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    // The server closes with what it has not read: then its last words may be lost. So nothing stands behind a mistake.
    private static readonly byte[] s_user = "user\0postgres\0"u8.ToArray();
    private static readonly byte[] s_login = Startup(Version30, "user\0postgres\0database\0postgres\0\0");
    private static readonly byte[] s_query = [.. BackendMessage.Of('Q', "select 1\0"u8)];

    /// <summary>What is sent; the client's stream ends behind it where the answer would be awaited for ever.</summary>
    private static readonly Dictionary<string, byte[][]> s_said = new(StringComparer.Ordinal)
    {
        ["an unknown protocol option"] = [Startup(Version30, "user\0postgres\0_pq_.grease\0001\0\0")],
        ["an option without a name"] = [Startup(Version30, "user\0postgres\0_pq_.\0x\0\0")],
        ["protocol 3.2"] = [Startup(Version30 + 2, "user\0postgres\0\0")],
        ["protocol 3.2 with an option"] = [Startup(Version30 + 2, "user\0postgres\0_pq_.x\0y\0\0")],
        ["protocol 3.65535"] = [Startup(Version30 + 0xFFFF, "user\0postgres\0\0")],
        ["protocol 4.0"] = [Startup(4 << 16, "user\0postgres\0\0")],
        ["two users"] = [Startup(Version30, "user\0nobody\0user\0postgres\0database\0postgres\0\0")],
        ["another second user"] = [Startup(Version30, "user\0postgres\0user\0nobody\0database\0postgres\0\0")],
        ["no user"] = [Startup(Version30, "database\0postgres\0\0")],
        ["an empty user"] = [Startup(Version30, "user\0\0database\0postgres\0\0")],
        ["an empty database"] = [Startup(Version30, "user\0postgres\0database\0\0\0")],
        ["a long database"] = [Startup(Version30, $"user\0postgres\0database\0{new string('d', 100)}\0\0")],
        ["no parameters"] = [Startup(Version30, "\0")],
        ["no list"] = [Startup(Version30, "")],
        ["a list without an end"] = [Startup(Version30, "user\0postgres\0")],
        ["a list with two ends"] = [Startup(Version30, "user\0postgres\0\0\0")],
        ["bytes behind the list"] = [Startup(Version30, "user\0postgres\0\0x")],
        ["a name without a value"] = [Startup(Version30, "user\0postgres\0data")],
        ["a value without an end"] = [Startup(Version30, "user\0postgres\0database\0post")],
        ["a parameter that is none"] = [Startup(Version30, "user\0postgres\0no_such_parameter\0x\0\0")],
        ["an encoding that is none"] = [Startup(Version30, "user\0postgres\0client_encoding\0x\0\0")],
        ["replication that is none"] = [Startup(Version30, "user\0postgres\0replication\0maybe\0\0")],
        ["replication that is empty"] = [Startup(Version30, "user\0postgres\0replication\0\0\0")],
        ["the longest start-up"] = [Longest(LongestStartup)],
        ["a longer start-up"] = [Longest(LongestStartup + 1)],
        ["lengths that can't be"] = [[0, 0, 0, 4]],
        ["a length below zero"] = [[0xFF, 0xFF, 0xFF, 0xFF, 0, 3, 0, 0]],
        ["another protocol"] = ["GET / HTTP/1.1\r\n\r\n"u8.ToArray()],
        ["encryption twice"] = [Packet(SslRequest), Packet(SslRequest)],
        ["a request to cancel nobody"] = [Packet(CancelRequest, 0, 0, 0, 1, 0, 0, 0, 2)],
        ["a request to cancel, too short"] = [Packet(CancelRequest, 0, 0, 0, 1)],
        ["a request to cancel behind one for TLS"] =
            [Packet(SslRequest), Packet(CancelRequest, 0, 0, 0, 1, 0, 0, 0, 2)],
        ["a statement behind the start-up"] = [[.. s_login, .. s_query]],
        ["a message of no known type"] = [s_login, BackendMessage.Of('!')],
        ["half a message"] = [s_login, [(byte)'Q', 0, 0, 0, 13, (byte)'s']],
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whatever_a_client_says_it_is_answered_as_the_server_does()
    {
        var (cluster, leader) = await fixture.TakeAsync();
        await using var proxy = await ProxyProcess.StartAsync(cluster);
        var differing = new List<string>();

        foreach (var (what, bytes) in s_said)
        {
            var server = await TalkAsync(leader.Machine.Address, leader.Port, bytes);
            var proxied = await TalkAsync("127.0.0.1", proxy.WritePort, bytes);
            if (server != proxied)
            {
                differing.Add($"{what}: the server says {server}, the proxy {proxied}");
            }
        }

        Assert.Empty(differing);
        await using var still = await ProxyProcess.OpenAsync(proxy.WritePort);
    }

    /// <summary>Says one part after the other, each when the one before is answered; then ends its stream.</summary>
    private static async Task<string> TalkAsync(string host, int port, byte[][] parts)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(s_limit);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(host, port, limit.Token);
        var heard = new StringBuilder();
        try
        {
            foreach (var part in parts)
            {
                await socket.SendAsync(part, limit.Token);
                if (part != parts[^1])
                {
                    await HearAsync(socket, heard, untilReady: true, limit.Token);
                }
            }
            socket.Shutdown(SocketShutdown.Send);
            await HearAsync(socket, heard, untilReady: false, limit.Token);
        }
        catch (Exception end) when (end is SocketException or IOException)
        {
            // it was hung up on
        }
        return heard.ToString();
    }

    /// <summary>Types of messages, the codes of errors and of requests to log in.</summary>
    private static async Task HearAsync(Socket socket, StringBuilder heard, bool untilReady, CancellationToken limit)
    {
        await using var stream = new NetworkStream(socket);
        while (true)
        {
            var type = new byte[1];
            if (await stream.ReadAtLeastAsync(type, 1, throwOnEndOfStream: false, limit) == 0)
            {
                return;
            }
            heard.Append((char)type[0]);
            if (type[0] == 'N' && heard.Length == 1)
            {
                return;   // no encryption
            }
            var length = new byte[4];
            await stream.ReadExactlyAsync(length, limit);
            var body = new byte[BinaryPrimitives.ReadInt32BigEndian(length) - 4];
            await stream.ReadExactlyAsync(body, limit);
            heard.Append(type[0] switch
            {
                (byte)'E' => Encoding.UTF8.GetString(body).Split('\0').First(field => field[0] == 'C'),
                (byte)'v' => Encoding.UTF8.GetString(body[4..]),
                _ => "",
            });
            // Where the server wants a password it waits for the next part, too.
            if (untilReady
                && (type[0] is (byte)'Z' or (byte)'E'
                    || (type[0] == (byte)'R' && BinaryPrimitives.ReadInt32BigEndian(body) != AuthenticationOk)))
            {
                return;
            }
        }
    }

    private static byte[] Startup(int version, string parameters) =>
        Packet(version, Encoding.UTF8.GetBytes(parameters));

    private static byte[] Longest(int length)
    {
        byte[] begin = [.. s_user, .. "options\0-c application_name="u8];
        var filling = length - sizeof(int) - begin.Length - 2;
        return Packet(Version30, [.. begin, .. Enumerable.Repeat((byte)'x', filling), 0, 0]);
    }

    private static byte[] Packet(int code, params ReadOnlySpan<byte> body)
    {
        var packet = new byte[8 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(4), code);
        body.CopyTo(packet.AsSpan(8));
        return packet;
    }
}
