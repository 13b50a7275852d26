using System.Net;
using System.Text;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>The start-up of a client, as a machine: packets in, one outcome out.</summary>
public sealed class ClientStartupTests
{
    private static readonly byte[] s_startup = RawClient.Startup("user", "anna");
    private static readonly byte[] s_ssl = FirstPacket.SslRequest.ToArray();
    private static readonly byte[] s_gss = FirstPacket.GssEncRequest.ToArray();
    private static readonly byte[] s_cancel =
        RawClient.Packet(FirstPacket.CancelRequestCode, [0, 0, 0, 7, 1, 2, 3, 4]);

    [Fact]
    public async Task Both_kinds_of_encryption_are_declined_and_then_the_start_up_message_is_the_outcome()
    {
        using var room = new MachineRoom();
        await room.Connection.SendAsync(s_gss, s_ssl, s_startup);

        var login = Assert.IsType<StartupOutcome.Login>(await new ClientStartup(room.Hub, room.Client).RunAsync());

        Assert.Equal("anna", login.Request.Message!.User);
        Assert.Equal(s_startup, login.Request.Packet);
        Assert.Equal("NN"u8, room.Connection.Sent());
    }

    [Fact]
    public async Task The_same_kind_of_encryption_asked_for_twice_is_refused()
    {
        using var room = new MachineRoom();
        await room.Connection.SendAsync(s_ssl, s_ssl);

        var refused = Assert.IsType<StartupOutcome.Refused>(await new ClientStartup(room.Hub, room.Client).RunAsync());

        Assert.Equal(Refusal.EncryptionAskedTwice, refused.Refusal);
    }

    [Fact]
    public async Task A_wish_for_TLS_that_passes_through_is_the_member_s_to_answer_and_a_no_leads_back()
    {
        using var room = new MachineRoom(
            listener => listener with { Tls = new ClientTlsSettings { Mode = ClientTlsMode.PassThrough } });
        var startup = new ClientStartup(room.Hub, room.Client);
        await room.Connection.SendAsync(s_ssl, s_startup);

        var opaque = Assert.IsType<StartupOutcome.Login>(await startup.RunAsync());
        Assert.True(opaque.Request.IsOpaque);
        Assert.Empty(room.Connection.Sent());

        await startup.DeclineTlsAsync();
        var clear = Assert.IsType<StartupOutcome.Login>(await startup.RunAsync());
        Assert.Equal("N"u8, room.Connection.Sent());
        Assert.Equal("anna", clear.Request.Message!.User);
    }

    [Fact]
    public async Task A_cancel_request_is_handed_on_as_it_came()
    {
        using var room = new MachineRoom();
        await room.Connection.SendAsync(s_cancel);

        var cancel = Assert.IsType<StartupOutcome.Cancel>(await new ClientStartup(room.Hub, room.Client).RunAsync());

        Assert.Equal(s_cancel, cancel.Packet);
    }

    [Theory]
    [InlineData(0, nameof(RefusalReason.Probe))]
    [InlineData(5, nameof(RefusalReason.ClientGone))]
    public async Task A_client_that_ends_before_its_packet_is_whole_was_a_probe_or_went_away(int bytes, string reason)
    {
        using var room = new MachineRoom();
        await room.Connection.SendAsync(s_startup[..bytes]);
        room.Connection.End();

        var refused = Assert.IsType<StartupOutcome.Refused>(await new ClientStartup(room.Hub, room.Client).RunAsync());

        Assert.Equal(reason, refused.Refusal.Reason.ToString());
    }

    [Theory]
    [InlineData("physical", "true")]
    [InlineData("logical", "database")]
    public async Task Replication_that_the_listener_does_not_serve_is_refused_by_its_kind(string kind, string parameter)
    {
        using var room = new MachineRoom(listener => listener with { Replication = ReplicationAccess.None });
        await room.Connection.SendAsync(
            RawClient.Startup("user", "anna", "database", "orders", "replication", parameter));

        var refused = Assert.IsType<StartupOutcome.Refused>(await new ClientStartup(room.Hub, room.Client).RunAsync());

        Assert.Equal(RefusalReason.Replication, refused.Refusal.Reason);
        Assert.StartsWith(kind, refused.Refusal.Message);
    }

    [Fact]
    public async Task A_PROXY_header_from_a_trusted_network_comes_first_and_names_the_client()
    {
        using var room = new MachineRoom(
            listener => listener with { ProxyProtocolFrom = [IPNetwork.Parse("127.0.0.0/8")] });
        room.Client.Source = new IPEndPoint(IPAddress.Loopback, 40_000);
        await room.Connection.SendAsync(
            Encoding.ASCII.GetBytes("PROXY TCP4 10.1.2.3 10.1.2.4 5123 5432\r\n"), s_startup);

        Assert.IsType<StartupOutcome.Login>(await new ClientStartup(room.Hub, room.Client).RunAsync());

        Assert.Equal(IPEndPoint.Parse("10.1.2.3:5123"), room.Client.Source);
    }

    [Fact]
    public async Task Without_its_PROXY_header_a_client_is_refused()
    {
        using var room = new MachineRoom(
            listener => listener with { ProxyProtocolFrom = [IPNetwork.Parse("127.0.0.0/8")] });
        room.Client.Source = new IPEndPoint(IPAddress.Loopback, 40_000);
        await room.Connection.SendAsync(s_startup);

        var refused = Assert.IsType<StartupOutcome.Refused>(await new ClientStartup(room.Hub, room.Client).RunAsync());

        Assert.Equal(RefusalReason.ProxyHeader, refused.Refusal.Reason);
    }
}
