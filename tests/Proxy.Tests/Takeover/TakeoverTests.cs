using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Sessions.Handing;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Takeover;
using Routing.Proxy.Tests.Sessions;
using Routing.Proxy.Tests.Tls;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Takeover;

/// <summary>Sessions that another process goes on with.</summary>
public sealed class TakeoverTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    public static TheoryData<string> Transports => ["io_uring", "epoll"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_goes_on_in_the_new_process_and_its_server_notices_nothing(string transport)
    {
        await using var rig = new TakeoverRig(transport);
        using var client = await rig.ClientAsync();

        var (given, taken) = await rig.TakeOverAsync();
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal((1, 1, 0), (given.HandedOver, taken.HandedOver, taken.KeptInAll));
        Assert.Equal((1, 1), (rig.Server.Logins, rig.Server.Queries));
        await rig.Old.UntilAsync("closed a HandedOver");
        Assert.Contains("taken over a", rig.New.Diary);
        Assert.Equal((0, 1), (rig.Old.Open, rig.New.Open));
        Assert.Equal(["paused 0", "left", "replaced"], rig.Diary);
        await client.SendAsync(BackendMessage.Of('X'));
        await rig.New.UntilAsync("closed a ClientTerminated");
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_statement_that_runs_is_answered_through_the_new_process(string transport)
    {
        await using var rig = new TakeoverRig(transport);
        var answers = new TaskCompletionSource();
        var asked = new TaskCompletionSource();
        rig.Server.Talk = async stream =>
        {
            await BackendMessage.ReadAsync(stream);
            asked.SetResult();
            await answers.Task;
            await stream.WriteAsync(
                (byte[])[.. BackendMessage.Of('C', "SELECT 1\0"u8), .. BackendMessage.Ready('T')]);
            await BackendMessage.ReadAsync(stream);
            await stream.WriteAsync(
                (byte[])[.. BackendMessage.Of('C', "COMMIT\0"u8), .. BackendMessage.Ready()]);
            await BackendMessage.ReadAsync(stream);
        };
        using var client = await rig.ClientAsync();
        await client.QueryAsync("begin");
        await asked.Task.WaitAsync(s_limit, Cancellation);

        var (given, _) = await rig.TakeOverAsync();
        answers.SetResult();

        Assert.Equal(1, given.HandedOver);
        Assert.Null(await client.UntilReadyAsync());   // the transaction is open
        await client.QueryAsync("commit");
        Assert.Null(await client.UntilReadyAsync());
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Busy_clients_lose_and_repeat_nothing(string transport)
    {
        const int Clients = 8;
        await using var rig = new TakeoverRig(transport);
        rig.Server.Answer = text => [.. BackendMessage.Of('C', Encoding.UTF8.GetBytes(text + "\0")),
            .. BackendMessage.Ready()];
        using var isOver = new CancellationTokenSource();
        var answered = new int[Clients];
        var clients = new List<Task>();
        for (var at = 0; at < Clients; at++)
        {
            clients.Add(AskAsync(await rig.ClientAsync(), at));
        }
        await UntilMoreAsync();

        var (given, _) = await rig.TakeOverAsync();
        await UntilMoreAsync();
        await isOver.CancelAsync();
        await Task.WhenAll(clients).WaitAsync(s_limit, Cancellation);

        Assert.Equal(Clients, given.HandedOver);
        Assert.Equal(answered.Sum(), rig.Server.Queries);
        Assert.Equal(Clients, rig.Server.Logins);

        async Task AskAsync(RawClient client, int at)
        {
            using (client)
            {
                while (!isOver.IsCancellationRequested)
                {
                    var text = string.Create(CultureInfo.InvariantCulture, $"{at}:{answered[at]}");
                    // Several at once: bytes are under way in both directions whenever it stops.
                    await client.QueryAsync(text);
                    await client.QueryAsync(text + "+");
                    foreach (var expected in (string[])[text, text + "+"])
                    {
                        var (type, body) = await client.ReadMessageAsync();
                        Assert.Equal(('C', expected + "\0"), (type, Encoding.UTF8.GetString(body)));
                        Assert.Null(await client.UntilReadyAsync());
                        Interlocked.Increment(ref answered[at]);
                    }
                }
            }
        }

        Task UntilMoreAsync()
        {
            var before = (int[])answered.Clone();
            return WaitUntil.TrueAsync(
                () => clients.Exists(one => one.IsFaulted)
                    || answered.Zip(before).All(pair => pair.First > pair.Second + 20),
                s_limit);
        }
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Bytes_that_come_while_nobody_may_read_are_for_the_new_process(string transport)
    {
        await using var rig = new TakeoverRig(transport);
        using var client = await rig.ClientAsync();
        var (old, @new) = await rig.ConnectAsync();
        using var channel = new TakeoverChannel(@new, s_limit);
        var giving = rig.GiveAsync(old);
        var number = await TakeSessionAsync(channel, rig, keeps: true);

        await rig.Server.SayAsync(BackendMessage.Parameter("application_name", "other"), ends: false);
        await client.QueryAsync("select 1");
        channel.Send(TakeoverFrame.Have, Number(number.Number));
        using (var go = channel.Receive(s_limit)!.Value)
        {
            Assert.Equal(TakeoverFrame.Go, go.Type);
        }
        number.Session!.Begin();

        Assert.Equal('S', (await client.ReadMessageAsync()).Type);
        Assert.Null(await client.UntilReadyAsync());
        using (var end = channel.Receive(s_limit)!.Value)
        {
            Assert.Equal(TakeoverFrame.End, end.Type);
        }
        Assert.Equal(1, (await giving).HandedOver);
        Assert.Equal(1, rig.Server.Queries);
    }

    [Theory]
    [InlineData("connects")]
    [InlineData("introduces itself")]
    [InlineData("is ready")]
    [InlineData("gets a session")]
    [InlineData("says nonsense")]
    public async Task A_process_that_fails_when_it_has_done_this_changes_nothing(string step)
    {
        await using var rig = new TakeoverRig("io_uring");
        using var client = await rig.ClientAsync();
        var (old, @new) = await rig.ConnectAsync();
        using (var channel = new TakeoverChannel(@new, s_limit))
        {
            var giving = rig.GiveAsync(old);
            if (step == "introduces itself")
            {
                channel.Send(TakeoverFrame.Hello, Hello(1, 1));
                channel.Receive(s_limit)!.Value.Dispose();
            }
            else if (step == "is ready")
            {
                await BeReadyAsync(channel);
            }
            else if (step == "gets a session")
            {
                await TakeSessionAsync(channel, rig, keeps: false);
            }
            else if (step == "says nonsense")
            {
                await BeReadyAsync(channel);
                channel.Send((TakeoverFrame)99);
            }
            channel.Dispose();
            await Assert.ThrowsAsync<IOException>(() => giving.WaitAsync(s_limit, Cancellation));
        }

        await client.QueryAsync("select 1");
        Assert.Null(await client.UntilReadyAsync());
        Assert.DoesNotContain("replaced", rig.Diary);
        Assert.Equal((1, 0), (rig.Old.Open, rig.New.Open));
        // and the next one gets everything
        var (given, _) = await rig.TakeOverAsync();
        await client.QueryAsync("select 2");
        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal((1, 2), (given.HandedOver, rig.Server.Queries));
    }

    [Fact]
    public async Task A_process_that_speaks_no_common_version_is_told_so()
    {
        await using var rig = new TakeoverRig("epoll");
        var (old, @new) = await rig.ConnectAsync();
        using var channel = new TakeoverChannel(@new, s_limit);
        var giving = rig.GiveAsync(old);

        channel.Send(TakeoverFrame.Hello, Hello(TakeoverVersion.Highest + 1, TakeoverVersion.Highest + 2));

        using var refusal = channel.Receive(s_limit)!.Value;
        Assert.Equal(TakeoverFrame.Refusal, refusal.Type);
        Assert.Contains("version", Encoding.UTF8.GetString(refusal.Body), StringComparison.Ordinal);
        await Assert.ThrowsAsync<IOException>(() => giving.WaitAsync(s_limit, Cancellation));
        Assert.Empty(rig.Diary);
    }

    [Theory]
    [InlineData("unknown_state")]
    [InlineData("no_listener")]
    [InlineData("a_word_of_a_newer_release")]
    public async Task A_session_that_the_new_process_refuses_stays(string reason)
    {
        await using var rig = new TakeoverRig("epoll") { Patience = TimeSpan.FromSeconds(1) };
        using var client = await rig.ClientAsync();
        var (old, @new) = await rig.ConnectAsync();
        using var channel = new TakeoverChannel(@new, s_limit);
        var giving = rig.GiveAsync(old);
        var session = await TakeSessionAsync(channel, rig, keeps: false);

        channel.Send(TakeoverFrame.Refuse, [.. Number(session.Number), .. Text(reason)]);
        var count = await giving.WaitAsync(s_limit, Cancellation);
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal((0, 1), (count.HandedOver, count.KeptInAll));
        Assert.Equal(Words.Parse<KeptReason>(reason) ?? KeptReason.UnknownState, count.Kept.Single().Key);
        Assert.Equal(1, rig.Old.Open);
    }

    [Fact]
    public async Task A_state_of_another_format_or_of_an_unknown_listener_is_refused()
    {
        await using var rig = new TakeoverRig("epoll");
        using var client = await rig.ClientAsync();
        var (old, @new) = await rig.ConnectAsync();
        using var channel = new TakeoverChannel(@new, s_limit);
        var giving = rig.GiveAsync(old);
        var session = await TakeSessionAsync(channel, rig, keeps: false);
        byte[] newer = [.. session.State];
        BinaryPrimitives.WriteInt32BigEndian(newer, SessionCodec.Format + 1);
        byte[] longer = [.. session.State, 0];
        await using var other = new Rig("epoll", change: one => one with { Name = $"other {one.Name}" });

        Assert.Null(rig.New.Server.TakeOver(newer, -1, -1, out var first));
        Assert.Null(rig.New.Server.TakeOver(longer, -1, -1, out var second));
        Assert.Null(rig.New.Server.TakeOver(session.State.AsSpan(0, 30), -1, -1, out var third));
        Assert.Null(other.Server.TakeOver(session.State, -1, -1, out var fourth));

        Assert.Equal(
            [KeptReason.UnknownState, KeptReason.UnknownState, KeptReason.UnknownState, KeptReason.NoListener],
            [first, second, third, fourth]);
        channel.Dispose();
        await Assert.ThrowsAsync<IOException>(() => giving.WaitAsync(s_limit, Cancellation));
    }

    [Fact]
    public async Task A_client_s_key_cancels_at_the_new_process()
    {
        await using var rig = new TakeoverRig("epoll");
        using var client = await rig.ClientAsync();
        await rig.TakeOverAsync();
        // The member is no target of new sessions any more: the key alone leads there.
        rig.New.Lead(null).Publish();

        using var cancel = new RawClient(rig.New.WritePort);
        await cancel.SendAsync(RawClient.Packet(80_877_102, client.Key));
        Assert.Equal(-1, await cancel.ReadByteAsync());

        Assert.Equal(BinaryPrimitives.ReadInt32BigEndian(client.Key), Assert.Single(rig.Server.Cancelled));
    }

    [Fact]
    public async Task A_session_that_was_taken_over_moves_with_the_key_of_its_login()
    {
        using var next = new PretendServer { Password = "sesame" };
        await using var rig = new TakeoverRig(
            "epoll", new PretendServer { Password = "sesame", TellsVerifiers = true },
            new SessionSettings { AuthQuery = new AuthQuery("routing_proxy", "sesame", "postgres") },
            one => one with { Move = MoveMode.Clean });
        using var client = new RawClient(rig.Old.WritePort);
        Assert.Null(await client.LoginWithPasswordAsync("sesame"));
        await WaitUntil.TrueAsync(() => rig.Old.Movable == 1);

        await rig.TakeOverAsync();
        await WaitUntil.TrueAsync(() => rig.New.Movable == 1);
        rig.Server.Dispose();
        rig.New.With("b", next, Role.Primary).Lead("b").Publish();
        await rig.New.UntilAsync("moved a b");
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(1, next.Queries);
    }

    [Fact]
    public async Task TLS_that_ends_here_stays_and_TLS_that_passes_through_goes()
    {
        using var certificates = new CertificateFiles();
        var terminating = new ClientTlsSettings
        {
            Mode = ClientTlsMode.Terminate, CertificateFile = certificates.FileFor("localhost"),
        };
        await using var rig = new TakeoverRig(
            "epoll", new PretendServer { Certificate = certificates.For("member.example") }, null,
            one => one with
            {
                Tls = one.Name == "write" ? terminating : new() { Mode = ClientTlsMode.PassThrough },
                Request = new HostRequest { Role = WantedRole.Primary },
            });
        using var ending = await EncryptedAsync(rig.Old.WritePort);
        using var passing = await EncryptedAsync(rig.Old.ReadPort);

        var (given, taken) = await rig.TakeOverAsync();
        await ending.QueryAsync("select 1");
        await passing.QueryAsync("select 1");

        Assert.Equal((1, 1, 1), (given.HandedOver, given.Kept[KeptReason.Tls], taken.Kept[KeptReason.Tls]));
        Assert.Null(await ending.UntilReadyAsync());
        Assert.Null(await passing.UntilReadyAsync());
        Assert.Equal((1, 1), (rig.Old.Open, rig.New.Open));

        async Task<RawClient> EncryptedAsync(int port)
        {
            var client = new RawClient(port);
            await client.SendAsync(RawClient.Packet(80_877_103, []));
            Assert.Equal('S', await client.ReadByteAsync());
            await client.EncryptAsync(certificates.Trusting());
            Assert.Null(await client.LoginAsync());
            return client;
        }
    }

    [Fact]
    public async Task A_transport_that_can_t_share_keeps_its_sessions()
    {
        await using var rig = new TakeoverRig("portable");
        using var client = await rig.ClientAsync();

        var (given, _) = await rig.TakeOverAsync();
        await client.QueryAsync("select 1");

        Assert.Equal((0, 1), (given.HandedOver, given.Kept[KeptReason.Transport]));
        Assert.Null(await client.UntilReadyAsync());
    }

    [Fact]
    public async Task A_client_in_the_middle_of_a_message_is_waited_for_and_stays_then()
    {
        await using var rig = new TakeoverRig("epoll") { Patience = TimeSpan.FromMilliseconds(300) };
        using var client = await rig.ClientAsync();
        var query = BackendMessage.Of('Q', "select 1\0"u8);
        await client.SendAsync(query[..7]);
        await WaitUntil.TrueAsync(() => rig.Old.FromClients == 7);

        var (given, _) = await rig.TakeOverAsync();
        await client.SendAsync(query[7..]);

        Assert.Equal((0, 1), (given.HandedOver, given.Kept[KeptReason.Busy]));
        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(1, rig.Old.Open);
    }

    [Fact]
    public async Task Many_idle_sessions_are_handed_over()
    {
        var count = Environment.GetEnvironmentVariable("ROUTING_TEST_FULL") is { Length: > 0 } ? 1_000 : 100;
        await using var rig = new TakeoverRig("io_uring");
        var clients = new List<RawClient>();
        try
        {
            for (var at = 0; at < count; at++)
            {
                clients.Add(await rig.ClientAsync());
            }

            var begun = Stopwatch.GetTimestamp();
            var (given, _) = await rig.TakeOverAsync();
            TestContext.Current.SendDiagnosticMessage(string.Create(
                CultureInfo.InvariantCulture,
                $"{count} sessions in {Stopwatch.GetElapsedTime(begun).TotalMilliseconds:0} ms"));
            Assert.Equal(count, given.HandedOver);
            await WaitUntil.TrueAsync(() => rig.New.Open == count);   // the last ones begin on their loops
            foreach (var client in clients)
            {
                await client.QueryAsync("select 1");
            }
            foreach (var client in clients)
            {
                Assert.Null(await client.UntilReadyAsync());
            }
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public void Only_the_same_user_and_root_take_over()
    {
        Assert.True(TakeoverServer.MayTakeOver(1000, own: 1000));
        Assert.True(TakeoverServer.MayTakeOver(0, own: 1000));
        Assert.False(TakeoverServer.MayTakeOver(1001, own: 1000));
        Assert.False(TakeoverServer.MayTakeOver(1000, own: 0));
    }

    private static byte[] Number(int number)
    {
        var bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32BigEndian(bytes, number);
        return bytes;
    }

    private static byte[] Text(string text) =>
        [.. Number(Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];

    private static byte[] Hello(int lowest, int highest) => [.. Number(lowest), .. Number(highest), .. Text("1.2.3")];

    private static async Task BeReadyAsync(TakeoverChannel channel)
    {
        channel.Send(TakeoverFrame.Hello, Hello(1, 1));
        foreach (var expected in (TakeoverFrame[])[TakeoverFrame.Welcome, TakeoverFrame.ListenersEnd])
        {
            using var message = await Task.Run(() => channel.Receive(s_limit)!.Value);
            Assert.Equal(expected, message.Type);
        }
        channel.Send(TakeoverFrame.Ready, Number(0));
    }

    // As a process that takes over does, until it has a session.
    private static async Task<(int Number, byte[] State, Session? Session)> TakeSessionAsync(
        TakeoverChannel channel, TakeoverRig rig, bool keeps)
    {
        await BeReadyAsync(channel);
        var message = await Task.Run(() => channel.Receive(s_limit)!.Value);
        Assert.Equal((TakeoverFrame.Session, 2), (message.Type, message.Descriptors.Length));
        var state = message.Body[sizeof(int)..];
        var session = keeps
            ? rig.New.Server.TakeOver(state, message.Descriptors[0], message.Descriptors[1], out _)
            : null;
        if (!keeps)
        {
            message.CloseDescriptors();
        }
        return (BinaryPrimitives.ReadInt32BigEndian(message.Body), state, session);
    }
}
