using System.Buffers.Binary;
using System.Text;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Transport;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>The life of a session before pretend servers, on each transport.</summary>
public sealed class SessionTests
{
    // A server that is slow on purpose has to give its sign of life in half of this, however slow the machine is.
    private static readonly SessionSettings s_patient = new() { AnswerTimeout = TimeSpan.FromSeconds(1.5) };

    private const int SslRequest = 80_877_103, GssRequest = 80_877_104, CancelRequest = 80_877_102;

    public static TheoryData<string> Transports => ["io_uring", "epoll", "portable"];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_client_logs_in_at_the_leader_and_is_answered(string transport)
    {
        using var server = new PretendServer();
        await using var rig = new Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        Assert.Null(await client.LoginAsync());
        await client.QueryAsync("select 1");
        Assert.Null(await client.UntilReadyAsync());
        await client.SendAsync(BackendMessage.Of('X'));

        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a ClientTerminated") && rig.Open == 0);
        // byte for byte
        Assert.Equal(RawClient.Startup("user", "alice", "database", "shop"), server.Startups.Single());
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_start_up_may_come_byte_by_byte_after_refused_encryption(string transport)
    {
        using var server = new PretendServer();
        await using var rig = new Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(RawClient.Packet(GssRequest, []), oneByOne: true);
        Assert.Equal('N', await client.ReadByteAsync());
        await client.SendAsync(RawClient.Packet(SslRequest, []), oneByOne: true);
        Assert.Equal('N', await client.ReadByteAsync());
        await client.SendAsync(RawClient.Startup((3 << 16) | 9999, "user", "alice", "_pq_.grease", "1"),
            oneByOne: true);

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(RawClient.Startup((3 << 16) | 9999, "user", "alice", "_pq_.grease", "1"),
            server.Startups.Single());
    }

    [Fact]
    public async Task Encryption_asked_for_twice_is_an_error()
    {
        await using var rig = new Rig();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(RawClient.Packet(SslRequest, []));
        Assert.Equal('N', await client.ReadByteAsync());
        await client.SendAsync(RawClient.Packet(SslRequest, []));

        Assert.Equal("0A000", await client.UntilReadyAsync());
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("\0\0\0\u0003abc")]
    [InlineData("\u00ff\u00ff\u00ff\u00ffabcdefgh")]
    [InlineData("\0\0\0\u0008\0\u0002\0\0")]
    public async Task What_is_not_PostgreSQL_is_closed_and_counted(string bytes)
    {
        await using var rig = new Rig();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(Encoding.Latin1.GetBytes(bytes));
        _ = await client.ReadToEndAsync();

        await WaitUntil.TrueAsync(
            () => rig.Diary.Any(entry => entry is "refused NotPostgres" or "refused Unsupported"));
    }

    [Fact]
    public async Task A_start_up_without_its_terminator_is_a_protocol_violation()
    {
        await using var rig = new Rig();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(RawClient.Packet(196_608, "user\0alice\0x"u8));

        Assert.Equal("08P01", await client.UntilReadyAsync());
    }

    [Fact]
    public async Task A_start_up_without_a_user_is_refused_as_PostgreSQL_does()
    {
        await using var rig = new Rig();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(RawClient.Startup("database", "shop"));

        Assert.Equal("28000", await client.UntilReadyAsync());
    }

    [Theory]
    [InlineData("maybe")]
    [InlineData("")]
    public async Task Replication_that_is_none_is_refused_as_PostgreSQL_does(string value)
    {
        await using var rig = new Rig();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(RawClient.Startup("user", "alice", "replication", value));

        Assert.Equal("22023", await client.UntilReadyAsync());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public async Task A_message_with_an_impossible_length_is_the_client_s_fault_not_the_server_s(int length)
    {
        using var server = new PretendServer { Mechanisms = ["SCRAM-SHA-256"] };
        await using var rig = new Rig().With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(RawClient.Startup("user", "alice"));
        Assert.Equal('R', (await client.ReadMessageAsync()).Type);
        server.HangsUpOnAnswers = true;
        byte[] header = [(byte)'p', 0, 0, 0, 0];
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(1), length);
        await client.SendAsync(header);

        Assert.Equal("08P01", await client.UntilReadyAsync());
        Assert.DoesNotContain(rig.Diary, line => line.StartsWith("failed", StringComparison.Ordinal));
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused BadMessage"));
    }

    [Fact]
    public async Task A_slow_start_up_ends_with_its_time()
    {
        await using var rig =
            new Rig(settings: new SessionSettings { StartupTimeout = TimeSpan.FromMilliseconds(300) });
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync([0, 0, 0]);

        Assert.Equal(-1, await client.ReadByteAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused StartupTimeout"));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Without_a_leader_a_client_waits_and_then_goes_to_the_new_one(string transport)
    {
        using var server = new PretendServer();
        await using var rig = new Rig(transport).With("a", server, Role.Replica).Publish();
        using var client = new RawClient(rig.WritePort);

        var login = client.LoginAsync();
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);
        rig.With("a", server, Role.Primary).Lead("a").Publish();

        Assert.Null(await login);
        Assert.Contains("held True", rig.Diary);
    }

    [Fact]
    public async Task Who_waits_in_vain_is_told_so()
    {
        await using var rig = new Rig(hold: TimeSpan.FromMilliseconds(200)).Publish();
        using var client = new RawClient(rig.WritePort);

        Assert.Equal("57P03", await client.LoginAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused NoTarget"));
    }

    [Fact]
    public async Task A_client_that_goes_while_it_waits_leaves_the_queue()
    {
        await using var rig = new Rig().Publish();
        using (var client = new RawClient(rig.WritePort))
        {
            await client.SendAsync(RawClient.Startup("user", "alice"));
            await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);
        }

        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 0 && rig.Diary.Contains("refused ClientGone"));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task An_attempt_that_fails_is_repeated_unseen(string transport)
    {
        using var server = new PretendServer { RefuseWith = "57P03" };
        await using var rig = new Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        var login = client.LoginAsync();
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("failed a not_ready"));
        server.RefuseWith = null;

        Assert.Null(await login);
    }

    [Fact]
    public async Task A_standby_on_the_write_port_is_never_handed_out()
    {
        using var server = new PretendServer(inRecovery: true);
        await using var rig = new Rig().With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        var login = client.LoginAsync();
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("failed a wrong_role"));
        Assert.False(login.IsCompleted);
        server.InRecovery = false;

        Assert.Null(await login);
    }

