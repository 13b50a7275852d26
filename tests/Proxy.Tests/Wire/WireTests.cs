using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Text;
using CsCheck;
using Routing.Proxy.Tests.Sessions;
using Routing.Proxy.Wire;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Wire;

/// <summary>The parsers: byte by byte, any bytes, any cuts.</summary>
public sealed class WireTests
{
    [Theory]
    [InlineData(80_877_103, 0, "SslRequest")]
    [InlineData(80_877_104, 0, "GssEncRequest")]
    [InlineData(80_877_102, 8, "CancelRequest")]
    [InlineData(80_877_102, 36, "CancelRequest")]
    [InlineData(80_877_102, 4, "NotPostgres")]
    [InlineData(196_608, 20, "Startup")]
    [InlineData(196_610, 20, "Startup")]
    [InlineData((3 << 16) | 9999, 20, "Startup")]
    [InlineData(131_072, 20, "UnsupportedProtocol")]
    [InlineData(196_608, 9_996, "Startup")]
    [InlineData(196_608, 9_997, "NotPostgres")]
    public void A_first_packet_is_known_once_it_is_whole_and_not_before(int code, int bodyLength, string kind)
    {
        var packet = RawClient.Packet(code, new byte[bodyLength]);

        for (var length = 0; length < packet.Length; length++)
        {
            var early = FirstPacket.Read(new ReadOnlySequence<byte>(packet, 0, length)).Kind.ToString();
            Assert.True(early == "Incomplete" || early == kind, $"{early} after {length} bytes");
            Assert.True(early == "Incomplete" || kind is not ("Startup" or "CancelRequest"),
                $"{early} after {length} bytes");
        }
        Assert.Equal(kind, FirstPacket.Read(new ReadOnlySequence<byte>(packet)).Kind.ToString());
    }

    [Fact]
    public void No_bytes_make_a_parser_throw() =>
        Gen.Byte.Array[0, 300].Sample(bytes =>
        {
            var sequence = new ReadOnlySequence<byte>(bytes);
            _ = FirstPacket.Read(sequence);
            _ = ProxyHeader.Read(sequence);
            _ = ServerOpening.Read(sequence, mustBePrimary: true);
            _ = StartupMessage.TryRead(bytes, out _, out _);
            _ = ErrorResponse.FieldOf(bytes, 'C');
            var tap = new SessionTap();
            tap.FromServer(bytes);
            tap.FromClient(bytes);
        });

    [Fact]
    public void However_a_conversation_is_cut_the_tap_sees_the_same()
    {
        byte[] server =
        [
            .. BackendMessage.Of('R', 0, 0, 0, 0), .. BackendMessage.Ready(), .. BackendMessage.Of('T', new byte[40]),
            .. BackendMessage.Of('D', new byte[700]), .. BackendMessage.Of('C', "SELECT 1\0"u8),
            .. BackendMessage.Ready('T'),
        ];
        byte[] client = [.. BackendMessage.Of('Q', "select 1\0"u8), .. BackendMessage.Of('Q', "commit\0"u8)];
        var whole = new SessionTap();
        whole.FromServer(server.AsSpan(0, 15));
        whole.FromClient(client);
        whole.FromServer(server.AsSpan(15));

        Gen.Int[1, 50].Array[1, 200].Sample(cuts =>
        {
            var tap = new SessionTap();
            Feed(server.AsSpan(0, 15), cuts, part => tap.FromServer(part));
            Feed(client, cuts, tap.FromClient);
            Feed(server.AsSpan(15), cuts, part => tap.FromServer(part));
            Assert.Equal(
                (whole.Outstanding, whole.Status, whole.AtRest, whole.ClientAtBoundary, whole.IsOutcomeOpen),
                (tap.Outstanding, tap.Status, tap.AtRest, tap.ClientAtBoundary, tap.IsOutcomeOpen));
        });

        Assert.Equal((1, (byte)'T', false, true, true),
            (whole.Outstanding, whole.Status, whole.AtRest, whole.ClientAtBoundary, whole.IsOutcomeOpen));
    }

    [Theory]
    [InlineData("commit", true)]
    [InlineData("  /* why */ COMMIT work", true)]
    [InlineData("-- one\nEND", true)]
    [InlineData("prepare transaction 'x'", true)]
    [InlineData("insert into t values (1); commit", true)]
    [InlineData("select 'commit'", false)]
    [InlineData("update t set a = 1", false)]
    public void Inside_a_transaction_only_a_commit_leaves_the_outcome_open(string sql, bool open)
    {
        var tap = InTransaction();

        tap.FromClient(BackendMessage.Of('Q', Encoding.UTF8.GetBytes(sql + "\0")));

        Assert.Equal(open, tap.IsOutcomeOpen);
        tap.FromServer(BackendMessage.Ready());
        Assert.False(tap.IsOutcomeOpen);
        Assert.True(tap.AtRest);
    }

    [Fact]
    public void A_commit_by_the_extended_protocol_is_seen_too()
    {
        var tap = InTransaction();

        tap.FromClient([
            .. BackendMessage.Of('P', "\0COMMIT\0\0\0"u8), .. BackendMessage.Of('B', "\0\0\0\0\0\0\0\0"u8),
            .. BackendMessage.Of('E', "\0\0\0\0\0"u8), .. BackendMessage.Of('S'),
        ]);

        Assert.True(tap.IsOutcomeOpen);
    }

