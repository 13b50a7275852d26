using System.Text;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>Statements without effect that are repeated at the next server, on each transport.</summary>
public sealed class ReplayTests
{
    public static TheoryData<string> Transports => ["io_uring", "epoll", "portable"];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_statement_that_a_standby_has_refused_is_done_by_the_next_leader(string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        pair.Demote();
        await client.QueryAsync("insert 1");
        await WaitUntil.TrueAsync(
            () => rig.Diary.Any(entry => entry.StartsWith("failed a", StringComparison.Ordinal)));
        await client.QueryAsync("insert 2");   // more while the first one is repeated
        pair.Promote();

        Assert.Equal("insert 1, insert 2", await AnswersAsync(client, 2));
        Assert.Equal(["insert 1"], pair.Old.Heard);
        Assert.Equal(["insert 1", "insert 2"], pair.Next.Done);
        Assert.Contains("repeated ReadOnly", rig.Diary);
        Assert.Contains("moved a b", rig.Diary);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task The_error_of_an_application_that_reads_only_is_passed_on(string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        pair.Old.RefuseWith = "25006";   // the server is the primary all the same
        await client.QueryAsync("insert 1");
        Assert.Equal("25006", await client.UntilReadyAsync());
        Assert.Null(await client.UntilReadyAsync());
        pair.Old.RefuseWith = null;
        await client.QueryAsync("insert 2");

        Assert.Equal("insert 2", await AnswersAsync(client, 1));
        Assert.Contains("not repeated StillPrimary", rig.Diary);
        Assert.DoesNotContain("moved a b", rig.Diary);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_transaction_begins_anew_with_its_first_statement(string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        await client.QueryAsync("BEGIN");
        Assert.Equal("BEGIN", await AnswersAsync(client, 1));
        pair.Demote();
        await client.QueryAsync("insert 1");
        pair.Promote();
        Assert.Equal("insert 1", await AnswersAsync(client, 1));
        await client.QueryAsync("COMMIT");

        Assert.Equal("COMMIT", await AnswersAsync(client, 1));
        Assert.Equal(["BEGIN", "insert 1", "COMMIT"], pair.Next.Heard);
        Assert.Equal(["insert 1"], pair.Next.Done);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_transaction_that_was_sent_in_one_piece_begins_anew(string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        pair.Demote();
        await client.SendAsync([.. Query("BEGIN"), .. Extended("insert 1"), .. Query("COMMIT")]);
        await WaitUntil.TrueAsync(() => pair.Old.Heard.Count == 3);
        pair.Promote();

        Assert.Equal("BEGIN, insert 1, COMMIT", await AnswersAsync(client, 3));
        Assert.Equal(["insert 1"], pair.Next.Done);
        Assert.Empty(pair.Old.Done);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task The_extended_protocol_is_repeated_up_to_its_Sync_also_where_that_comes_later(string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();
        var messages = Extended("insert 1");

        pair.Demote();
        await client.SendAsync(messages[..^5]);
        await WaitUntil.TrueAsync(() => pair.Old.Heard.Count == 1);
        pair.Promote();
        await client.SendAsync(messages[^5..]);

        Assert.Equal("insert 1", await AnswersAsync(client, 1));
        Assert.Equal(["insert 1"], pair.Next.Done);
    }

    [Fact]
    public async Task A_later_statement_of_a_transaction_is_not_repeated()
    {
        using var pair = new Pair();
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();
        foreach (var text in (string[])["BEGIN", "insert 1"])
        {
            await client.QueryAsync(text);
            Assert.Equal(text, await AnswersAsync(client, 1));
        }

        pair.Demote();
        await client.QueryAsync("insert 2");

        Assert.Equal("25006", await client.UntilReadyAsync());
        pair.Promote();
        Assert.Empty(pair.Next.Heard);
    }

    [Theory]
    [InlineData("long")]
    [InlineData("copy")]
    [InlineData("function")]
    [InlineData("answered")]
    public async Task What_may_not_be_repeated_is_answered_as_it_is(string kind)
    {
        using var pair = new Pair();
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        pair.Demote();
        if (kind == "answered")
        {
            await client.SendAsync([.. Query("BEGIN"), .. Query("ROLLBACK"), .. Query("insert 1")]);
            Assert.Equal("BEGIN, ROLLBACK", await AnswersAsync(client, 2));
        }
        else
        {
            await client.SendAsync(kind switch
            {
                "long" => Query($"insert '{new string('x', 70_000)}'"),
                "copy" =>
                    [.. Query("copy t from stdin"), .. BackendMessage.Of('d', "1\n"u8), .. BackendMessage.Of('c')],
                _ => [.. Query("insert 1"), .. BackendMessage.Of('F', new byte[10])],
            });
        }

        Assert.Equal("25006", await client.UntilReadyAsync());
        Assert.Empty(pair.Next.Heard);
        Assert.DoesNotContain(rig.Diary, entry => entry.StartsWith("repeated", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_statement_is_repeated_three_times_at_most()
    {
        using var pair = new Pair();
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        (pair.Old.RefuseWith, pair.Next.RefuseWith) = ("57P03", "57P03");
        await client.QueryAsync("insert 1");

        Assert.Equal("57P03", await client.UntilReadyAsync());
        Assert.Null(await client.UntilReadyAsync());
        Assert.Equal(4, pair.Old.Heard.Count + pair.Next.Heard.Count);
        Assert.Equal(3, rig.Diary.Count(entry => entry == "repeated NotReady"));
        Assert.Equal(1, rig.Diary.Count(entry => entry == "not repeated TooOften"));
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_statement_that_was_sent_in_part_when_its_server_died_is_done_by_the_next(string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();
        var query = Query("insert 1");
        var sent = rig.FromClients;

        await client.SendAsync(query[..9]);
        await WaitUntil.TrueAsync(() => rig.FromClients == sent + 9);
        pair.OldServer.Dispose();
        pair.Promote();
        await rig.UntilAsync("repeated Unsent");
        await client.SendAsync(query[9..]);

        Assert.Equal("insert 1", await AnswersAsync(client, 1));
        Assert.Equal(["insert 1"], pair.Next.Done);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_transaction_that_has_only_begun_when_its_server_stops_goes_on_at_the_next(string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();
        await client.QueryAsync("BEGIN");
        Assert.Equal("BEGIN", await AnswersAsync(client, 1));

        pair.OldServer.RefuseWith = "57P03";
        await pair.OldServer.SayAsync(BackendMessage.Error("57P01"), ends: true);
        pair.Promote();
        await client.QueryAsync("insert 1");
        Assert.Equal("insert 1", await AnswersAsync(client, 1));
        await client.QueryAsync("COMMIT");

        Assert.Equal("COMMIT", await AnswersAsync(client, 1));
        Assert.Equal(["BEGIN", "insert 1", "COMMIT"], pair.Next.Heard);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_statement_that_may_have_been_done_is_never_repeated(string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        pair.Old.DiesAt = "insert 1";
        await client.QueryAsync("insert 1");

        Assert.Equal("08007", await client.UntilReadyAsync());
        pair.Promote();
        Assert.Empty(pair.Next.Heard);
        Assert.Contains("not moved Busy", rig.Diary);
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_new_leader_that_dies_with_the_statement_ends_the_session_and_nobody_gets_it_again(
        string transport)
    {
        using var pair = new Pair(transport);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        pair.Demote();
        pair.Next.DiesAt = "insert 1";
        await client.QueryAsync("insert 1");
        pair.Promote();

        Assert.Equal("08007", await client.UntilReadyAsync());
        Assert.Single(pair.Next.Heard);
        Assert.Empty(pair.Next.Done);
    }

    [Fact]
    public async Task Without_a_next_leader_the_session_ends_with_the_error()
    {
        using var pair = new Pair(settings: new SessionSettings { RetryTime = TimeSpan.FromMilliseconds(300) },
            hold: TimeSpan.FromMilliseconds(300));
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        pair.Demote();
        rig.Lead(null).Publish();
        await client.QueryAsync("insert 1");

        Assert.True(await client.UntilReadyAsync() is "25006" or "57P01");
        Assert.Equal("end", await client.UntilReadyAsync());
        Assert.Empty(pair.Next.Heard);
    }

    [Fact]
    public async Task What_the_session_holds_is_asked_for_when_the_failed_transaction_is_ended()
    {
        var held = new PretendState();
        held.Rows.Add(["setting", "work_mem", "8192", null]);
        var made = new PretendState();
        using var old = new PretendServer { State = held, Answer = OfOld };
        using var next = new PretendServer
        {
            State = made,
            Answer = sql => sql == "BEGIN" ? [.. Tag("BEGIN"), .. BackendMessage.Ready('T')] : null,
        };
        await using var rig = new Rig(
            change: one => one with { Move = MoveMode.Carry, Replay = ReplayMode.FirstStatement })
            .With("a", old, Role.Primary).With("b", next, Role.Replica).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());
        foreach (var (text, answer) in ((string, string)[])[("set work_mem", "SELECT 1"), ("BEGIN", "BEGIN")])
        {
            await client.QueryAsync(text);
            Assert.Equal(answer, await AnswersAsync(client, 1));
        }

        old.InRecovery = true;
        await client.QueryAsync("insert 1");
        await WaitUntil.TrueAsync(() => held.Questions == 1);
        rig.With("b", next, Role.Primary).Lead("b").Publish();

        Assert.Equal("SELECT 1", await AnswersAsync(client, 1));
        Assert.Contains("work_mem = 8192", made.Made);
        Assert.Equal(2, next.Queries);

        byte[]? OfOld(string sql) => sql switch
        {
            "BEGIN" => [.. Tag("BEGIN"), .. BackendMessage.Ready('T')],
            "insert 1" => [.. Scribe.Error("25006"), .. BackendMessage.Ready('E')],
            "ROLLBACK" => [.. Tag("ROLLBACK"), .. BackendMessage.Ready()],
            _ => null,
        };
    }

    [Fact]
    public async Task Off_nothing_is_repeated()
    {
        using var pair = new Pair(replay: ReplayMode.Off);
        await using var rig = pair.Rig;
        using var client = await pair.ConnectAsync();

        pair.Demote();
        await client.QueryAsync("insert 1");

        Assert.Equal("25006", await client.UntilReadyAsync());
        Assert.Null(await client.UntilReadyAsync());
        Assert.DoesNotContain(rig.Diary, entry => entry.Contains("repeated", StringComparison.Ordinal));
    }

    private static byte[] Tag(string text) => BackendMessage.Of('C', Encoding.UTF8.GetBytes(text + "\0"));

    private static byte[] Query(string text) => BackendMessage.Of('Q', Encoding.UTF8.GetBytes(text + "\0"));

    private static byte[] Extended(string text) =>
    [
        .. BackendMessage.Of('P', [0, .. Encoding.UTF8.GetBytes(text), 0, 0, 0]),
        .. BackendMessage.Of('B', new byte[8]), .. BackendMessage.Of('D', (byte)'P', 0),
        .. BackendMessage.Of('E', new byte[5]), .. BackendMessage.Of('S'),
    ];

    /// <summary>The tags of the answers up to so many ReadyForQuery.</summary>
    private static async Task<string> AnswersAsync(RawClient client, int count)
    {
        var tags = new List<string>();
        while (count > 0)
        {
            var (type, body) = await client.ReadMessageAsync();
            Assert.Contains(type, "CZ12nS");
            count -= type == 'Z' ? 1 : 0;
            if (type == 'C')
            {
                tags.Add(Encoding.UTF8.GetString(body).TrimEnd('\0'));
            }
        }
        return string.Join(", ", tags);
    }

    /// <summary>A leader, a, and its successor, b.</summary>
    private sealed class Pair : IDisposable
    {
        private readonly PretendServer _next;

        public Pair(string transport = "epoll", ReplayMode replay = ReplayMode.FirstStatement,
            SessionSettings? settings = null, TimeSpan? hold = null)
        {
            OldServer = new PretendServer { Talk = Old.TalkAsync };
            _next = new PretendServer { Talk = Next.TalkAsync };
            Rig = new Rig(
                transport, settings, one => one with { Move = MoveMode.AssumeClean, Replay = replay }, hold)
                .With("a", OldServer, Role.Primary).With("b", _next, Role.Replica).Lead("a").Publish();
        }

        public PretendServer OldServer { get; }

        public Scribe Old { get; } = new();

        public Scribe Next { get; } = new();

        public Rig Rig { get; }

        public async Task<RawClient> ConnectAsync()
        {
            var client = new RawClient(Rig.WritePort);
            Assert.Null(await client.LoginAsync());
            return client;
        }

        /// <summary>The leader is a standby, by its own word alone.</summary>
        public void Demote() => (Old.RefuseWith, OldServer.InRecovery) = ("25006", true);

        /// <summary>The next one leads.</summary>
        public void Promote() =>
            Rig.With("a", OldServer, Role.Replica).With("b", _next, Role.Primary).Lead("b").Publish();

        public void Dispose()
        {
            OldServer.Dispose();
            _next.Dispose();
        }
    }
}