    [Fact]
    public async Task A_silent_member_costs_one_answer_time_and_another_replica_takes_over()
    {
        using var silent = new PretendServer { IsSilent = true };
        using var good = new PretendServer(inRecovery: true);
        await using var rig = new Rig(settings: new SessionSettings { AnswerTimeout = TimeSpan.FromMilliseconds(200) })
            .With("a", silent, Role.Replica).With("b", good, Role.Replica).Publish();

        for (var count = 0; count < 4; count++)
        {
            using var client = new RawClient(rig.ReadPort);
            Assert.Null(await client.LoginAsync());
        }

        Assert.InRange(good.Logins, 4, 8);   // a slow machine may make it try again here as well
        Assert.Contains("failed a timed_out", rig.Diary);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_leader_that_swallows_all_packets_is_left_as_soon_as_another_leads(string transport)
    {
        using var old =
            new PretendServer { Answer = sql => sql.StartsWith("insert", StringComparison.Ordinal) ? [] : null };
        using var next = new PretendServer();
        await using var rig =
            new Rig(transport).With("a", old, Role.Primary).With("b", next, Role.Replica).Lead("a").Publish();
        using var writing = new RawClient(rig.WritePort);
        using var resting = new RawClient(rig.WritePort);
        Assert.Null(await writing.LoginAsync());
        Assert.Null(await resting.LoginAsync());

        old.Vanish();
        await writing.QueryAsync("insert into t values (1)");
        using var early = new RawClient(rig.WritePort);
        var login = early.LoginAsync();   // its SYN is lost as well
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("failed a timed_out"));
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal("08007", await writing.UntilReadyAsync());
        Assert.Equal("57P01", await resting.UntilReadyAsync());
        Assert.Null(await login);
        Assert.Equal(1, next.Logins);
        await WaitUntil.TrueAsync(() => rig.Open == 1);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_member_that_swallows_all_packets_while_etcd_is_silent_is_found_out_by_the_probes(
        string transport)
    {
        using var server = new PretendServer { Answer = _ => [] };
        var settings = new SessionSettings
        {
            CutGrace = TimeSpan.FromMilliseconds(50), RetryTime = TimeSpan.FromSeconds(1),
            SilenceTime = TimeSpan.FromSeconds(2),
            AnswerTimeout = TimeSpan.FromMilliseconds(300),
        };
        await using var rig = new Rig(transport, settings, hold: TimeSpan.FromSeconds(1)).With(
            "a", server, Role.Primary).Lead("a").Publish();
        using var asking = new RawClient(rig.WritePort);
        using var resting = new RawClient(rig.WritePort);
        Assert.Null(await asking.LoginAsync());
        Assert.Null(await resting.LoginAsync());

        rig.Publish(isLive: false);
        server.Vanish();
        await asking.QueryAsync("insert into t values (1)");

        Assert.Equal("08007", await asking.UntilReadyAsync());
        Assert.Equal("57P01", await resting.UntilReadyAsync());
        using var late = new RawClient(rig.WritePort);
        Assert.Equal("57P03", await late.LoginAsync());
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Where_nobody_tells_of_a_swallowed_connection_the_kernel_s_timers_end_it(string transport)
    {
        using var server = new PretendServer(inRecovery: true) { Answer = _ => [] };
        var tuning = new SocketTuning(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 1, TimeSpan.FromSeconds(1));
        await using var rig = new Rig(transport, change: one => one with { MemberTuning = tuning }).With(
            "b", server, Role.Replica).Publish();
        using var asking = new RawClient(rig.ReadPort);
        using var resting = new RawClient(rig.ReadPort);
        Assert.Null(await asking.LoginAsync());
        Assert.Null(await resting.LoginAsync());

        server.Vanish();
        await asking.QueryAsync("select 1");

        // unacknowledged: the user timeout; what became of the statement nobody knows
        Assert.Equal("08007", await asking.UntilReadyAsync());
        Assert.Equal("57P01", await resting.UntilReadyAsync());   // nothing sent: keepalive
        await WaitUntil.TrueAsync(() => rig.Open == 0);
    }

    [Fact]
    public async Task The_server_s_own_refusal_reaches_the_client_and_does_not_count_against_it()
    {
        using var server = new PretendServer { RefuseWith = "28P01" };
        await using var rig = new Rig().With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        Assert.Equal("28P01", await client.LoginAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused ServerRefused"));
        Assert.False(rig.Router.HealthFor("a").IsOut);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task After_a_change_of_leader_sessions_at_the_old_one_end_with_57P01_and_new_ones_go_to_the_new_one(
        string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig =
            new Rig(transport).With("a", old, Role.Primary).With("b", next, Role.Replica).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        rig.With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal("57P01", await client.UntilReadyAsync());
        Assert.Equal(('\0', []), await client.ReadMessageAsync());
        using var again = new RawClient(rig.WritePort);
        Assert.Null(await again.LoginAsync());
        Assert.Equal(1, next.Logins);
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a Cut") && old.Open.IsEmpty);
    }

    [Theory]
    [InlineData("COMMIT", "08007")]
    [InlineData("insert into t values (1)", "08007")]   // outside a transaction: committed or not, nobody knows
    public async Task A_cut_in_a_commit_says_that_the_outcome_is_unknown(string sql, string code)
    {
        using var old = new PretendServer { Answer = _ => [] };
        using var next = new PretendServer();
        await using var rig = new Rig().With("a", old, Role.Primary).With("b", next, Role.Replica).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        await client.QueryAsync(sql);
        await WaitUntil.TrueAsync(() => rig.Server.Count().Sessions.Sum(one => one.BytesFromClient) > 0);

        rig.With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal(code, await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a CutInCommit"));
    }

    [Fact]
    public async Task A_cut_in_the_middle_of_a_row_never_shows_half_a_message_and_an_error_behind_it()
    {
        var row = BackendMessage.Of('D', new byte[1000]);
        using var old = new PretendServer { Answer = _ => row[..600] };
        using var next = new PretendServer();
        await using var rig = new Rig(settings: new SessionSettings
            {
                CutGrace = TimeSpan.FromMilliseconds(50), BoundaryGrace = TimeSpan.FromMilliseconds(100),
            }).With("a", old, Role.Primary).With("b", next, Role.Replica).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        await client.QueryAsync("select 1");
        await WaitUntil.TrueAsync(() => rig.Server.Count().Sessions.Sum(one => one.BytesFromServer) > 0);

        rig.With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal(row[..600], await client.ReadToEndAsync());
    }

    [Fact]
    public async Task With_etcd_silent_everything_goes_on()
    {
        using var server = new PretendServer();
        await using var rig = new Rig().With("a", server, Role.Primary).Lead("a").Publish();
        using var before = new RawClient(rig.WritePort);
        Assert.Null(await before.LoginAsync());

        rig.Publish(isLive: false);
        rig.Server.Sweep();
        using var after = new RawClient(rig.WritePort);

        Assert.Null(await after.LoginAsync());
        await before.QueryAsync("select 1");
        Assert.Null(await before.UntilReadyAsync());
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_cancel_request_goes_to_the_server_of_its_session_on_either_port(string transport)
    {
        using var leader = new PretendServer();
        using var replica = new PretendServer(inRecovery: true);
        await using var rig =
            new Rig(transport).With("a", leader, Role.Primary).With("b", replica, Role.Replica).Lead("a").Publish();
        using var writer = new RawClient(rig.WritePort);
        using var reader = new RawClient(rig.ReadPort);
        Assert.Null(await writer.LoginAsync());
        Assert.Null(await reader.LoginAsync());
        Assert.Equal(writer.Key[..4], reader.Key[..4]);   // the same pid on two members

        using var cancel = new RawClient(rig.WritePort);
        await cancel.SendAsync(RawClient.Packet(CancelRequest, reader.Key));
        Assert.Equal(-1, await cancel.ReadByteAsync());
        Assert.Single(replica.Cancelled);
        Assert.Single(leader.Cancelled.Concat(replica.Cancelled));

        using var unknown = new RawClient(rig.ReadPort);
        await unknown.SendAsync(RawClient.Packet(CancelRequest, [.. writer.Key[..4], 1, 2, 3, 4]));
        Assert.Equal(-1, await unknown.ReadByteAsync());
        Assert.Empty(leader.Cancelled);   // it cannot be a session of this listener
        Assert.Equal((1, 2), (replica.Cancelled.Count, replica.CancelRequests));
        await WaitUntil.TrueAsync(
            () => rig.Diary.Contains("cancelled PassedOn") && rig.Diary.Contains("cancelled Delivered"));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_login_that_takes_longer_than_an_answer_is_waited_for_and_not_repeated(string transport)
    {
        var slow = new TaskCompletionSource();
        using var server = new PretendServer { Slowness = slow.Task };
        var settings = s_patient with { RetryTime = TimeSpan.FromMilliseconds(300) };
        await using var rig = new Rig(transport, settings).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        var login = client.LoginAsync();
        // an answer time-out, and the retry time, have passed
        await WaitUntil.TrueAsync(() => server.Probes >= 2);
        Assert.False(login.IsCompleted);
        slow.SetResult();

        Assert.Null(await login);
        Assert.Single(server.Startups);
        Assert.DoesNotContain(rig.Diary, line => line.StartsWith("failed", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_client_that_goes_while_the_server_is_slow_takes_its_login_with_it(string transport)
    {
        using var server = new PretendServer { Slowness = new TaskCompletionSource().Task };
        await using var rig = new Rig(transport, s_patient).With("a", server, Role.Primary).Lead("a").Publish();
        using (var client = new RawClient(rig.WritePort))
        {
            await client.SendAsync(RawClient.Startup("user", "alice"));
            await WaitUntil.TrueAsync(() => server.Probes >= 1);
        }

        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused ClientGone"));
        Assert.Single(server.Startups);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Statements_ahead_of_the_end_of_the_client_s_stream_are_answered(string transport)
    {
        using var server = new PretendServer();
        await using var rig = new Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(
        [
            .. RawClient.Startup("user", "alice"), .. BackendMessage.Of('Q', "insert\0"u8),
            .. BackendMessage.Of('Q', "insert\0"u8),
        ]);
        client.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);

        Assert.Null(await client.UntilReadyAsync());
        Assert.Null(await client.UntilReadyAsync());
        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal("end", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a ClientClosed") && rig.Open == 0);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task So_they_are_when_the_client_waits_for_a_leader(string transport)
    {
        using var server = new PretendServer();
        await using var rig = new Rig(transport).With("a", server, Role.Replica).Publish();
        using var client = new RawClient(rig.WritePort);
        using var silent = new RawClient(rig.WritePort);

        await SendAllAsync(client);
        await silent.SendAsync(RawClient.Startup("user", "alice"));
        silent.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused ClientGone") && rig.Router.Waiting == 1);
        rig.With("a", server, Role.Primary).Lead("a").Publish();

        Assert.Equal([null, null, "end"],
            [await client.UntilReadyAsync(), await client.UntilReadyAsync(), await client.UntilReadyAsync()]);
        Assert.Single(server.Startups);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task So_they_are_when_attempts_are_repeated(string transport)
    {
        using var server = new PretendServer { RefuseWith = "57P03" };
        await using var rig = new Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await SendAllAsync(client);
        await WaitUntil.TrueAsync(() => rig.Diary.Count(line => line == "failed a not_ready") > 2);
        server.RefuseWith = null;

        Assert.Equal([null, null, "end"],
            [await client.UntilReadyAsync(), await client.UntilReadyAsync(), await client.UntilReadyAsync()]);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task So_they_are_when_the_server_is_slow(string transport)
    {
        var slowness = new TaskCompletionSource();
        using var server = new PretendServer { Slowness = slowness.Task };
        await using var rig = new Rig(transport, s_patient).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await SendAllAsync(client);
        await WaitUntil.TrueAsync(() => server.Probes >= 1);
        slowness.SetResult();

        Assert.Equal([null, null, "end"],
            [await client.UntilReadyAsync(), await client.UntilReadyAsync(), await client.UntilReadyAsync()]);
    }

    /// <summary>The start-up message, a statement, and the end of the stream.</summary>
    private static async Task SendAllAsync(RawClient client)
    {
        await client.SendAsync([.. RawClient.Startup("user", "alice"), .. BackendMessage.Of('Q', "insert\0"u8)]);
        client.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
    }

    [Fact]
    public async Task A_reader_that_fell_back_stays_while_the_replica_takes_no_logins()
    {
        using var leader = new PretendServer();
        using var replica = new PretendServer(inRecovery: true) { RefuseWith = "53300" };
        var settings = new SessionSettings { FallbackStay = TimeSpan.Zero };
        await using var rig = new Rig(settings: settings, fallback: LeaderFallback.WhenEmpty)
            .With("a", leader, Role.Primary).With("b", replica, Role.Replica).Lead("a").Publish();
        using var reader = new RawClient(rig.ReadPort);

        Assert.Null(await reader.LoginAsync());
        Assert.Contains("failed b full", rig.Diary);
        for (var count = 0; count < 20; count++)
        {
            rig.Publish();   // each view is a reason to judge all sessions
            rig.Server.Sweep();
            await reader.QueryAsync("select 1");
            Assert.Null(await reader.UntilReadyAsync());
        }

        replica.RefuseWith = null;
        await WaitUntil.TrueAsync(async () =>
        {
            using var next = new RawClient(rig.ReadPort);
            Assert.Null(await next.LoginAsync());
            return replica.Logins > 0;
        });
        Assert.Equal("57P01", await reader.UntilReadyAsync());
    }

    [Fact]
    public async Task A_reader_that_fell_back_stays_for_a_while_when_replicas_return()
    {
        using var leader = new PretendServer();
        using var replica = new PretendServer(inRecovery: true);
        var settings = new SessionSettings { FallbackStay = TimeSpan.FromSeconds(1) };
        await using var rig = new Rig(settings: settings, fallback: LeaderFallback.WhenEmpty)
            .With("a", leader, Role.Primary).Lead("a").Publish();
        using var reader = new RawClient(rig.ReadPort);
        var begun = TimeProvider.System.GetTimestamp();
        Assert.Null(await reader.LoginAsync());
        rig.With("b", replica, Role.Replica).Publish();

        Assert.Equal("57P01", await reader.UntilReadyAsync());
        Assert.True(TimeProvider.System.GetElapsedTime(begun) >= TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Limits_are_refused_in_words_and_give_their_places_back()
    {
        using var server = new PretendServer();
        await using var rig = new Rig(
            settings: new SessionSettings { MaximumSessions = 2, MaximumSessionsPerUser = 1 }).With(
                "a", server, Role.Primary).Lead("a").Publish();
        var first = new RawClient(rig.WritePort);
        Assert.Null(await first.LoginAsync());

        using var second = new RawClient(rig.WritePort);
        Assert.Equal("53300", await second.LoginAsync());
        first.Dispose();
        // Told after the place was given back; the session leaves the count a moment before that.
        await WaitUntil.TrueAsync(
            () => rig.Diary.Any(entry => entry.StartsWith("closed a ", StringComparison.Ordinal)));
        Assert.Equal(0, rig.Open);
        using var third = new RawClient(rig.WritePort);

        Assert.Null(await third.LoginAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused TooManyOfUser"));
    }

    [Theory]
    [InlineData("true")]
    [InlineData("database")]
    public async Task Replication_goes_where_the_listener_says(string kind)
    {
        using var leader = new PretendServer();
        using var replica = new PretendServer(inRecovery: true);
        await using var rig = new Rig(settings: new SessionSettings { MaximumSessions = 1 })
            .With("a", leader, Role.Primary).With("b", replica, Role.Replica).Lead("a").Publish();
        using var ordinary = new RawClient(rig.WritePort);
        Assert.Null(await ordinary.LoginAsync());

        using var stream = new RawClient(rig.WritePort);
        Assert.Null(await stream.LoginAsync("replication", kind));   // not held back by the limit
        using var refused = new RawClient(rig.ReadPort);
        Assert.Equal("0A000", await refused.LoginAsync("replication", kind));
    }

    [Fact]
    public async Task A_drain_lets_a_transaction_end_and_turns_new_clients_away()
    {
        using var server =
            new PretendServer { Answer = sql =>
                sql == "begin" ? [.. BackendMessage.Of('C', "BEGIN\0"u8), .. BackendMessage.Ready('T')] : null };
        await using var rig = new Rig().With("a", server, Role.Primary).Lead("a").Publish();
        using var idle = new RawClient(rig.WritePort);
        using var busy = new RawClient(rig.WritePort);
        Assert.Null(await idle.LoginAsync());
        Assert.Null(await busy.LoginAsync());
        await busy.QueryAsync("begin");
        Assert.Null(await busy.UntilReadyAsync());

        var draining = rig.Server.DrainAsync(TimeSpan.FromSeconds(15)).AsTask();
        Assert.Equal("57P01", await idle.UntilReadyAsync());
        Assert.False(draining.IsCompleted);
        using var late = new RawClient(rig.WritePort);
        Assert.Equal("57P03", await late.LoginAsync());
        await busy.QueryAsync("commit");
        Assert.Null(await busy.UntilReadyAsync());

        Assert.Equal("57P01", await busy.UntilReadyAsync());
        await draining;
    }

    [Fact]
    public async Task A_replica_that_was_promoted_gives_its_readers_away_at_rest()
    {
        using var server = new PretendServer(inRecovery: true);
        using var other = new PretendServer(inRecovery: true);
        await using var rig = new Rig().With("a", server, Role.Replica).Publish();
        using var reader = new RawClient(rig.ReadPort);
        Assert.Null(await reader.LoginAsync());

        rig.With("a", server, Role.Primary).With("b", other, Role.Replica).Lead("a").Publish();

        Assert.Equal("57P01", await reader.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a CutAtRest"));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task When_it_is_disposed_of_without_a_drain_nobody_is_left_hanging(string transport)
    {
        using var server = new PretendServer();
        var rig = new Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var open = new RawClient(rig.WritePort);
        using var waiting = new RawClient(rig.ReadPort);
        using var silent = new RawClient(rig.WritePort);
        Assert.Null(await open.LoginAsync());
        await waiting.SendAsync(RawClient.Startup("user", "alice"));
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1 && rig.Server.Count().Pending == 1);

        await rig.DisposeAsync(drains: false);

        foreach (var client in (RawClient[])[open, waiting, silent])
        {
            Assert.Equal(-1, await client.ReadByteAsync());
        }
        await WaitUntil.TrueAsync(() => server.Open.IsEmpty);
    }

    [Fact]
    public async Task An_idle_session_ends_when_its_listener_says_so()
    {
        using var server = new PretendServer();
        await using var rig = new Rig(change: one => one with { IdleTimeout = TimeSpan.FromMilliseconds(500) })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        Assert.Equal("57P05", await client.UntilReadyAsync());
    }
}
