using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>Speaks just enough of PostgreSQL's protocol to be logged in to, and does what a test tells it.</summary>
internal sealed class PretendServer(bool inRecovery = false) : PretendListener
{
    private int _pid = 1000;
    private int _cancelRequests;
    private int _queries;

    /// <summary>What it reports at login.</summary>
    public bool InRecovery { get; set; } = inRecovery;

    /// <summary>Answers each start-up with this code, when it is set.</summary>
    public string? RefuseWith { get; set; }

    /// <summary>Does TLS with this certificate when it is asked to; null: answers N.</summary>
    public X509Certificate2? Certificate { get; set; }

    /// <summary>Offers these authentication mechanisms ahead of its welcome, and takes any answer.</summary>
    public string[] Mechanisms { get; set; } = [];

    /// <summary>Demands this password, by <see cref="Method"/>; null: it demands none.</summary>
    public string? Password { get; set; }

    /// <summary>How it demands alice's password: <c>scram</c>, <c>md5</c> or <c>password</c>.</summary>
    public string Method { get; set; } = "scram";

    /// <summary>Knows a function that tells its own verifier, as <c>auth_query</c> wants it.</summary>
    public bool TellsVerifiers { get; set; }

    /// <summary>How often it was asked for a verifier.</summary>
    public int VerifierQuestions { get; private set; }

    /// <summary>Takes connections and says nothing.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Keeps each login waiting until this completes; it answers probes all the same.</summary>
    public Task Slowness { get; set; } = Task.CompletedTask;

    /// <summary>Ends without a word when the client has answered the offer of mechanisms.</summary>
    public bool HangsUpOnAnswers { get; set; }

    /// <summary>
    /// How often it hung up on a TLS handshake that nobody had asked for, as a server without direct TLS does.
    /// </summary>
    public int HangUps { get; private set; }

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

    /// <summary>What its sessions hold; null: it answers no extended protocol.</summary>
    public PretendState? State { get; set; }

    public int Logins { get; private set; }

    /// <summary>Messages that came behind logins, Terminate aside.</summary>
    public int Queries => _queries;

    /// <summary>The version that it reports at login.</summary>
    public string Version { get; set; } = "15.1";

    /// <summary>How often it was asked for encryption by GSSAPI: by clients that want it, and by probes.</summary>
    public int Probes { get; private set; }

    /// <summary>Cancel requests that came, whatever their key.</summary>
    public int CancelRequests => _cancelRequests;

    /// <summary>Pids that were asked to cancel, with a key that this server has given out.</summary>
    public ConcurrentQueue<int> Cancelled { get; } = new();

    /// <summary>Start-up packets as they came.</summary>
    public ConcurrentQueue<byte[]> Startups { get; } = new();