    [Fact]
    public void Sync_messages_in_the_middle_of_a_copy_are_not_waited_for()
    {
        var tap = new SessionTap();
        tap.FromServer([.. BackendMessage.Of('R', 0, 0, 0, 0), .. BackendMessage.Ready()]);
        tap.FromClient(BackendMessage.Of('Q', "copy t from stdin\0"u8));
        tap.FromServer(BackendMessage.Of('G', 0, 0, 0));

        tap.FromClient([.. BackendMessage.Of('d', "row\n"u8), .. BackendMessage.Of('S'), .. BackendMessage.Of('S')]);
        Assert.False(tap.AtRest);
        tap.FromClient(BackendMessage.Of('c'));
        tap.FromServer([.. BackendMessage.Of('C', "COPY 1\0"u8), .. BackendMessage.Ready()]);

        Assert.True(tap.AtRest);
    }

    [Theory]
    [InlineData("PROXY TCP4 192.0.2.1 192.0.2.2 1234 5432\r\n", "192.0.2.1:1234")]
    [InlineData("PROXY TCP6 2001:db8::1 2001:db8::2 1234 5432\r\n", "[2001:db8::1]:1234")]
    [InlineData("PROXY UNKNOWN\r\n", null)]
    public void A_PROXY_header_in_text_is_read(string text, string? source)
    {
        var bytes = Encoding.ASCII.GetBytes(text + "rest");

        var header = ProxyHeader.Read(new ReadOnlySequence<byte>(bytes));

        Assert.Equal((text.Length, source), (header.Length, header.Source?.ToString()));
        Assert.Equal(ProxyHeaderStatus.Incomplete,
            ProxyHeader.Read(new ReadOnlySequence<byte>(bytes, 0, text.Length - 1)).Status);
    }

    [Theory]
    [InlineData("PROXY TCP4 1 192.0.2.2 1234 5432\r\n")]
    [InlineData("PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n")]
    [InlineData("PROXY TCP4 192.0.2.1 192.0.2.2 99999 5432\r\n")]
    [InlineData("PROXY  TCP4 192.0.2.1 192.0.2.2 1234 5432\r\n")]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    public void A_broken_PROXY_header_is_refused(string text) =>
        Assert.Equal(ProxyHeaderStatus.Invalid,
            ProxyHeader.Read(new ReadOnlySequence<byte>(Encoding.ASCII.GetBytes(text))).Status);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_PROXY_header_that_is_written_is_read_back(bool isV2)
    {
        var (source, destination) = (new IPEndPoint(IPAddress.Parse("198.51.100.7"), 40_000),
            new IPEndPoint(IPAddress.Parse("198.51.100.8"), 5000));

        var bytes = ProxyHeader.Write(isV2 ? ProxyProtocolVersion.V2 : ProxyProtocolVersion.V1, source, destination);
        var header = ProxyHeader.Read(new ReadOnlySequence<byte>(bytes));

        Assert.Equal((ProxyHeaderStatus.Proxied, bytes.Length, source, destination),
            (header.Status, header.Length, header.Source, header.Destination));
    }

    [Fact]
    public void The_client_s_address_goes_behind_the_application_s_name_and_everything_else_stays()
    {
        var packet = RawClient.Startup("user", "alice", "application_name", "billing", "options", "-c a=b");

        var changed = StartupMessage.WithClientAddress(packet, "10.0.0.7:5123");

        Assert.Equal(changed.Length, BinaryPrimitives.ReadInt32BigEndian(changed));
        Assert.True(StartupMessage.TryRead(changed, out var message, out _));
        Assert.Equal(("alice", "billing [10.0.0.7:5123]", "-c a=b"),
            (message!.User, message.ApplicationName, message.Options));
    }

    [Fact]
    public void Channel_binding_is_taken_out_of_the_mechanisms_and_the_rest_stays()
    {
        byte[] offer = [0, 0, 0, 10, .. "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"u8];

        var rewritten = LoginMessages.WithoutChannelBinding(offer);

        Assert.Equal(BackendMessage.Of('R', [0, 0, 0, 10, .. "SCRAM-SHA-256\0\0"u8]), rewritten);
        Assert.Null(LoginMessages.WithoutChannelBinding([0, 0, 0, 10, .. "SCRAM-SHA-256\0\0"u8]));
    }

    [Fact]
    public void An_error_names_everything_that_drivers_look_for()
    {
        var output = new ArrayBufferWriter<byte>();

        ErrorResponse.WriteFatal(output, "57P03", "no leader", "detail", "hint");

        var bytes = output.WrittenSpan;
        Assert.Equal(('E', bytes.Length - 1), ((char)bytes[0], BinaryPrimitives.ReadInt32BigEndian(bytes[1..])));
        foreach (var (tag, value) in new[] { ('S', "FATAL"), ('V', "FATAL"), ('C', "57P03"), ('M', "no leader"),
            ('D', "detail"), ('H', "hint") })
        {
            Assert.Equal(value, ErrorResponse.FieldOf(bytes[5..], tag));
        }
    }

    private static SessionTap InTransaction()
    {
        var tap = new SessionTap();
        tap.FromServer([.. BackendMessage.Of('R', 0, 0, 0, 0), .. BackendMessage.Ready()]);
        tap.FromClient(BackendMessage.Of('Q', "begin\0"u8));
        tap.FromServer([.. BackendMessage.Of('C', "BEGIN\0"u8), .. BackendMessage.Ready('T')]);
        Assert.False(tap.AtRest);
        return tap;
    }

    private delegate void Taker(ReadOnlySpan<byte> bytes);

    private static void Feed(ReadOnlySpan<byte> bytes, int[] cuts, Taker take)
    {
        for (int at = 0, turn = 0; at < bytes.Length; turn++)
        {
            var length = Math.Min(cuts[turn % cuts.Length], bytes.Length - at);
            take(bytes.Slice(at, length));
            at += length;
        }
    }
}
