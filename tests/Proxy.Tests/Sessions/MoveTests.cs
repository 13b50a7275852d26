using System.Text;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>Sessions that outlive their server, before pretend servers, on each transport.</summary>
public sealed class MoveTests
{
    private static readonly byte[] s_discarded =
        [.. BackendMessage.Of('C', "DISCARD ALL\0"u8), .. BackendMessage.Ready()];

    private static readonly SessionSettings s_withQuery =
        new() { AuthQuery = new AuthQuery("routing_proxy", "sesame", "postgres") };

    public static TheoryData<string> Transports => ["io_uring", "epoll", "portable"];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_that_asked_for_nothing_goes_on_at_the_next_leader_when_its_server_is_gone(
        string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync("application_name", "shop"));

        old.Dispose();
        rig.Lead(null).Publish();
        rig.With("b", next, Role.Primary).Lead("b").Publish();
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("moved a b"));
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(old.Startups.Single(), next.Startups.Single());
        Assert.DoesNotContain(rig.Diary, entry => entry.StartsWith("closed", StringComparison.Ordinal));
        Assert.Equal(1, rig.Open);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task The_farewell_of_a_server_that_stops_is_not_for_a_session_that_moves(string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        old.RefuseWith = "57P03";
        await old.SayAsync(BackendMessage.Error("57P01"), ends: true);
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("failed a not_ready"));
        rig.With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();
        await client.QueryAsync("select 1");   // whether it has moved by now or not

        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        Assert.Null(await client.UntilReadyAsync());
        Assert.Contains("moved a b", rig.Diary);
        Assert.Equal(1, next.Queries);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_that_somebody_has_terminated_ends_with_the_server_s_words(string transport)
    {
        using var server = new PretendServer();
        await using var rig = Rig(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        await server.SayAsync(BackendMessage.Error("57P01"), ends: true);

        Assert.Equal("57P01", await client.UntilReadyAsync());
        Assert.Equal("end", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a ServerTerminated"));
        Assert.Contains("not moved Terminated", rig.Diary);
    }

    [Theory]
    [InlineData("57P05")]
    [InlineData("57P04")]
    public async Task Other_last_words_pass_at_once(string code)
    {
        using var server = new PretendServer();
        await using var rig = Rig().With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        await server.SayAsync(BackendMessage.Error(code), ends: true);

        Assert.Equal(code, await client.UntilReadyAsync());
        Assert.Equal("end", await client.UntilReadyAsync());
        Assert.Equal(1, server.Logins);
    }

    [Fact]
    public async Task A_notice_passes_and_the_session_goes_on()
    {
        using var server = new PretendServer();
        await using var rig = Rig().With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        await server.SayAsync(Notice("01000"), ends: false);
        Assert.Equal('N', (await client.ReadMessageAsync()).Type);
        await server.SayAsync(Notice("01000"), ends: false);
        Assert.Equal('N', (await client.ReadMessageAsync()).Type);
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(1, server.Logins);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task The_warning_of_a_server_that_crashes_is_not_for_a_session_that_moves(string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        old.RefuseWith = "57P03";
        await old.SayAsync(Notice("57P02"), ends: true);
        rig.With("b", next, Role.Primary).Lead("b").Publish();
        await client.QueryAsync("select 1");

        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        Assert.Contains("moved a b", rig.Diary);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_that_may_hold_state_ends_and_one_that_discarded_it_goes_on(string transport)
    {
        using var old = new PretendServer
        {
            Answer = sql => sql switch
            {
                "discard all" => s_discarded,
                "set x = 1; discard all" => [.. BackendMessage.Of('C', "SET\0"u8), .. s_discarded],
                _ => null,
            },
        };
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport);
        using var holding = new RawClient(rig.WritePort);
        using var discarded = new RawClient(rig.WritePort);
        using var twice = new RawClient(rig.WritePort);
        using var again = new RawClient(rig.WritePort);
        foreach (var (client, statements) in new (RawClient, string[])[]
            { (holding, ["set x = 1"]), (discarded, ["set x = 1", "discard all"]), (twice, ["set x = 1; discard all"]),
                (again, ["discard all", "set x = 1"]) })
        {
            Assert.Null(await client.LoginAsync());
            foreach (var statement in statements)
            {
                await client.QueryAsync(statement);
                Assert.Null(await client.UntilReadyAsync());
            }
        }

        old.Dispose();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        foreach (var client in new[] { holding, twice, again })
        {
            Assert.Equal("57P01", await client.UntilReadyAsync());
        }
        await discarded.QueryAsync("select 1");
        Assert.Null(await discarded.UntilReadyAsync());
        Assert.Equal(3, rig.Diary.Count(entry => entry == "not moved HoldsState"));
        Assert.Equal(1, next.Logins);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Where_no_state_is_assumed_every_session_at_rest_goes_on_and_none_that_is_busy(string transport)
    {
        using var old = new PretendServer
        {
            Answer = sql => sql.StartsWith("begin", StringComparison.Ordinal)
                ? [.. BackendMessage.Of('C', "BEGIN\0"u8), .. BackendMessage.Ready('T')]
                : sql.StartsWith("insert", StringComparison.Ordinal) ? [] : null,
        };
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport, MoveMode.AssumeClean);
        using var resting = new RawClient(rig.WritePort);
        using var open = new RawClient(rig.WritePort);
        using var asking = new RawClient(rig.WritePort);
        foreach (var (client, statement) in new[] { (resting, "select 1"), (open, "begin"), (asking, "insert") })
        {
            Assert.Null(await client.LoginAsync());
            await client.QueryAsync(statement);
        }
        Assert.Null(await resting.UntilReadyAsync());
        Assert.Null(await open.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => old.Queries == 3);

        old.Dispose();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal("08006", await open.UntilReadyAsync());
        Assert.Equal("08007", await asking.UntilReadyAsync());
        await resting.QueryAsync("select 2");
        Assert.Null(await resting.UntilReadyAsync());
        Assert.Equal(2, rig.Diary.Count(entry => entry == "not moved Busy"));
        Assert.Equal(1, next.Queries);   // nothing was repeated
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task What_a_client_sends_while_it_is_moved_is_answered_once_by_the_next_server(string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        var query = BackendMessage.Of('Q', Encoding.UTF8.GetBytes($"select '{new string('x', 300_000)}'\0"));

        rig.Lead(null).Publish();
        old.Dispose();
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);
        var sending = client.SendAsync(query[..100_000]);   // half a message, and no more than that for now
        rig.With("b", next, Role.Primary).Lead("b").Publish();
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("moved a b"));
        await sending;
        await client.SendAsync(query[100_000..]);

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(1, next.Queries);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_new_leader_that_dies_at_once_is_left_as_well(string transport)
    {
        using var first = new PretendServer();
        using var second = new PretendServer { Talk = _ => Task.CompletedTask };   // ends behind its welcome
        using var third = new PretendServer();
        await using var rig = Rig(transport).With("a", first, Role.Primary).With("b", second, Role.Replica)
            .With("c", third, Role.Replica).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        first.Dispose();
        rig.With("b", second, Role.Primary).Lead("b").Publish();
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("moved a b") && second.Logins > 0);
        second.Dispose();
        rig.With("c", third, Role.Primary).Lead("c").Publish();
        await client.QueryAsync("select 1");

        // It was at rest all the time, but the statement may have met the second server at its end.
        Assert.True(await client.UntilReadyAsync() is null or "08007" or "57P01");
        await WaitUntil.TrueAsync(() => third.Logins > 0 || rig.Open == 0);
        Assert.True(third.Queries <= 1);
    }

    [Fact]
    public async Task A_server_that_takes_logins_and_ends_them_at_once_does_not_keep_the_proxy_busy()
    {
        using var first = new PretendServer();
        using var second = new PretendServer { Talk = _ => Task.CompletedTask };
        await using var rig = RigOfTwo(first, second);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        first.Dispose();
        rig.With("b", second, Role.Primary).Lead("b").Publish();

        Assert.Equal("57P01", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("not moved NoServer") && rig.Open == 0);
    }

    [Fact]
    public async Task Without_a_server_in_time_the_session_ends_with_the_words_that_were_withheld()
    {
        using var server = new PretendServer();
        var settings = new SessionSettings { RetryTime = TimeSpan.FromMilliseconds(300) };
        await using var rig = Rig(settings: settings, hold: TimeSpan.FromMilliseconds(300))
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        server.RefuseWith = "57P03";
        await server.SayAsync(BackendMessage.Error("57P01"), ends: true);

        Assert.Equal("57P01", await client.UntilReadyAsync());
        Assert.Equal("end", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a ServerTerminated"));
        Assert.Contains("not moved NoServer", rig.Diary);
    }

    [Fact]
    public async Task A_session_that_logged_in_with_a_password_ends_as_ever()
    {
        using var old = new PretendServer { Mechanisms = ["SCRAM-SHA-256"] };
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next);
        using var client = new RawClient(rig.WritePort);
        await client.SendAsync(RawClient.Startup("user", "alice"));
        Assert.Equal('R', (await client.ReadMessageAsync()).Type);
        await client.SendAsync(BackendMessage.Of('p'));
        Assert.Null(await client.UntilReadyAsync());

        old.RefuseWith = "57P03";
        await old.SayAsync(BackendMessage.Error("57P01"), ends: true);

        Assert.Equal("57P01", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("not moved NeedsClient"));
        Assert.Single(old.Startups);
        Assert.Equal(0, next.Logins);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_that_logged_in_with_a_password_is_logged_in_again_by_the_key_in_its_proof(
        string transport)
    {
        using var old = new PretendServer { Password = "sesame", TellsVerifiers = true };
        using var next = new PretendServer { Password = "sesame" };
        await using var rig = RigOfTwo(old, next, transport, settings: s_withQuery);
        using var client = new RawClient(rig.WritePort);
        using var wrong = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginWithPasswordAsync("sesame"));
        Assert.Equal("28P01", await wrong.LoginWithPasswordAsync("simsim"));
        await WaitUntil.TrueAsync(() => rig.Movable == 1);

        old.Dispose();
        rig.With("b", next, Role.Primary).Lead("b").Publish();
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Contains("moved a b", rig.Diary);
        Assert.Equal((1, 1), (old.VerifierQuestions, next.Logins));
    }

    [Theory]
    [InlineData("md5", "epoll", 1)]
    [InlineData("md5", "portable", 1)]
    [InlineData("password", "epoll", 0)]
    [InlineData("password", "portable", 0)]
    public async Task A_session_that_logged_in_in_the_old_ways_is_logged_in_again(
        string method, string transport, int questions)
    {
        using var old = new PretendServer { Password = "sésame", Method = method, TellsVerifiers = true };
        using var next = new PretendServer { Password = "sésame", Method = method };
        await using var rig = RigOfTwo(
            old, next, transport,
            settings: new() { AuthQuery = new AuthQuery("routing_proxy", "sésame", "postgres") });
        using var client = new RawClient(rig.WritePort);
        using var wrong = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginWithPasswordAsync("sésame"));
        Assert.Equal("28P01", await wrong.LoginWithPasswordAsync("simsim"));
        await WaitUntil.TrueAsync(() => rig.Movable == 1);

        old.Dispose();
        rig.With("b", next, Role.Primary).Lead("b").Publish();
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Contains("moved a b", rig.Diary);
        Assert.Equal((questions, 1), (old.VerifierQuestions, next.Logins));
    }

    [Theory]
    [InlineData("md5")]
    [InlineData("password")]
    public async Task Without_auth_query_a_session_that_logged_in_in_the_old_ways_ends_as_ever(string method)
    {
        using var old = new PretendServer { Password = "sesame", Method = method, TellsVerifiers = true };
        using var next = new PretendServer { Password = "sesame", Method = method };
        await using var rig = RigOfTwo(old, next);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginWithPasswordAsync("sesame"));

        old.Dispose();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal("57P01", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("not moved NeedsClient"));
        Assert.Equal(0, next.Logins);
    }

    [Theory]
    [InlineData("scram")]
    [InlineData("md5")]
    [InlineData("password")]
    public async Task A_password_that_was_changed_meanwhile_ends_the_session_with_the_server_s_words(string method)
    {
        using var old = new PretendServer { Password = "sesame", Method = method, TellsVerifiers = true };
        using var next = new PretendServer { Password = "changed", Method = method };
        await using var rig = RigOfTwo(old, next, settings: s_withQuery);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginWithPasswordAsync("sesame"));
        await WaitUntil.TrueAsync(() => rig.Movable == 1);

        old.Dispose();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal("28P01", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("not moved Refused"));
    }

    [Fact]
    public async Task Without_the_verifier_a_session_ends_as_ever()
    {
        using var server = new PretendServer { Password = "sesame" };   // and answers the question with nonsense
        await using var rig = Rig(settings: s_withQuery).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginWithPasswordAsync("sesame"));
        await WaitUntil.TrueAsync(() => server.Logins == 2);

        await server.SayAsync(BackendMessage.Error("57P01"), ends: true);

        Assert.Equal("57P01", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("not moved NeedsClient"));
    }

    [Theory]
    [InlineData("28P01", "28P01", "not moved Refused")]
    [InlineData(null, "57P01", "not moved NeedsClient")]
    public async Task A_login_that_the_next_server_refuses_ends_the_session(string? code, string told, string noted)
    {
        using var old = new PretendServer();
        using var next = new PretendServer { RefuseWith = code, Mechanisms = ["SCRAM-SHA-256"] };
        await using var rig = RigOfTwo(old, next);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        old.Dispose();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal(told, await client.UntilReadyAsync());
        Assert.Equal("end", await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains(noted) && rig.Open == 0);
    }

    [Fact]
    public async Task A_client_is_told_what_differs_and_keeps_its_key()
    {
        using var old = new PretendServer();
        using var next = new PretendServer { Version = "15.2", SecretLength = 32 };
        await using var rig = RigOfTwo(old, next);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        old.Dispose();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        var (type, body) = await client.ReadMessageAsync();
        Assert.Equal(('S', "server_version\015.2\0"), (type, Encoding.UTF8.GetString(body)));
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("moved a b"));
        using (var cancelling = new RawClient(rig.WritePort))
        {
            await cancelling.SendAsync(RawClient.Packet(80_877_102, client.Key));
            Assert.Equal(-1, await cancelling.ReadByteAsync());
        }
        Assert.Equal(next.Open.Values.Max(), next.Cancelled.Single());
        await client.QueryAsync("select 1");
        Assert.Equal('C', (await client.ReadMessageAsync()).Type);   // and nothing else was told
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_at_a_demoted_leader_moves_before_anybody_says_a_word(string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        var settings = new SessionSettings { CutGrace = TimeSpan.FromMinutes(1) };
        await using var rig = RigOfTwo(old, next, transport, settings: settings);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        rig.With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();

        await WaitUntil.TrueAsync(() => rig.Diary.Contains("moved a b") && old.Open.IsEmpty);
        await client.QueryAsync("select 1");
        Assert.Null(await client.UntilReadyAsync());
    }

    [Fact]
    public async Task A_reader_moves_from_a_replica_that_was_promoted()
    {
        using var old = new PretendServer(inRecovery: true);
        using var next = new PretendServer(inRecovery: true);
        using var leader = new PretendServer();
        await using var rig = Rig().With("a", old, Role.Replica).With("l", leader, Role.Primary).Lead("l").Publish();
        using var client = new RawClient(rig.ReadPort);
        Assert.Null(await client.LoginAsync());

        rig.With("b", next, Role.Replica).With("a", old, Role.Primary).Lead("a").Publish();

        await WaitUntil.TrueAsync(() => rig.Diary.Contains("moved a b"));
        await client.QueryAsync("select 1");
        Assert.Null(await client.UntilReadyAsync());
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_client_that_goes_while_it_is_moved_takes_its_session_with_it(string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport);
        var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        rig.Lead(null).Publish();
        old.Dispose();
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);
        client.Dispose();

        await WaitUntil.TrueAsync(() => rig.Open == 0 && rig.Router.Waiting == 0);
        Assert.Contains("not moved ClientGone", rig.Diary);
        Assert.Equal(0, next.Logins);
    }

    [Fact]
    public async Task A_proxy_that_shuts_down_moves_nobody()
    {
        using var server = new PretendServer();
        await using var rig = Rig().With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        rig.Lead(null).Publish();
        server.Dispose();
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);
        rig.Router.Drain();
        await rig.Server.DrainAsync(TimeSpan.FromSeconds(5));

        Assert.Equal("57P01", await client.UntilReadyAsync());
        Assert.Equal(0, rig.Open);
    }

    [Theory]
    [InlineData("epoll")]
    [InlineData("io_uring")]
    public async Task Many_sessions_move_there_and_back_and_none_is_lost(string transport)
    {
        const int Count = 200, Rounds = 4;
        using var one = new PretendServer();
        using var other = new PretendServer();
        var servers = new[] { ("a", one), ("b", other) };
        await using var rig = RigOfTwo(one, other, transport);
        var clients = Enumerable.Range(0, Count).Select(_ => new RawClient(rig.WritePort)).ToList();
        await Task.WhenAll(clients.Select(async client => Assert.Null(await client.LoginAsync())));

        for (var round = 0; round < Rounds; round++)
        {
            var ((from, old), (to, next)) = (servers[round % 2], servers[(round + 1) % 2]);
            old.RefuseWith = "57P03";
            next.RefuseWith = null;
            await old.SayAsync(BackendMessage.Error("57P01"), ends: true);
            rig.With(from, old, Role.Replica).With(to, next, Role.Primary).Lead(to).Publish();
            await WaitUntil.TrueAsync(
                () => rig.Diary.Count(entry => entry == $"moved {from} {to}") == Count * ((round / 2) + 1));
        }

        foreach (var client in clients)
        {
            await client.QueryAsync("select 1");
            Assert.Null(await client.UntilReadyAsync());
            client.Dispose();
        }
        Assert.DoesNotContain(rig.Diary, entry => entry.StartsWith("not moved", StringComparison.Ordinal));
    }

    private static byte[] Notice(string code) =>
        BackendMessage.Of('N', Encoding.UTF8.GetBytes($"SWARNING\0VWARNING\0C{code}\0Mpretended\0\0"));

    private static Rig Rig(string transport = "epoll", MoveMode mode = MoveMode.Clean,
        SessionSettings? settings = null, TimeSpan? hold = null) =>
        new(transport, settings, change: one => one with { Move = mode }, hold);

    /// <summary>A primary, which leads as member a, and a standby, member b.</summary>
    private static Rig RigOfTwo(PretendServer primary, PretendServer standby, string transport = "epoll",
        MoveMode mode = MoveMode.Clean, SessionSettings? settings = null) =>
        Rig(transport, mode, settings).With("a", primary, Role.Primary).With("b", standby, Role.Replica).Lead("a")
            .Publish();
}
