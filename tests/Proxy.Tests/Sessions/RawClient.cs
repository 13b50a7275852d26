using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Routing.Proxy.Sessions.Secrets;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>A client that says exactly what a test wants, and reads message by message.</summary>
internal sealed class RawClient : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);
    private Stream _stream;

    /// <param name="port">Of 127.0.0.1.</param>
    /// <param name="oneByOne">Whatever it sends below TLS goes byte by byte.</param>
    public RawClient(int port, bool oneByOne = false)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(IPAddress.Loopback, port);
        Socket = socket;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _stream = oneByOne ? new DripStream(_stream) : _stream;
    }

    public Socket Socket { get; }

    /// <summary>Goes on in TLS, as a client does behind an S, or at once.</summary>
    public async Task<SslStream> EncryptAsync(SslClientAuthenticationOptions options)
    {
        var encrypted = new SslStream(_stream);
        using var limit = new CancellationTokenSource(s_limit, TimeProvider.System);
        await encrypted.AuthenticateAsClientAsync(options, limit.Token);
        _stream = encrypted;
        return encrypted;
    }

    /// <summary>The key that the login brought: pid and secret.</summary>
    public byte[] Key { get; private set; } = [];

    public static byte[] Startup(params ReadOnlySpan<string> parameters) => Startup(196_608, parameters);

    public static byte[] Startup(int protocol, params ReadOnlySpan<string> parameters)
    {
        var body = Encoding.UTF8.GetBytes(string.Concat(string.Join('\0', parameters!), "\0\0"));
        return Packet(protocol, body);
    }

    public static byte[] Packet(int code, ReadOnlySpan<byte> body)
    {
        var packet = new byte[8 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(packet, packet.Length);
        BinaryPrimitives.WriteInt32BigEndian(packet.AsSpan(4), code);
        body.CopyTo(packet.AsSpan(8));
        return packet;
    }

    public async Task SendAsync(byte[] bytes, bool oneByOne = false)
    {
        for (var at = 0; at < bytes.Length; at += oneByOne ? 1 : bytes.Length)
        {
            await _stream.WriteAsync(bytes.AsMemory(at, oneByOne ? 1 : bytes.Length));
        }
    }

    public Task QueryAsync(string sql) => SendAsync(BackendMessage.Of('Q', Encoding.UTF8.GetBytes(sql + "\0")));

    /// <summary>Logs in and reads up to ReadyForQuery, or up to the error.</summary>
    /// <returns>Null, or the error's code.</returns>
    public async Task<string?> LoginAsync(params string[] extra)
    {
        await SendAsync(Startup(["user", "alice", "database", "shop", .. extra]));
        return await UntilReadyAsync();
    }

    /// <summary>Logs in with a password, as the server demands it.</summary>
    /// <returns>Null, or the error's code.</returns>
    public async Task<string?> LoginWithPasswordAsync(string password)
    {
        await SendAsync(Startup(["user", "alice", "database", "shop"]));
        var scram = new ScramClient(new PasswordSecret(password));
        var (type, demand) = await ReadMessageAsync();
        Assert.Equal('R', type);
        if (demand[3] is 3 or 5)
        {
            var text = demand[3] == 5 ? OldLoginServer.AnswerTo(demand[4..], password) : password;
            await SendAsync(BackendMessage.Of('p', Encoding.UTF8.GetBytes(text + "\0")));
            return await UntilReadyAsync();
        }
        await SendAsync(scram.First());
        var (_, challenge) = await ReadMessageAsync();
        await SendAsync(scram.Answer(challenge.AsSpan(4))!);
        return await UntilReadyAsync();
    }

    /// <summary>Reads up to ReadyForQuery (null), an error (its code), or the end ("end").</summary>
    public async Task<string?> UntilReadyAsync()
    {
        while (true)
        {
            var (type, body) = await ReadMessageAsync();
            switch (type)
            {
                case 'Z':
                    return null;
                case 'E':
                    return CodeOf(body);
                case '\0':
                    return "end";
                case 'K':
                    Key = body;
                    break;
            }
        }
    }

    /// <summary>The next message; type 0: the stream has ended between two messages.</summary>
    /// <exception cref="EndOfStreamException">It ended in the middle of one.</exception>
    public async Task<(char Type, byte[] Body)> ReadMessageAsync()
    {
        using var limit = new CancellationTokenSource(s_limit, TimeProvider.System);
        var header = new byte[5];
        int first;
        try
        {
            first = await _stream.ReadAtLeastAsync(header, 5, throwOnEndOfStream: false, limit.Token);
        }
        catch (IOException)
        {
            return ('\0', []);   // reset
        }
        if (first == 0)
        {
            return ('\0', []);
        }
        if (first < 5)
        {
            throw new EndOfStreamException();
        }
        var body = new byte[BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(1)) - 4];
        await _stream.ReadExactlyAsync(body, limit.Token);
        return ((char)header[0], body);
    }

    /// <summary>One byte, or -1 at the end.</summary>
    public async Task<int> ReadByteAsync()
    {
        using var limit = new CancellationTokenSource(s_limit, TimeProvider.System);
        var one = new byte[1];
        try
        {
            return await _stream.ReadAsync(one, limit.Token) == 0 ? -1 : one[0];
        }
        catch (IOException)
        {
            return -1;
        }
    }

    /// <summary>Everything up to the end.</summary>
    public async Task<byte[]> ReadToEndAsync()
    {
        using var limit = new CancellationTokenSource(s_limit, TimeProvider.System);
        using var all = new MemoryStream();
        try
        {
            await _stream.CopyToAsync(all, limit.Token);
        }
        catch (IOException)
        {
            // reset: what came before counts
        }
        return all.ToArray();
    }

    public void Dispose() => _stream.Dispose();

    private static string CodeOf(byte[] body) =>
        Encoding.UTF8.GetString(body).Split('\0').First(field => field.StartsWith('C'))[1..];
}
