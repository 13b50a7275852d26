using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Routing.Driver.Tests;

/// <summary>Speaks enough of PostgreSQL's protocol for Npgsql (without loading types), and does what a test tells it.</summary>
internal sealed class PretendServer : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private int _logins;
    private int _pid = 1000;

    public PretendServer()
    {
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _socket.Listen(1024);
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port;
        _ = AcceptAsync();
    }

    /// <summary>What it reports at login; null: nothing, as before version 14.</summary>
    public bool? InRecovery { get; set; } = false;

    /// <summary>Refuses each login with this code, when it is set.</summary>
    public string? RefuseWith { get; set; }

    /// <summary>Takes connections and says nothing.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Answers a statement; null: done, without rows.</summary>
    public Func<string, Reply?> Answer { get; set; } = _ => null;

    public int Port { get; }

    /// <summary>Logins that were begun.</summary>
    public int Logins => Volatile.Read(ref _logins);

    /// <summary>Statements as they came.</summary>
    public ConcurrentQueue<string> Statements { get; } = new();

    /// <summary>Connections that are open now.</summary>
    public ConcurrentDictionary<Socket, byte> Open { get; } = new();

    /// <summary>Tells every session that a parameter has changed.</summary>
    public async Task ReportAsync(string name, string value)
    {
        foreach (var socket in Open.Keys)
        {
            await socket.SendAsync(Message('S', Encoding.UTF8.GetBytes($"{name}\0{value}\0")));
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

    private static byte[] Message(char type, params ReadOnlySpan<byte> body)
    {
        var message = new byte[5 + body.Length];
        message[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + body.Length);
        body.CopyTo(message.AsSpan(5));
        return message;
    }

    private static byte[] Parameter(string name, string value) => Message('S', Encoding.UTF8.GetBytes($"{name}\0{value}\0"));

    private static byte[] Error(string code) => Message('E', Encoding.UTF8.GetBytes($"SFATAL\0VFATAL\0C{code}\0Mpretended\0\0"));

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
            await using var stream = new NetworkStream(peer, ownsSocket: true);
            Interlocked.Increment(ref _logins);
            if (IsSilent)
            {
                await stream.ReadExactlyAsync(new byte[100_000]);   // until the other side gives up
            }
            await ReadPacketAsync(stream);
            if (RefuseWith is { } code)
            {
                await stream.WriteAsync(Error(code));
                return;
            }
            byte[] role = InRecovery is { } inRecovery ? Parameter("in_hot_standby", inRecovery ? "on" : "off") : [];
            await stream.WriteAsync((byte[])
            [
                .. Message('R', 0, 0, 0, 0), .. Parameter("server_version", "15.1"), .. Parameter("client_encoding", "UTF8"),
                .. Parameter("standard_conforming_strings", "on"), .. role, .. Message('K', KeyOf(Interlocked.Increment(ref _pid))), .. Message('Z', "I"u8),
            ]);
            await TalkAsync(stream);
        }
        catch (Exception over) when (over is IOException or SocketException or ObjectDisposedException)
        {
            // the other side is gone
        }
        finally
        {
            Open.TryRemove(peer, out _);
        }
    }

    private async Task TalkAsync(NetworkStream stream)
    {
        var status = (byte)'I';
        var sql = "";
        var hasFailed = false;
        while (true)
        {
            var (type, body) = await ReadMessageAsync(stream);
            switch (type)
            {
                case 'Q':
                    status = await AnswerAsync(stream, Text(body), status, isSimple: true) ?? (byte)'E';
                    await stream.WriteAsync(Message('Z', status));
                    break;
                case 'P':
                    sql = Text(body.AsSpan(body.AsSpan().IndexOf((byte)0) + 1));
                    await stream.WriteAsync(Message('1'));
                    break;
                case 'B':
                    await stream.WriteAsync(Message('2'));
                    break;
                case 'D':
                    break;   // described with its result
                case 'E' when !hasFailed:
                    hasFailed = await AnswerAsync(stream, sql, status, isSimple: false) is null;
                    break;
                case 'S':
                    status = hasFailed && status == 'T' ? (byte)'E' : status;
                    hasFailed = false;
                    await stream.WriteAsync(Message('Z', status));
                    break;
                case 'X':
                    return;
                default:
                    break;
            }
        }
    }

    /// <returns>The state of the transaction; null: an error was sent.</returns>
    private async Task<byte?> AnswerAsync(NetworkStream stream, string sql, byte status, bool isSimple)
    {
        Statements.Enqueue(sql);
        var reply = sql.StartsWith("DISCARD", StringComparison.Ordinal) ? null : Answer(sql);
        if (reply is { IsLost: true })
        {
            stream.Socket.Close();
            throw new IOException("lost on purpose");
        }
        if (reply?.Code is { } code)
        {
            await stream.WriteAsync(Error(code));
            return null;
        }
        if (reply?.Value is { } value)
        {
            await stream.WriteAsync((byte[])[.. RowDescription(reply), .. DataRow(value), .. Message('C', "SELECT 1\0"u8)]);
        }
        else
        {
            byte[] noData = isSimple ? [] : Message('n');
            await stream.WriteAsync((byte[])[.. noData, .. Message('C', "INSERT 0 1\0"u8)]);
        }
        var word = sql.Split(' ')[0].ToUpperInvariant();
        return word == "BEGIN" ? (byte)'T' : word is "COMMIT" or "ROLLBACK" ? (byte)'I' : status;
    }

    private static byte[] RowDescription(Reply reply)
    {
        byte[] body = [0, 1, .. "c\0"u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 1];
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(10), reply.Oid);
        BinaryPrimitives.WriteInt16BigEndian(body.AsSpan(14), (short)reply.Value!.Length);
        return Message('T', body);
    }

    private static byte[] DataRow(byte[] value)
    {
        var body = new byte[6 + value.Length];
        body[1] = 1;
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(2), value.Length);
        value.CopyTo(body, 6);
        return Message('D', body);
    }

    private static byte[] KeyOf(int pid)
    {
        var key = new byte[8];
        BinaryPrimitives.WriteInt32BigEndian(key, pid);
        BinaryPrimitives.WriteInt32BigEndian(key.AsSpan(4), pid * 7919);
        return key;
    }

    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes[..bytes.IndexOf((byte)0)]);

    private static async Task ReadPacketAsync(Stream stream)
    {
        var head = new byte[4];
        await stream.ReadExactlyAsync(head);
        await stream.ReadExactlyAsync(new byte[BinaryPrimitives.ReadInt32BigEndian(head) - 4]);
    }

    private static async Task<(char Type, byte[] Body)> ReadMessageAsync(Stream stream)
    {
        var head = new byte[5];
        await stream.ReadExactlyAsync(head);
        var body = new byte[BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(1)) - 4];
        await stream.ReadExactlyAsync(body);
        return ((char)head[0], body);
    }
}