    /// <summary>Says something unasked in every session.</summary>
    /// <param name="message">What it says.</param>
    /// <param name="ends">Whether it closes the sessions behind it.</param>
    public async Task SayAsync(byte[] message, bool ends)
    {
        foreach (var (peer, pid) in Open)
        {
            if (pid == 0)
            {
                continue;   // not logged in
            }
            try
            {
                await peer.SendAsync(message);
                if (ends)
                {
                    peer.Shutdown(SocketShutdown.Both);
                }
            }
            catch (Exception over) when (over is SocketException or ObjectDisposedException)
            {
                // it has gone at this moment
            }
        }
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

    private static async Task<bool> IsTlsAsync(Socket peer)
    {
        const byte Handshake = 0x16;
        var first = new byte[1];
        return await peer.ReceiveAsync(first, SocketFlags.Peek) == 1 && first[0] == Handshake;
    }

    protected override async Task ServeAsync(Socket peer)
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
                new SslServerAuthenticationOptions { ServerCertificate = Certificate,
                    ApplicationProtocols = [new SslApplicationProtocol("postgresql")] });
            stream = encrypted;
        }
        if (!IsDirect && await IsTlsAsync(peer))
        {
            HangUps++;
            return;
        }
        var packet = await BackendMessage.ReadPacketAsync(stream);
        while (BinaryPrimitives.ReadInt32BigEndian(packet.AsSpan(4)) is var request
            && request is (80_877_103 or 80_877_104))
        {
            if (request == 80_877_104)
            {
                Probes++;
                await stream.WriteAsync("N"u8.ToArray());
                packet = await BackendMessage.ReadPacketAsync(stream);
                continue;
            }
            await stream.WriteAsync(Certificate is null ? "N"u8.ToArray() : "S"u8.ToArray());
            if (Certificate is not null)
            {
                var encrypted = new SslStream(stream);
                await encrypted.AuthenticateAsServerAsync(Certificate);
                stream = encrypted;
            }
            packet = await BackendMessage.ReadPacketAsync(stream);
        }
        if (BinaryPrimitives.ReadInt32BigEndian(packet.AsSpan(4)) == 80_877_102)
        {
            var asked = BinaryPrimitives.ReadInt32BigEndian(packet.AsSpan(8));
            Interlocked.Increment(ref _cancelRequests);
            if (BackendMessage.Key(asked, SecretLength).AsSpan(9).SequenceEqual(packet.AsSpan(12)))
            {
                Cancelled.Enqueue(asked);
            }
            return;
        }
        Startups.Enqueue(packet);
        await Slowness;
        byte[] negotiation = Negotiates ? BackendMessage.Of('v', [0, 3, 0, 0, 0, 0, 0, 1, .. "_pq_.grease\0"u8]) : [];
        if (RefuseWith is { } code)
        {
            await stream.WriteAsync((byte[])[.. negotiation, .. BackendMessage.Error(code)]);
            return;
        }
        if (Mechanisms.Length > 0)
        {
            await stream.WriteAsync(BackendMessage.Of(
                'R', [0, 0, 0, 10, .. Encoding.UTF8.GetBytes(string.Join('\0', Mechanisms) + "\0\0")]));
            await stream.ReadExactlyAsync(new byte[5]);   // an empty answer
            if (HangsUpOnAnswers)
            {
                return;
            }
        }
        var isByScram = Method == "scram"
            || !Encoding.UTF8.GetString(packet).Contains("alice", StringComparison.Ordinal);
        if (Password is { } password && !await (isByScram
            ? ScramServer.LogInAsync(stream, password)
            : OldLoginServer.LogInAsync(stream, password, isMd5: Method == "md5")))
        {
            return;
        }
        var pid = Interlocked.Increment(ref _pid);
        Open[peer] = pid;
        byte[] welcome =
        [
            .. negotiation, .. BackendMessage.LoggedIn, .. BackendMessage.Parameter("server_version", Version),
            .. BackendMessage.Parameter("in_hot_standby", InRecovery ? "on" : "off"),
            .. BackendMessage.Key(pid, SecretLength), .. BackendMessage.Ready(),
        ];
        Logins++;
        await stream.WriteAsync(welcome);
        if (Talk is { } talk)
        {
            await talk(stream);
            return;
        }
        var extended = State is { } state ? new PretendState.Talk(state) : null;
        while (true)
        {
            var (type, body) = await BackendMessage.ReadAsync(stream);
            if (type == 'X')
            {
                return;
            }
            if (extended is not null && type is 'P' or 'B' or 'D' or 'E' or 'C' or 'S')
            {
                if (await extended!.TakeAsync(type, body) is not { } answer)
                {
                    return;
                }
                await stream.WriteAsync(answer);
                continue;
            }
            if (TellsVerifiers && type is 'P' or 'B' or 'E' or 'S')
            {
                if (type == 'S')
                {
                    VerifierQuestions++;
                    var verifier = Encoding.ASCII.GetBytes(
                        Method == "md5" ? OldLoginServer.VerifierOf(Password!) : ScramServer.VerifierOf(Password!));
                    await stream.WriteAsync((byte[])
                    [
                        .. BackendMessage.Of('D', [0, 1, 0, 0, 0, (byte)verifier.Length, .. verifier]),
                        .. BackendMessage.Of('C', "SELECT 1\0"u8), .. BackendMessage.Ready(),
                    ]);
                }
                continue;
            }
            Interlocked.Increment(ref _queries);
            var text = Encoding.UTF8.GetString(body).TrimEnd('\0');
            byte[] usual = [.. BackendMessage.Of('C', "SELECT 1\0"u8), .. BackendMessage.Ready()];
            await stream.WriteAsync(Answer(text) ?? usual);
        }
    }
}
