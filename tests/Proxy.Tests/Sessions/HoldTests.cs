using System.Globalization;
using System.Text;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>Sessions while their leader is about to hand over, before pretend servers, on each transport.</summary>
public sealed class HoldTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromMinutes(5);

    public static TheoryData<string> Transports => ["io_uring", "epoll", "portable"];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_at_rest_is_held_and_goes_on_at_the_next_leader(string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        rig.Intend("1", s_long).Publish();
        await WaitUntil.TrueAsync(() => rig.Server.RestlessAt("a") == 0);
        await client.QueryAsync("select 1");
        rig.Intend(null).With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal((0, 1), (old.Queries, next.Queries));
        Assert.Contains("moved a b", rig.Diary);
        Assert.Equal(1, rig.Open);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_goes_on_where_it_is_when_the_switchover_is_called_off(string transport)
    {
        using var server = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(server, next, transport);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        await client.QueryAsync("set x = 1");   // it holds state: it could not move
        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        Assert.Null(await client.UntilReadyAsync());

        foreach (var id in (string[])["1", "2"])
        {
            rig.Intend(id, s_long).Publish();
            await WaitUntil.TrueAsync(() => rig.Server.RestlessAt("a") == 0);
            await client.QueryAsync("select 1");
            rig.Intend(null).Publish();

            Assert.Equal('C', (await client.ReadMessageAsync()).Type);
            Assert.Null(await client.UntilReadyAsync());
        }

        Assert.Equal(3, server.Queries);
        Assert.Equal(1, server.Logins);
    }

    [Fact]
    public async Task No_client_is_held_longer_than_the_grace_and_the_hold_time()
    {
        using var server = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(server, next, hold: TimeSpan.FromMilliseconds(200));
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        rig.Intend("1", TimeSpan.FromMilliseconds(100)).Publish();
        await client.QueryAsync("select 1");

        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        Assert.Null(await client.UntilReadyAsync());
        rig.Publish();   // seen again, the same intent holds nobody
        await client.QueryAsync("select 2");
        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        using var newcomer = new RawClient(rig.WritePort);
        Assert.Null(await newcomer.LoginAsync());
    }

    [Fact]
    public async Task A_new_client_waits_and_comes_to_the_next_leader()
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next);
        rig.Intend("1", s_long).Publish();

        using var client = new RawClient(rig.WritePort);
        var login = client.LoginAsync();
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);
        rig.Lead(null).Publish();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Null(await login);
        Assert.Equal((0, 1), (old.Logins, next.Logins));
    }

    [Fact]
    public async Task A_leader_waits_for_a_login_that_is_under_way_which_is_held_then()
    {
        using var old = new PretendServer { Password = "secret", Method = "md5" };
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next);
        using var client = new RawClient(rig.WritePort);
        await client.SendAsync(RawClient.Startup("user", "alice", "database", "shop"));
        var (type, demand) = await client.ReadMessageAsync();
        Assert.Equal('R', type);

        rig.Intend("1", s_long).Publish();
        Assert.Equal(1, rig.Server.RestlessAt("a"));
        Assert.Equal(0, rig.Server.RestlessAt("b"));
        var answer = OldLoginServer.AnswerTo(demand[4..], "secret");
        await client.SendAsync(BackendMessage.Of('p', Encoding.UTF8.GetBytes(answer + "\0")));

        Assert.Null(await client.UntilReadyAsync());
        await WaitUntil.TrueAsync(() => rig.Server.RestlessAt("a") == 0);
        Assert.Equal(1, old.Logins);
    }

    [Fact]
    public async Task A_client_whose_member_begins_to_hand_over_before_its_first_answer_comes_to_the_next_leader()
    {
        var slow = new TaskCompletionSource();
        using var old = new PretendServer { Slowness = slow.Task };
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next);
        using var client = new RawClient(rig.WritePort);
        var login = client.LoginAsync();
        await WaitUntil.TrueAsync(() => !old.Startups.IsEmpty);

        rig.Intend("1", s_long).Publish();
        slow.SetResult();
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);
        Assert.Equal(0, rig.Server.RestlessAt("a"));
        rig.Lead(null).Publish();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Null(await login);
        Assert.Equal(1, next.Logins);
    }

    [Fact]
    public async Task A_session_whose_client_has_said_goodbye_is_neither_moved_nor_counted_as_one_that_was_not()
    {
        var (goodbye, end) = (new TaskCompletionSource(), new TaskCompletionSource());
        using var old = new PretendServer
        {
            Talk = async stream =>
            {
                Assert.Equal('X', (await BackendMessage.ReadAsync(stream)).Type);
                goodbye.SetResult();
                await end.Task;
            },
        };
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        await client.SendAsync(BackendMessage.Of('X', []));
        await goodbye.Task;

        rig.Intend("1", s_long).Publish();
        await WaitUntil.TrueAsync(() => rig.Server.RestlessAt("a") == 0);
        rig.Intend(null).With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();

        await WaitUntil.TrueAsync(() => rig.Open == 0);
        end.SetResult();
        Assert.Equal(0, next.Logins);
        Assert.DoesNotContain(rig.Diary, line => line.Contains("moved", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_another_leader_or_this_one_in_an_earlier_term_has_announced_holds_nobody()
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next);
        rig.Intend("1", s_long).Lead("a").Publish();   // it leads anew

        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        Assert.Equal(1, old.Logins);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_whose_server_ends_while_it_is_held_waits_for_the_next_leader(string transport)
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        rig.Intend("1", s_long).Publish();
        await WaitUntil.TrueAsync(() => rig.Server.RestlessAt("a") == 0);
        await old.SayAsync(BackendMessage.Error("57P01"), ends: true);
        old.Dispose();
        await client.QueryAsync("select 1");
        rig.Lead(null).With("a", old, Role.Primary, PostgresState.Stopped).Publish();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal((0, 1), (old.Queries, next.Queries));
    }

    [Fact]
    public async Task A_session_that_waits_for_a_leader_to_move_to_does_not_keep_that_leader_waiting()
    {
        using var old = new PretendServer();
        using var again = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next);
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        rig.Lead(null).Publish();
        old.Dispose();
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);

        rig.With("a", again, Role.Primary).Lead("a").Intend("1", s_long).Publish();
        Assert.Equal(0, rig.Server.RestlessAt("a"));
        rig.Intend(null).With("a", again, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();
        await client.QueryAsync("select 1");

        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        Assert.Equal((0, 1), (again.Logins, next.Queries));
    }

    [Fact]
    public async Task A_client_that_goes_away_while_it_is_held_takes_its_session_with_it()
    {
        using var old = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(old, next);
        var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        rig.Intend("1", s_long).Publish();
        await WaitUntil.TrueAsync(() => rig.Server.RestlessAt("a") == 0);

        client.Dispose();

        await WaitUntil.TrueAsync(() => rig.Open == 0);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Busy_clients_come_to_rest_each_time(string transport)
    {
        using var server = new PretendServer();
        using var next = new PretendServer();
        await using var rig = RigOfTwo(server, next, transport);
        var isOver = false;
        var working = Enumerable.Range(0, 6).Select(_ => WorkAsync()).ToList();
        await WaitUntil.TrueAsync(() => server.Queries > 50);

        for (var round = 1; round <= 20; round++)
        {
            rig.Intend(round.ToString(CultureInfo.InvariantCulture), s_long).Publish();
            await WaitUntil.TrueAsync(() => rig.Server.RestlessAt("a") == 0);
            var asked = server.Queries;
            rig.Intend(null).Publish();
            await WaitUntil.TrueAsync(() => server.Queries > asked);
        }

        Volatile.Write(ref isOver, true);
        await Task.WhenAll(working);

        async Task WorkAsync()
        {
            using var client = new RawClient(rig.WritePort);
            Assert.Null(await client.LoginAsync());
            while (!Volatile.Read(ref isOver))
            {
                await client.QueryAsync("select 1");
                Assert.Null(await client.UntilReadyAsync());
            }
        }
    }

    private static Rig RigOfTwo(
        PretendServer old, PretendServer next, string transport = "epoll", TimeSpan? hold = null) =>
        new Rig(transport, change: one => one with { Move = MoveMode.Clean }, hold: hold)
            .With("a", old, Role.Primary).With("b", next, Role.Replica).Lead("a").Publish();
}
