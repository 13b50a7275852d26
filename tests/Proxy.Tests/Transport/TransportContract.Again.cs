using System.Buffers;
using System.Net.Sockets;
using System.Security.Cryptography;
using Routing.Proxy.Transport;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Transport;

/// <content>A relay that was stopped leaves what it has not passed on, and its client can be joined again.</content>
public abstract partial class TransportContract
{
    [Fact]
    public async Task A_relay_that_is_stopped_and_joined_again_many_times_loses_and_mixes_nothing()
    {
        const int Rounds = 40;
        await using var relay = await RelayAsync(new CountingTap());
        var up = RandomNumberGenerator.GetBytes(6_000_000);
        var down = RandomNumberGenerator.GetBytes(6_000_000);

        var sent = Task.WhenAll(SendAllAsync(relay.Client, up), SendAllAsync(relay.Server, down));
        var received = Task.WhenAll(ReadAsync(relay.Server, up.Length), ReadAsync(relay.Client, down.Length));
        for (var round = 0; round < Rounds && !received.IsCompleted; round++)
        {
            relay.Relay.StopAtBoundary(s_limit);
            Assert.Equal(RelayEnd.Stopped, await relay.Ended.WaitAsync(s_limit, Cancellation));
            await JoinAgainAsync(relay, relay.ServerSide);
            var before = relay.Relay.FromClient;
            await WaitUntil.TrueAsync(
                () => relay.Relay.FromClient > before || received.IsCompleted || sent.IsCompleted);
        }

        await received.WaitAsync(s_limit, Cancellation);
        await sent;
        Assert.True((await received)[0].AsSpan().SequenceEqual(up));
        Assert.True((await received)[1].AsSpan().SequenceEqual(down));
    }

    [Fact]
    public async Task What_a_client_sends_while_it_moves_goes_to_the_next_server()
    {
        const int Moves = 5;
        await using var relay = await RelayAsync(new CountingTap());
        var up = RandomNumberGenerator.GetBytes(3_000_000);
        var sending = SendAllAsync(relay.Client, up);
        var arrived = new List<Task<byte[]>>();
        var server = relay.Server;
        for (var move = 0; move < Moves; move++)
        {
            var before = relay.Relay.FromClient;
            var reading = ReadToEndAsync(server);
            arrived.Add(reading);
            await WaitUntil.TrueAsync(() => relay.Relay.FromClient > before || sending.IsCompleted);
            relay.Relay.StopAtBoundary(s_limit);
            Assert.Equal(RelayEnd.Stopped, await relay.Ended.WaitAsync(s_limit, Cancellation));

            using var far = NewListener();
            var accepting = far.AcceptAsync(Cancellation);
            var (old, next) = (relay.ServerSide, default(ITransportConnection)!);
            await OnLoopAsync(relay.ClientSide, async () =>
            {
                await old.EndSendingAsync();   // behind what was passed on
                next = await _transport.ConnectAsync(
                    far.LocalEndPoint!, relay.ClientSide, SocketTuning.None, CancellationToken.None);
            }, wait: true);
            _ = await reading.WaitAsync(s_limit, Cancellation);
            server.Dispose();
            await old.DisposeAsync();
            server = await accepting;
            await JoinAgainAsync(relay, next);
        }
        arrived.Add(ReadToEndAsync(server));
        await sending;
        relay.Client.Shutdown(SocketShutdown.Send);

        // The server ends behind the client: its end would end the relay at once, with what was not passed on yet.
        var all = await Task.WhenAll(arrived).WaitAsync(s_limit, Cancellation);
        server.Shutdown(SocketShutdown.Send);
        Assert.True(all.SelectMany(part => part).ToArray().AsSpan().SequenceEqual(up));
        server.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(60)]
    public async Task A_message_that_is_withheld_ends_the_relay_and_is_delivered_when_it_goes_on(int ahead)
    {
        var tap = new CountingTap { WithholdsFrom = ahead };
        await using var relay = await RelayAsync(tap);
        var bytes = RandomNumberGenerator.GetBytes(100);

        await relay.Server.SendAsync(bytes, Cancellation);

        Assert.Equal(RelayEnd.Withheld, await relay.Ended.WaitAsync(s_limit, Cancellation));
        Assert.Equal(bytes[..ahead], await ReadAsync(relay.Client, ahead));
        Assert.Equal((ahead, (long)ahead), (tap.Down, relay.Relay.FromServer));
        await relay.Client.SendAsync("meanwhile"u8.ToArray(), Cancellation);
        await relay.Server.SendAsync("behind it"u8.ToArray(), Cancellation);
        relay.Server.Shutdown(SocketShutdown.Send);
        await OnLoopAsync(relay.ServerSide, async () =>
        {
            var input = relay.ServerSide.Input;
            for (var isWhole = false; !isWhole;)
            {
                var result = await input.ReadAsync();
                isWhole = result.Buffer.Length >= 109 - ahead && result.IsCompleted;
                Assert.True(isWhole || !result.IsCompleted);
                input.AdvanceTo(result.Buffer.Start, isWhole ? result.Buffer.Start : result.Buffer.End);
            }
        }, wait: true);

        tap.WithholdsFrom = int.MaxValue;
        await JoinAgainAsync(relay, relay.ServerSide);

        byte[] expected = [.. bytes[ahead..], .. "behind it"u8];
        Assert.Equal(expected, await ReadAsync(relay.Client, 109 - ahead));
        Assert.Equal(RelayEnd.ServerClosed, await relay.Ended.WaitAsync(s_limit, Cancellation));
    }

    [Fact]
    public async Task The_end_of_a_client_that_ends_while_it_is_not_joined_is_passed_on()
    {
        await using var relay = await RelayAsync(new CountingTap());
        relay.Relay.StopAtRest(s_limit);
        Assert.Equal(RelayEnd.Stopped, await relay.Ended.WaitAsync(s_limit, Cancellation));

        await relay.Client.SendAsync("last words"u8.ToArray(), Cancellation);
        relay.Client.Shutdown(SocketShutdown.Send);
        await JoinAgainAsync(relay, relay.ServerSide);

        Assert.Equal("last words"u8.ToArray(), await ReadToEndAsync(relay.Server));
        relay.Server.Shutdown(SocketShutdown.Send);
        Assert.Equal(RelayEnd.ClientClosed, await relay.Ended.WaitAsync(s_limit, Cancellation));
    }

    private async Task JoinAgainAsync(JoinedPair pair, ITransportConnection server)
    {
        await OnLoopAsync(pair.ClientSide, async () =>
        {
            await pair.ClientSide.Output.FlushAsync();
            await server.Output.FlushAsync();
            pair.Relay = _transport.Join(pair.ClientSide, server, pair.Tap);
            pair.ServerSide = server;
            pair.Ended = pair.Relay.RunAsync().AsTask();
        }, wait: true);
    }

    private static async Task<byte[]> ReadToEndAsync(Socket socket)
    {
        using var limit = new CancellationTokenSource(s_limit, TimeProvider.System);
        var all = new ArrayBufferWriter<byte>();
        while (await socket.ReceiveAsync(all.GetMemory(64 * 1024), limit.Token) is > 0 and var count)
        {
            all.Advance(count);
        }
        return all.WrittenSpan.ToArray();
    }
}
