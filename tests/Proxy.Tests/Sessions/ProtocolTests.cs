using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.Proxy.Tests.Tls;
using Routing.Proxy.Wire;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>The rarer corners of the protocol, through whole sessions.</summary>
public sealed class ProtocolTests : IDisposable
{
    private const int SslRequest = 80_877_103, CancelCode = 80_877_102, Protocol32 = (3 << 16) | 2;

    private static readonly SessionSettings s_quick = new()
    {
        CutGrace = TimeSpan.FromMilliseconds(50), RetryTime = TimeSpan.FromSeconds(2),
    };

    private readonly CertificateFiles _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Theory]
    [InlineData(4)]
    [InlineData(32)]
    [InlineData(256)]
    public async Task A_cancel_request_carries_a_key_of_any_length(int length)
    {
        using var server = new PretendServer { SecretLength = length };
        await using var rig = new Rig(settings: s_quick).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        await client.SendAsync(RawClient.Startup(Protocol32, "user", "alice"));
        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(4 + length, client.Key.Length);

        await CancelAsync(rig.WritePort, client.Key);
        // one bit of difference is another key
        await CancelAsync(rig.ReadPort, [.. client.Key[..^1], (byte)(client.Key[^1] + 1)]);
        await CancelAsync(rig.WritePort, [.. client.Key[..^1], (byte)(client.Key[^1] + 1)]);

        Assert.Equal([BinaryPrimitives.ReadInt32BigEndian(client.Key)], server.Cancelled);
        // what is not known here is for the server to judge; readers have no server
        Assert.Equal(2, server.CancelRequests);
        await WaitUntil.TrueAsync(
            () => rig.Diary.Contains("cancelled Unknown") && rig.Diary.Contains("cancelled PassedOn"));
    }

    [Fact]
    public async Task A_cancel_request_may_come_in_TLS()
    {
        using var server = new PretendServer();
        var tls = new ClientTlsSettings { Mode = ClientTlsMode.Terminate,
            CertificateFile = _certificates.FileFor("localhost") };
        await using var rig = new Rig(settings: s_quick, change: one => one with { Tls = tls }).With(
            "a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        using var cancel = new RawClient(rig.WritePort);
        await cancel.SendAsync(RawClient.Packet(SslRequest, []));
        Assert.Equal('S', await cancel.ReadByteAsync());
        await cancel.EncryptAsync(_certificates.Trusting());
        await cancel.SendAsync(RawClient.Packet(CancelCode, client.Key));

        Assert.Equal(-1, await cancel.ReadByteAsync());
        Assert.Single(server.Cancelled);
    }

    [Fact]
    public async Task A_cancel_request_to_a_frozen_server_ends_with_its_time()
    {
        using var server = new PretendServer();
        await using var rig = new Rig(settings: s_quick with { CancelTimeout = TimeSpan.FromMilliseconds(400) })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        server.IsSilent = true;

        await CancelAsync(rig.WritePort, client.Key);

        await WaitUntil.TrueAsync(() => rig.Diary.Contains("cancelled Unanswered"));
    }

    [Fact]
    public async Task A_cancel_request_after_a_switchover_stops_nobody_at_the_new_leader()
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig =
            new Rig(settings: s_quick).With("a", old, Role.Primary).With("b", next, Role.Replica).Lead("a").Publish();
        using var before = new RawClient(rig.WritePort);
        Assert.Null(await before.LoginAsync());
        rig.With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();
        Assert.Equal("57P01", await before.UntilReadyAsync());
        using var after = new RawClient(rig.WritePort);
        Assert.Null(await after.LoginAsync());
        Assert.Equal(before.Key[..4], after.Key[..4]);   // the same pid

        await CancelAsync(rig.WritePort, before.Key[..4].Concat<byte>([9, 9, 9, 9]).ToArray());

        Assert.Empty(next.Cancelled);
    }

    [Fact]
    public async Task A_server_that_negotiates_the_protocol_is_heard_once_whatever_was_tried_before()
    {
        using var server = new PretendServer { Negotiates = true, RefuseWith = "57P03" };
        await using var rig = new Rig(settings: s_quick).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(RawClient.Startup((3 << 16) | 9999, "user", "alice", "_pq_.grease", "1"));
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("failed a not_ready"));
        server.RefuseWith = null;
        var types = new StringBuilder();
        do
        {
            types.Append((await client.ReadMessageAsync()).Type);
        }
        while (types[^1] != 'Z');

        Assert.Equal("vRSSKZ", types.ToString());
    }

    [Fact]
    public async Task The_longest_start_up_passes_byte_for_byte_and_one_byte_at_a_time()
    {
        using var server = new PretendServer();
        await using var rig = new Rig(settings: s_quick).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        var rest = FirstPacket.MaximumLength - RawClient.Startup("user", "alice", "options", "").Length;
        var startup = RawClient.Startup("user", "alice", "options", new string('x', rest));
        Assert.Equal(FirstPacket.MaximumLength, startup.Length);

        await client.SendAsync(startup, oneByOne: true);

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(startup, server.Startups.Single());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_header_from_a_trusted_balancer_names_the_client_also_byte_by_byte(bool isV2)
    {
        using var server = new PretendServer();
        await using var rig = new Rig(settings: s_quick, change: one => one with
        {
            ProxyProtocolFrom = [IPNetwork.Parse("127.0.0.0/8")], AddClientAddress = true,
        }).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(
            [
                .. ProxyHeader.Write(isV2 ? ProxyProtocolVersion.V2 : ProxyProtocolVersion.V1,
                    IPEndPoint.Parse("198.51.100.7:40000"), IPEndPoint.Parse("198.51.100.8:5000")),
                .. RawClient.Packet(SslRequest, []),
            ],
            oneByOne: true);
        Assert.Equal('N', await client.ReadByteAsync());
        await client.SendAsync(RawClient.Startup("user", "alice", "application_name", "billing"), oneByOne: true);

        Assert.Null(await client.UntilReadyAsync());
        Assert.True(StartupMessage.TryRead(server.Startups.Single(), out var startup, out _));
        Assert.Equal("billing [198.51.100.7:40000]", startup!.ApplicationName);
    }

    [Fact]
    public async Task A_header_is_demanded_from_trusted_networks_and_taken_from_nobody_else()
    {
        using var server = new PretendServer();
        await using var rig = new Rig(settings: s_quick, change: one => one with
        {
            ProxyProtocolFrom = [IPNetwork.Parse(one.Name == "write" ? "127.0.0.0/8" : "192.0.2.0/24")],
        }).With("a", server, Role.Primary).Lead("a").Publish();

        using var without = new RawClient(rig.WritePort);
        Assert.Equal("end", await without.LoginAsync());
        using var stranger = new RawClient(rig.ReadPort);
        Assert.Equal(-1, await stranger.ReadByteAsync());   // whatever it would have sent

        Assert.Equal(2, rig.Diary.Count(entry => entry == "refused ProxyHeader"));
        Assert.Empty(server.Startups);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Members_behind_something_that_wants_headers_get_them_with_sessions_and_with_cancel_requests(
        bool isV2)
    {
        using var server = new PretendServer { TakesHeaders = true };
        await using var rig = new Rig(settings: s_quick, change: one => one with
        {
            ProxyProtocolToMember = isV2 ? ProxyProtocolVersion.V2 : ProxyProtocolVersion.V1,
        }).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        await CancelAsync(rig.WritePort, client.Key);

        var port = ((IPEndPoint)client.Socket.LocalEndPoint!).Port;
        Assert.Single(server.Cancelled);
        Assert.Equal(2, server.Headers.Count);
        Assert.True(server.Headers.TryPeek(out var first));
        Assert.Contains(isV2 ? $"{port:X4}" : $"PROXY TCP4 127.0.0.1 127.0.0.1 {port} ", first,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Direct_TLS_passes_through_with_its_protocol_s_name_and_a_ClientHello_in_pieces()
    {
        using var server = new PretendServer { IsDirect = true, Certificate = _certificates.For("member.example") };
        await using var rig = new Rig(settings: s_quick,
            change: one => one with { Tls = new ClientTlsSettings { Mode = ClientTlsMode.PassThrough } })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort, oneByOne: true);

        var encrypted = await client.EncryptAsync(_certificates.Trusting("postgresql"));

        Assert.Null(await client.LoginAsync());
        Assert.Equal(("CN=member.example", "postgresql"),
            (encrypted.RemoteCertificate!.Subject, encrypted.NegotiatedApplicationProtocol.ToString()));
    }

    [Theory]
    [InlineData("io_uring")]
    [InlineData("epoll")]
    [InlineData("portable")]
    public async Task An_error_in_the_middle_of_a_copy_is_heard_while_the_client_still_writes(string transport)
    {
        var isRead = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var server = new PretendServer
        {
            Talk = async stream =>
            {
                await stream.ReadExactlyAsync(new byte["copy t from stdin".Length + 6]);
                await stream.WriteAsync(BackendMessage.Of('G', 0, 0, 0));
                await stream.ReadExactlyAsync(new byte[100_000]);
                // It reads no more until its error was heard: the client's bytes stand in every buffer on the way.
                await stream.WriteAsync((byte[])[.. BackendMessage.Error("22P02"), .. BackendMessage.Ready()]);
                await isRead.Task;
                await stream.CopyToAsync(Stream.Null);
            },
        };
        await using var rig = new Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        await client.QueryAsync("copy t from stdin");
        Assert.Equal('G', (await client.ReadMessageAsync()).Type);

        var writing = WriteAsync();

        Assert.Equal("22P02", await client.UntilReadyAsync());
        Assert.Null(await client.UntilReadyAsync());
        Assert.False(writing.IsCompleted);
        isRead.SetResult();
        await writing;
        await client.SendAsync([.. BackendMessage.Of('c'), .. BackendMessage.Of('X')]);
        client.Dispose();
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a ClientTerminated"));

        async Task WriteAsync()
        {
            for (var count = 0; count < 400; count++)
            {
                await client.SendAsync(BackendMessage.Of('d', new byte[100_000]));
            }
        }
    }

    [Theory]
    [InlineData("io_uring")]
    [InlineData("epoll")]
    [InlineData("portable")]
    public async Task A_client_that_vanishes_in_a_long_query_takes_its_server_s_connection_with_it(string transport)
    {
        using var server = new PretendServer { Answer = _ => [] };
        await using var rig = new Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var halfClosed = new RawClient(rig.WritePort);
        var vanished = new RawClient(rig.WritePort);
        foreach (var client in (RawClient[])[halfClosed, vanished])
        {
            Assert.Null(await client.LoginAsync());
            await client.QueryAsync("select pg_sleep(1000)");
        }
        await WaitUntil.TrueAsync(() => server.Open.Count == 2);

        vanished.Socket.LingerState = new LingerOption(true, 0);
        vanished.Dispose();
        halfClosed.Socket.Shutdown(SocketShutdown.Send);

        await WaitUntil.TrueAsync(() => server.Open.IsEmpty && rig.Open == 0);
    }

    [Fact]
    public async Task A_client_that_goes_while_attempts_are_repeated_is_noticed_at_once()
    {
        using var server = new PretendServer { RefuseWith = "57P03" };
        await using var rig = new Rig(
            settings: s_quick with { RetryTime = TimeSpan.FromMinutes(10), AnswerTimeout = TimeSpan.FromMinutes(10) })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using (var client = new RawClient(rig.WritePort))
        {
            await client.SendAsync(RawClient.Startup("user", "alice"));
            await WaitUntil.TrueAsync(() => rig.Diary.Contains("failed a not_ready"));
            server.IsSilent = true;   // the next attempt would wait for its answer for ten minutes
            await WaitUntil.TrueAsync(() => server.Open.Count == 1);
        }

        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused ClientGone") && server.Open.IsEmpty);
    }

    [Fact]
    public async Task A_flood_of_connections_that_say_nothing_is_bounded_and_counted()
    {
        using var server = new PretendServer();
        await using var rig =
            new Rig(settings: s_quick with { MaximumPending = 50, StartupTimeout = TimeSpan.FromSeconds(3) })
            .With("a", server, Role.Primary).Lead("a").Publish();
        var flood = new List<RawClient>();
        var most = 0;

        while (flood.Count < 200)
        {
            flood.Add(new RawClient(rig.WritePort));
            LookAtPending();
        }
        // Those who come late, when the first are already gone, find a place: how many they are is a matter of the
        // machine's pace.
        await WaitUntil.TrueAsync(() =>
        {
            LookAtPending();
            return Refused("TooManyPending") + Refused("StartupTimeout") == 200;
        });
        using var client = new RawClient(rig.WritePort);

        Assert.Null(await client.LoginAsync());
        Assert.InRange(Refused("StartupTimeout"), 50, 200);
        Assert.InRange(most, 1, 50 + 4);   // who is turned away counts for a moment
        flood.ForEach(one => one.Dispose());

        void LookAtPending() => most = Math.Max(most, rig.Server.Count().Pending);

        int Refused(string reason) => rig.Diary.Count(entry => entry == $"refused {reason}");
    }

    private static async Task CancelAsync(int port, byte[] key)
    {
        using var cancel = new RawClient(port);
        await cancel.SendAsync(RawClient.Packet(CancelCode, key));
        Assert.Equal(-1, await cancel.ReadByteAsync());
    }
}
