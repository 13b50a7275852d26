using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Routing.Dcs;

namespace Routing.Hosting.Discovery;

/// <summary>A target that an SRV record names.</summary>
internal readonly record struct SrvTarget(string Host, int Port, int Priority, int Weight);

/// <summary>Asks the system's name servers for SRV records (RFC 1035, RFC 2782), which .NET has no call for.</summary>
internal sealed class SrvLookup(IReadOnlyList<IPEndPoint> servers, TimeProvider time)
{
    private const int TypeSrv = 33;
    private const int ClassInternet = 1;
    private const int HeaderLength = 12;
    private const int DnsPort = 53;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    /// <summary>The lookup over the servers of /etc/resolv.conf.</summary>
    public static SrvLookup OfSystem(TimeProvider time) => new(
        [
            .. File.ReadLines("/etc/resolv.conf")
                .Select(line => line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
                .Where(words => words is ["nameserver", ..] and { Length: > 1 })
                .Select(words => IPAddress.TryParse(words[1], out var address) ? address : null)
                .OfType<IPAddress>()
                .Select(address => new IPEndPoint(address, DnsPort)),
        ], time);

    /// <summary>The targets as they stand in the answer; empty when the name has none.</summary>
    /// <exception cref="ClusterStoreException">No server answered.</exception>
    public async Task<IReadOnlyList<SrvTarget>> FindAsync(string name, CancellationToken cancellationToken)
    {
        Exception? last = null;
        foreach (var server in servers)
        {
            using var limit = new CancellationTokenSource(s_patience, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            try
            {
                var id = unchecked((ushort)time.GetTimestamp());
                var question = Question(id, name);
                var answer = await AskOverUdpAsync(server, question, either.Token);
                return Read(IsTruncated(answer) ? await AskOverTcpAsync(server, question, either.Token) : answer, id);
            }
            catch (Exception problem) when (
                problem is SocketException or InvalidDataException or EndOfStreamException
                || (problem is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                last = problem;
            }
        }
        throw new ClusterStoreException(
            $"No name server answered the question for {name}: {last?.Message ?? "none is configured"}", last);
    }

    private static byte[] Question(ushort id, string name)
    {
        using var message = new MemoryStream();
        Span<byte> header = stackalloc byte[HeaderLength];
        BinaryPrimitives.WriteUInt16BigEndian(header, id);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], 0x0100);   // recursion desired
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], 1);
        message.Write(header);
        foreach (var label in name.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            var bytes = Encoding.ASCII.GetBytes(label);
            message.WriteByte(checked((byte)bytes.Length));
            message.Write(bytes);
        }
        message.Write([0, 0, TypeSrv, 0, ClassInternet]);
        return message.ToArray();
    }

    private static async Task<byte[]> AskOverUdpAsync(
        IPEndPoint server, byte[] question, CancellationToken cancellationToken)
    {
        using var socket = new UdpClient(server.AddressFamily);
        socket.Connect(server);
        await socket.SendAsync(question, cancellationToken);
        return (await socket.ReceiveAsync(cancellationToken)).Buffer;
    }

    private static async Task<byte[]> AskOverTcpAsync(
        IPEndPoint server, byte[] question, CancellationToken cancellationToken)
    {
        using var socket = new TcpClient(server.AddressFamily);
        await socket.ConnectAsync(server, cancellationToken);
        var stream = socket.GetStream();
        var framed = new byte[question.Length + 2];
        BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)question.Length);
        question.CopyTo(framed, 2);
        await stream.WriteAsync(framed, cancellationToken);
        var length = new byte[2];
        await stream.ReadExactlyAsync(length, cancellationToken);
        var answer = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
        await stream.ReadExactlyAsync(answer, cancellationToken);
        return answer;
    }

    private static bool IsTruncated(byte[] answer) => answer.Length >= HeaderLength && (answer[2] & 0x02) != 0;

    private static List<SrvTarget> Read(byte[] answer, ushort id)
    {
        if (answer.Length < HeaderLength || BinaryPrimitives.ReadUInt16BigEndian(answer) != id)
        {
            throw new InvalidDataException("the answer does not fit the question");
        }
        const int noSuchName = 3;
        var code = answer[3] & 0x0F;
        if (code is not 0 and not noSuchName)
        {
            throw new InvalidDataException($"the name server answered with error {code}");
        }
        var reader = new Reader(answer) { At = HeaderLength };
        for (var questions = BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(4)); questions > 0; questions--)
        {
            reader.Name();
            reader.Skip(4);
        }
        var targets = new List<SrvTarget>();
        for (var records = BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(6)); records > 0; records--)
        {
            reader.Name();
            var type = reader.Number();
            reader.Skip(6);   // class, time to live
            var length = reader.Number();
            var end = reader.At + length;
            if (type == TypeSrv)
            {
                var (priority, weight, port) = (reader.Number(), reader.Number(), reader.Number());
                targets.Add(new SrvTarget(reader.Name(), port, priority, weight));
            }
            reader.At = end;
        }
        return targets;
    }

    private sealed class Reader(byte[] message)
    {
        private const int MostJumps = 32;   // a name that points in circles ends here

        public int At { get; set; }

        public void Skip(int count) => At += count;

        public int Number()
        {
            Need(At, 2);
            At += 2;
            return BinaryPrimitives.ReadUInt16BigEndian(message.AsSpan(At - 2));
        }

        public string Name()
        {
            var labels = new List<string>();
            var (at, after, jumps) = (At, -1, 0);
            while (true)
            {
                Need(at, 1);
                int length = message[at++];
                if (length == 0)
                {
                    break;
                }
                if ((length & 0xC0) == 0xC0)
                {
                    Need(at, 1);
                    after = after < 0 ? at + 1 : after;
                    at = ((length & 0x3F) << 8) | message[at];
                    if (++jumps > MostJumps)
                    {
                        throw new InvalidDataException("a name in the answer points in circles");
                    }
                    continue;
                }
                Need(at, length);
                labels.Add(Encoding.ASCII.GetString(message, at, length));
                at += length;
            }
            At = after < 0 ? at : after;
            return string.Join('.', labels);
        }

        private void Need(int at, int count)
        {
            if (at < 0 || at + count > message.Length)
            {
                throw new InvalidDataException("the answer ends too early");
            }
        }
    }
}
