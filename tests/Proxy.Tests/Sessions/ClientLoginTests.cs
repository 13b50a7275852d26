using System.Text;
using Routing.Proxy.Sessions.Login;
using Routing.Proxy.Sessions.Startup;
using Routing.Proxy.Wire;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>The login of a client, as a machine: chooses, attempts, waits, and ends in one of its states.</summary>
public sealed class ClientLoginTests
{
    private static readonly LoginRequest s_request = Request(RawClient.Startup("user", "anna"));

    [Fact]
    public async Task Without_a_member_the_client_waits_and_is_told_in_the_end()
    {
        using var room = new MachineRoom(listener => listener with { HoldTime = TimeSpan.FromMilliseconds(1) });

        Assert.True(await new ClientLogin(room.Hub, room.Client, s_request).RunAsync());

        Assert.Equal(["held False", "refused NoTarget"], room.Diary);
        Assert.Contains("57P03", Encoding.UTF8.GetString(room.Connection.Sent()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_attempt_that_fails_is_noted_and_the_client_is_told_when_the_time_to_try_is_over()
    {
        using var room = new MachineRoom(settings: usual => usual with { RetryTime = TimeSpan.Zero }).Lead();

        Assert.True(await new ClientLogin(room.Hub, room.Client, s_request).RunAsync());

        Assert.Equal(["failed a refused", "refused MemberFailed"], room.Diary);
        Assert.Contains("08006", Encoding.UTF8.GetString(room.Connection.Sent()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_member_s_no_to_TLS_that_was_to_pass_through_leaves_the_client_where_it_was()
    {
        using var room = new MachineRoom().Lead();
        var server = new PipeConnection();
        await server.SendAsync("N"u8.ToArray());
        room.Servers.Enqueue(server);
        var request = new LoginRequest(null, FirstPacket.SslRequest.ToArray());

        Assert.False(await new ClientLogin(room.Hub, room.Client, request).RunAsync());

        Assert.Equal(FirstPacket.SslRequest, server.Sent());
        Assert.True(server.IsAborted);
        Assert.False(room.Connection.IsAborted);
        Assert.Empty(room.Connection.Sent());
    }

    [Fact]
    public async Task The_member_s_own_refusal_is_relayed_and_says_nothing_against_it()
    {
        using var room = new MachineRoom().Lead();
        var server = new PipeConnection();
        await server.SendAsync(BackendMessage.Error("28P01"));
        room.Servers.Enqueue(server);

        Assert.True(await new ClientLogin(room.Hub, room.Client, s_request).RunAsync());

        Assert.Equal(["refused ServerRefused"], room.Diary);
        Assert.Contains("28P01", Encoding.UTF8.GetString(room.Connection.Sent()), StringComparison.Ordinal);
    }

    private static LoginRequest Request(byte[] packet)
    {
        Assert.True(StartupMessage.TryRead(packet, out var message, out _));
        return new LoginRequest(message, packet);
    }
}
