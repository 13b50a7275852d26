using System.Text;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>Sessions that move with what they hold, before pretend servers, on each transport.</summary>
public sealed class CarriedStateTests
{
    private static readonly SessionSettings s_settings = new()
    {
        CutGrace = TimeSpan.FromMilliseconds(50),
        RetryTime = TimeSpan.FromSeconds(20),
        StateTimeout = TimeSpan.FromSeconds(20),
    };

    public static TheoryData<string> Transports => ["io_uring", "epoll", "portable"];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task What_a_session_holds_is_made_anew_at_the_next_server(string transport)
    {
        using var old = Server(
            ["setting", "statement_timeout", "5000"], ["setting", "search_path", "\"A b\", pg_temp"],
            ["setting", "client_encoding", "LATIN1"], ["role", "alice", "bob"],
            ["statement", "s1", "select $1 + $2", "{23,25}"], ["statement", "s2", "select 1", "{}"],
            ["command", "p1", "prepare p1 as select 2", "{}"], ["channel", "\"News\""]);
        using var next = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = await HolderAsync(rig);

        Switch(rig, old, next);
        Assert.Equal("client_encoding\0LATIN1\0", await ParameterAsync(client));
        await rig.UntilAsync("moved a b");
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(
            [
                "client_encoding = LATIN1", "search_path = \"A b\", pg_temp", "role = bob",
                "prepare s1(23,25): select $1 + $2", "prepare s2(): select 1", "prepare p1 as select 2",
                "LISTEN \"News\"", "statement_timeout = 5000",
            ],
            next.State!.Made);
        Assert.Equal((1, 1), (old.State!.Questions, next.Queries));
        Assert.Equal(1, rig.Open);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_that_is_held_is_asked_once_and_moves_when_another_member_leads(string transport)
    {
        using var old = Server(["setting", "work_mem", "7168"]);
        using var next = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = await HolderAsync(rig);

        await HoldAsync(rig, "1");
        await client.QueryAsync("select 1");
        await old.SayAsync(BackendMessage.Error("57P01"), ends: true);
        old.Dispose();
        rig.Lead(null).With("a", old, Role.Primary, PostgresState.Stopped).Publish();
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal((1, 1, 1), (old.State!.Questions, old.Queries, next.Queries));
        Assert.Equal(["work_mem = 7168", "role = none"], next.State!.Made);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_session_that_was_asked_goes_on_where_it_is_when_the_switchover_is_called_off(string transport)
    {
        using var old = Server(["channel", "news"], ["temporary_objects"]);
        using var next = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = await HolderAsync(rig);

        for (var round = 1; round <= 2; round++)
        {
            await HoldAsync(rig, $"{round}");
            await client.QueryAsync("select 1");
            rig.Intend(null).Publish();
            Assert.Null(await client.UntilReadyAsync());
            Assert.Equal((round, round + 1), (old.State!.Questions, old.Queries));
        }
        await HoldAsync(rig, "3");
        Switch(rig, old, next);

        await EndsAsync(rig, client, "TemporaryObjects");
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_held_session_that_can_not_tell_its_state_in_time_ends_and_the_leader_is_quiet(string transport)
    {
        using var old = Server();
        using var next = Server();
        await using var rig = RigOfTwo(
            old, next, transport, s_settings with { StateTimeout = TimeSpan.FromMilliseconds(50) });
        using var client = await HolderAsync(rig);
        var never = new TaskCompletionSource();
        old.State!.Slowness = never.Task;

        await HoldAsync(rig, "1");

        await EndsAsync(rig, client, "StateUnknown");
        never.SetResult();
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task Nobody_goes_on_before_those_who_listened_listen_again(string transport)
    {
        using var old = Server(["channel", "news"]);
        using var next = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var listening = await HolderAsync(rig);
        using var writing = new RawClient(rig.WritePort);
        Assert.Null(await writing.LoginAsync());
        var listens = new TaskCompletionSource();
        next.State!.Slowness = listens.Task;
        var early = 0;
        next.Answer = _ =>
        {
            early += listens.Task.IsCompleted ? 0 : 1;
            return null;
        };

        await HoldAsync(rig, "1");
        await old.SayAsync(BackendMessage.Of('A', [0, 0, 0, 1, .. "news\0last\0"u8]), ends: false);
        await writing.QueryAsync("notify news");
        Switch(rig.Intend(null), old, next);
        using var newcomer = new RawClient(rig.WritePort);
        Assert.Null(await newcomer.LoginAsync());
        await newcomer.QueryAsync("notify news");
        await WaitUntil.TrueAsync(() => next.Logins == 3 && next.State.Made.Contains("LISTEN news"));
        Assert.DoesNotContain("moved a b", rig.Diary);
        listens.SetResult();

        Assert.Null(await writing.UntilReadyAsync());
        Assert.Null(await newcomer.UntilReadyAsync());
        Assert.Equal('A', (await listening.ReadMessageAsync()).Type);   // what the old server has still said
        Assert.Equal((0, 2), (early, next.Queries));
    }

    [Theory]
    [InlineData("held_cursors", "HeldCursors")]
    [InlineData("temporary_objects", "TemporaryObjects")]
    [InlineData("advisory_locks", "AdvisoryLocks")]
    [InlineData("extension", "Extension")]
    [InlineData("functions", "Functions")]
    [InlineData("a kind that is not known", "StateUnknown")]
    public async Task What_cannot_be_carried_ends_the_session_and_is_named(string kind, string reason)
    {
        using var old = Server([kind, null, null, null]);
        using var next = Server();
        await using var rig = RigOfTwo(old, next);
        using var client = await HolderAsync(rig);

        Switch(rig, old, next);

        await EndsAsync(rig, client, reason);
        Assert.Equal(0, next.Logins);
        var counted = Assert.Single(rig.Server.Count().NotMoved.Of("write"));
        Assert.Equal((reason, 1), ($"{counted.Reason}", counted.Count));
    }

    [Fact]
    public async Task A_session_that_acts_as_another_user_ends()
    {
        using var old = Server(["role", "mallory", "none"]);
        using var next = Server();
        await using var rig = RigOfTwo(old, next);
        using var client = await HolderAsync(rig);

        Switch(rig, old, next);

        await EndsAsync(rig, client, "SessionAuthorization");
    }

    [Theory]
    [InlineData("select 1; set app.tenant = '7'", "HiddenSettings")]
    [InlineData("select SET_CONFIG('app.tenant', '7', false)", "HiddenSettings")]
    [InlineData("set work_mem = '7MB'", null)]
    public async Task A_session_that_may_have_a_setting_that_no_view_shows_ends_unasked(string sql, string? reason)
    {
        using var old = Server();
        using var next = Server();
        await using var rig = RigOfTwo(old, next);
        using var client = await HolderAsync(rig);
        await client.QueryAsync(sql);
        Assert.Null(await client.UntilReadyAsync());

        Switch(rig, old, next);

        if (reason is null)
        {
            await rig.UntilAsync("moved a b");
            return;
        }
        Assert.Equal("57P01", await client.UntilReadyAsync());
        await rig.UntilAsync($"not moved {reason}");
        Assert.Equal(0, old.State!.Questions);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_server_that_answers_the_question_with_an_error_ends_the_session(string transport)
    {
        using var old = Server();
        using var next = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = await HolderAsync(rig);

        old.State!.Error = "53200";
        Switch(rig, old, next);

        await EndsAsync(rig, client, "StateUnknown");
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_server_that_does_not_answer_the_question_in_time_ends_the_session(string transport)
    {
        using var old = Server();
        using var next = Server();
        await using var rig = RigOfTwo(
            old, next, transport, s_settings with { StateTimeout = TimeSpan.FromMilliseconds(50) });
        using var client = await HolderAsync(rig);
        var never = new TaskCompletionSource();
        old.State!.Slowness = never.Task;

        Switch(rig, old, next);

        await EndsAsync(rig, client, "StateUnknown");
        never.SetResult();
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_server_that_ends_instead_of_answering_the_question_ends_the_session(string transport)
    {
        using var old = Server();
        using var next = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = await HolderAsync(rig);

        old.State!.Dies = true;
        Switch(rig, old, next);

        await EndsAsync(rig, client, "StateUnknown");
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task What_a_client_sends_while_its_session_is_asked_goes_to_the_next_server_alone(string transport)
    {
        using var old = Server();
        using var next = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = await HolderAsync(rig);
        var asked = new TaskCompletionSource();
        old.State!.Slowness = asked.Task;
        old.State.Unasked = BackendMessage.Of('A', [0, 0, 0, 1, .. "news\0first\0"u8]);

        Switch(rig, old, next);
        await WaitUntil.TrueAsync(() => old.State.Questions == 1);
        await client.QueryAsync("insert");
        asked.SetResult();

        Assert.Equal('A', (await client.ReadMessageAsync()).Type);   // what the old server has still said
        Assert.Equal('C', (await client.ReadMessageAsync()).Type);
        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal((1, 1), (old.Queries, next.Queries));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_message_that_is_half_sent_keeps_a_session_from_being_asked(string transport)
    {
        using var old = Server();
        using var next = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = await HolderAsync(rig);
        var before = rig.FromClients;
        await client.SendAsync([(byte)'Q', 0, 0, 0, 30, (byte)'s']);
        await WaitUntil.TrueAsync(() => rig.FromClients > before);

        Switch(rig, old, next);

        Assert.Equal("08007", await client.UntilReadyAsync());   // the server may have it
        await rig.UntilAsync("not moved Busy");
        Assert.Equal(0, old.State!.Questions);
    }

    [Fact]
    public async Task A_session_moves_twice_with_what_it_holds()
    {
        using var old = Server(["setting", "work_mem", "7168"]);
        using var next = Server(["setting", "work_mem", "7168"]);
        await using var rig = RigOfTwo(old, next);
        using var client = await HolderAsync(rig);

        Switch(rig, old, next);
        await rig.UntilAsync("moved a b");
        rig.With("b", next, Role.Replica).With("a", old, Role.Primary).Lead("a").Publish();
        await rig.UntilAsync("moved b a");
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(["work_mem = 7168", "role = none"], old.State!.Made);
        Assert.Equal(old.State.Made, next.State!.Made);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_new_leader_that_dies_while_it_is_told_what_the_session_holds_is_left_as_well(string transport)
    {
        using var old = Server(["setting", "work_mem", "7168"]);
        using var next = Server();
        using var third = Server();
        await using var rig = RigOfTwo(old, next, transport);
        using var client = await HolderAsync(rig);

        next.State!.Dies = true;
        Switch(rig, old, next);
        await WaitUntil.TrueAsync(() => next.Logins > 0);
        next.Dispose();
        rig.With("c", third, Role.Primary).Lead("c").Publish();
        await rig.UntilAsync("moved a c");
        await client.QueryAsync("select 1");

        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(["work_mem = 7168", "role = none"], third.State!.Made);
    }

    [Fact]
    public async Task A_new_leader_that_refuses_what_the_session_holds_ends_it()
    {
        using var old = Server(["setting", "work_mem", "7168"]);
        using var next = Server();
        await using var rig = RigOfTwo(old, next);
        using var client = await HolderAsync(rig);

        next.State!.Error = "42704";
        Switch(rig, old, next);

        await EndsAsync(rig, client, "StateRefused");
    }

    [Fact]
    public async Task A_statement_that_was_parsed_and_not_bound_yet_keeps_its_session_where_it_is()
    {
        using var old = new PretendServer(inRecovery: true) { State = new PretendState() };
        using var next = new PretendServer(inRecovery: true) { State = new PretendState() };
        await using var rig = Rig("epoll", s_settings).With("a", old, Role.Replica).Lead(null).Publish();
        using var client = await HolderAsync(rig, rig.ReadPort);
        await client.SendAsync(
            [.. BackendMessage.Of('P', [0, .. "select 1\0"u8, 0, 0]), .. BackendMessage.Of('S')]);
        Assert.Null(await client.UntilReadyAsync());

        rig.With("a", old, Role.Primary).With("b", next, Role.Replica).Lead("a").Publish();
        using (var other = new RawClient(rig.ReadPort))
        {
            Assert.Null(await other.LoginAsync());   // the change of the routes has come to all
        }
        await client.SendAsync(
        [
            .. BackendMessage.Of('B', 0, 0, 0, 0, 0, 0, 0, 0), .. BackendMessage.Of('E', 0, 0, 0, 0, 0),
            .. BackendMessage.Of('S'),
        ]);
        Assert.Null(await client.UntilReadyAsync());

        await rig.UntilAsync("moved a b");
        Assert.Contains("select 1", old.State!.Made);
        Assert.DoesNotContain("select 1", next.State!.Made);
    }

    // Rows may leave out what they have none of at their end.
    private static PretendServer Server(params string?[][] rows)
    {
        var server = new PretendServer { State = new PretendState() };
        if (rows.Any(row => row[0] == "role"))
        {
            server.State.Rows.Clear();
        }
        server.State.Rows.AddRange(rows.Select(row => (string?[])[.. row, .. new string?[4 - row.Length]]));
        return server;
    }

    /// <summary>A client that has asked for something, so that it may hold state.</summary>
    private static async Task<RawClient> HolderAsync(Rig rig, int? port = null)
    {
        var client = new RawClient(port ?? rig.WritePort);
        Assert.Null(await client.LoginAsync());
        await client.QueryAsync("select 1");
        Assert.Null(await client.UntilReadyAsync());
        return client;
    }

    // The leader is about to hand over, and every session has come to rest.
    private static async Task HoldAsync(Rig rig, string intent)
    {
        rig.Intend(intent, TimeSpan.FromMinutes(5)).Publish();
        await WaitUntil.TrueAsync(() => rig.Server.RestlessAt("a") == 0);
    }

    // The old leader lives, and leads no more.
    private static void Switch(Rig rig, PretendServer old, PretendServer next) =>
        rig.With("a", old, Role.Replica).With("b", next, Role.Primary).Lead("b").Publish();

    private static async Task<string> ParameterAsync(RawClient client)
    {
        var (type, body) = await client.ReadMessageAsync();
        Assert.Equal('S', type);
        return Encoding.UTF8.GetString(body);
    }

    private static async Task EndsAsync(Rig rig, RawClient client, string reason)
    {
        Assert.Equal("57P01", await client.UntilReadyAsync());
        Assert.Equal("end", await client.UntilReadyAsync());
        await rig.UntilAsync($"not moved {reason}");
        await WaitUntil.TrueAsync(() => rig.Open == 0);
    }

    private static Rig Rig(string transport, SessionSettings settings) =>
        new(transport, settings, change: one => one with { Move = MoveMode.Carry });

    private static Rig RigOfTwo(
        PretendServer primary, PretendServer standby, string transport = "epoll", SessionSettings? settings = null) =>
        Rig(transport, settings ?? s_settings).With("a", primary, Role.Primary).With("b", standby, Role.Replica)
            .Lead("a").Publish();
}
