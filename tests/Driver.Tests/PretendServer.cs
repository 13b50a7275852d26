using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using Routing.TestKit;

namespace Routing.Driver.Tests;

/// <summary>
/// Speaks enough of PostgreSQL's protocol for Npgsql (without loading types), and does what a test tells it.
/// </summary>
internal sealed class PretendServer : PretendListener
{
    private int _logins;
    private int _questions;
    private int _pid = 1000;

    /// <summary>What it reports at login; null: nothing, as before version 14.</summary>
    public bool? InRecovery { get; set; } = false;

    /// <summary>Refuses each login with this code, when it is set.</summary>
    public string? RefuseWith { get; set; }

    /// <summary>Takes connections and says nothing.</summary>
    public bool IsSilent { get; set; }

    /// <summary>Answers a login only when this is over: slow, not silent.</summary>
    public Task LoginsWait { get; set; } = Task.CompletedTask;

    /// <summary>Answers a statement; null: done, without rows.</summary>
    public Func<string, Reply?> Answer { get; set; } = _ => null;

    /// <summary>Logins that were begun.</summary>
    public int Logins => Volatile.Read(ref _logins);

    /// <summary>Questions for TLS.</summary>
    public int Questions => Volatile.Read(ref _questions);

    /// <summary>Statements as they came.</summary>
    public ConcurrentQueue<string> Statements { get; } = new();

    /// <summary>Tells every session that a parameter has changed.</summary>
    public async Task ReportAsync(string name, string value)
    {
        foreach (var socket in Open.Keys)
        {
            await socket.SendAsync(BackendMessage.Parameter(name, value));
        }
    }

    protected override async Task ServeAsync(Socket peer)
    {
        await using var stream = new NetworkStream(peer, ownsSocket: true);
        var packet = await BackendMessage.ReadPacketAsync(stream);
        if (packet.Length == 8)   // the question for TLS
        {
            Interlocked.Increment(ref _questions);
            if (IsSilent)
            {
                await stream.ReadExactlyAsync(new byte[100_000]);
            }
            await stream.WriteAsync("N"u8.ToArray());
            packet = await BackendMessage.ReadPacketAsync(stream);
        }
        Interlocked.Increment(ref _logins);
        if (IsSilent)
        {
            await stream.ReadExactlyAsync(new byte[100_000]);   // until the other side gives up
        }
        await LoginsWait;
        if (RefuseWith is { } code)
        {
            await stream.WriteAsync(BackendMessage.Error(code));
            return;
        }
        byte[] role =
            InRecovery is { } inRecovery ? BackendMessage.Parameter("in_hot_standby", inRecovery ? "on" : "off") : [];
        await stream.WriteAsync((byte[])
        [
            .. BackendMessage.LoggedIn, .. BackendMessage.Parameter("server_version", "15.1"),
            .. BackendMessage.Parameter("client_encoding", "UTF8"),
            .. BackendMessage.Parameter("standard_conforming_strings", "on"), .. role,
            .. BackendMessage.Key(Interlocked.Increment(ref _pid)), .. BackendMessage.Ready(),
        ]);
        await TalkAsync(stream);
    }

    private async Task TalkAsync(NetworkStream stream)
    {
        var status = (byte)'I';
        var sql = "";
        var hasFailed = false;
        while (true)
        {
            var (type, body) = await BackendMessage.ReadAsync(stream);
            switch (type)
            {
                case 'Q':
                    status = await AnswerAsync(stream, Text(body), status, isSimple: true) ?? (byte)'E';
                    await stream.WriteAsync(BackendMessage.Of('Z', status));
                    break;
                case 'P':
                    sql = Text(body.AsSpan(body.AsSpan().IndexOf((byte)0) + 1));
                    await stream.WriteAsync(BackendMessage.Of('1'));
                    break;
                case 'B':
                    await stream.WriteAsync(BackendMessage.Of('2'));
                    break;
                case 'D':
                    break;   // described with its result
                case 'E' when !hasFailed:
                    hasFailed = await AnswerAsync(stream, sql, status, isSimple: false) is null;
                    break;
                case 'S':
                    status = hasFailed && status == 'T' ? (byte)'E' : status;
                    hasFailed = false;
                    await stream.WriteAsync(BackendMessage.Of('Z', status));
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
            await stream.WriteAsync(BackendMessage.Error(code));
            return null;
        }
        if (reply?.Value is { } value)
        {
            await stream.WriteAsync(
                (byte[])[.. RowDescription(reply), .. DataRow(value), .. BackendMessage.Of('C', "SELECT 1\0"u8)]);
        }
        else
        {
            byte[] noData = isSimple ? [] : BackendMessage.Of('n');
            await stream.WriteAsync((byte[])[.. noData, .. BackendMessage.Of('C', "INSERT 0 1\0"u8)]);
        }
        var word = sql.Split(' ')[0].ToUpperInvariant();
        return word == "BEGIN" ? (byte)'T' : word is "COMMIT" or "ROLLBACK" ? (byte)'I' : status;
    }

    private static byte[] RowDescription(Reply reply)
    {
        byte[] body = [0, 1, .. "c\0"u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 1];
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(10), reply.Oid);
        BinaryPrimitives.WriteInt16BigEndian(body.AsSpan(14), (short)reply.Value!.Length);
        return BackendMessage.Of('T', body);
    }

    private static byte[] DataRow(byte[] value)
    {
        var body = new byte[6 + value.Length];
        body[1] = 1;
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(2), value.Length);
        value.CopyTo(body, 6);
        return BackendMessage.Of('D', body);
    }

    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes[..bytes.IndexOf((byte)0)]);
}
