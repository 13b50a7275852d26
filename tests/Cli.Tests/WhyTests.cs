namespace Routing.Cli.Tests;

/// <summary><c>why</c>: reasons, the last change of leader, and what commits wait for.</summary>
public sealed class WhyTests
{
    private const string Leader = """
        {"member":"pg-a","scope":"pay","role":"primary","state":"running","leader":"pg-a","is_leader":true,"paused":false,"term":812,"timeline":4,"code":"leads","reason":"is the leader","since":"2026-08-01T10:00:00.000Z","answer":"pg-a is the leader: it holds the leader key, and it is the leader.","no_failover":{"code":"leader_leads","reason":"pg-a holds the leader key, and its lease has not ended"},"if_leader_gone":null,"figures":{"lsn":"0/7000148","leader_lsn":"0/7000148","lag":0,"maximum_lag_on_failover":1048576,"ttl_ms":30000,"loop_wait_ms":10000,"lease_left_ms":27300,"nofailover":false,"failover_priority":1},"commit":{"mode":"quorum","strict":false,"synchronous_commit":"on","names":"ANY 1 (\"pg-b\")","lsn":"0/7000148","waits_for":1,"of":["pg-b"],"standbys":[{"name":"pg-b","state":"streaming","sync_state":"quorum","counts":true,"write_lsn":"0/7000148","flush_lsn":"0/7000100","replay_lsn":"0/7000100","lag":72,"if_lost":"Commits wait."}],"answer":"A commit waits until pg-b has flushed it (synchronous_commit is on)."},"last":null}
        """;

    private const string Standby = """
        {"member":"pg-b","scope":"pay","role":"replica","state":"running","leader":"pg-a","is_leader":false,"paused":false,"term":812,"timeline":4,"code":"follows","reason":"follows pg-a","since":null,"answer":"pg-b is not the leader: pg-a holds the leader key. pg-b follows pg-a.","no_failover":{"code":"leader_leads","reason":"pg-a holds the leader key, and its lease has not ended"},"if_leader_gone":{"code":"races","reason":"races for the leader key: it is the healthiest member","would_lead":true},"figures":{"lsn":"0/7000100","leader_lsn":"0/7000148","lag":72,"maximum_lag_on_failover":1048576,"ttl_ms":30000,"loop_wait_ms":10000,"lease_left_ms":null,"nofailover":false,"failover_priority":1},"commit":null,"last":null}
        """;

    [Fact]
    public async Task All_members_are_a_table()
    {
        await using var leader = RestStub.Start(200, Leader);
        await using var standby = RestStub.Start(200, Standby);

        var ended = await new Ctl().WithPay(leader.ApiUrl, standby.ApiUrl).RunAsync("why pay");

        Assert.Equal(
            """
            +--------+---------+-------+---------+--------------------------+---------------+-------------------------------------------------------+
            | Member | Role    | Leads | Code    | Since                    | Reason        | Without the leader                                    |
            +--------+---------+-------+---------+--------------------------+---------------+-------------------------------------------------------+
            | pg-a   | primary | yes   | leads   | 2026-08-01T10:00:00.000Z | is the leader |                                                       |
            | pg-b   | replica | no    | follows |                          | follows pg-a  | races for the leader key: it is the healthiest member |
            +--------+---------+-------+---------+--------------------------+---------------+-------------------------------------------------------+

            """,
            ended.Output);
        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal("GET /why", Assert.Single(leader.Calls).Line);
    }

    [Fact]
    public async Task One_member_is_told_of_in_sentences()
    {
        await using var standby = RestStub.Start(200, Standby);
        var ctl = new Ctl().WithPay(apiOfStandby: standby.ApiUrl);
        ctl.Variables["PATRONI_SCOPE"] = "pay";

        var ended = await ctl.RunAsync("why pg-b");

        Assert.Equal(
            """
            pg-b is not the leader: pg-a holds the leader key. pg-b follows pg-a.
            There is no failover: pg-a holds the leader key, and its lease has not ended (code leader_leads).
            If the leader were gone now: pg-b races for the leader key: it is the healthiest member (code races).
            Figures: WAL at 0/7000100 on timeline 4, 72 bytes behind the leader (0/7000148); maximum_lag_on_failover 1048576 bytes; term 812; ttl 30 s.

            """,
            ended.Output);
        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task Programs_get_the_members_own_documents()
    {
        await using var leader = RestStub.Start(200, Leader);
        await using var patroni = RestStub.Start(503, """{"state":"running"}""");
        var ctl = new Ctl().WithPay(leader.ApiUrl, patroni.ApiUrl);

        var json = await ctl.RunAsync("why pay -f json");
        var one = await ctl.RunAsync("why pay pg-a -f yaml");
        var tsv = await ctl.RunAsync("why pay -f tsv");

        Assert.StartsWith("""[{"member": "pg-a", "scope": "pay", """, json.Output, StringComparison.Ordinal);
        Assert.EndsWith(
            """{"member": "pg-b", "problem": "pg-b has no GET /why (status 503): its agent is Patroni 4.1.4, which has none"}]""" + "\n",
            json.Output, StringComparison.Ordinal);
        Assert.Contains("code: leads\n", one.Output, StringComparison.Ordinal);
        Assert.Equal(
            "Member\tRole\tLeads\tCode\tSince\tReason\tWithout the leader\n"
                + "pg-a\tprimary\tyes\tleads\t2026-08-01T10:00:00.000Z\tis the leader\t\n"
                + "pg-b\treplica\t\t\t\tpg-b has no GET /why (status 503): its agent is Patroni 4.1.4, which has none"
                + "\t\n",
            tsv.Output);
        Assert.Equal((0, 0, 0), (json.ExitCode, one.ExitCode, tsv.ExitCode));
    }

    [Fact]
    public async Task A_member_that_can_not_say_it_is_an_error_where_it_is_the_only_one()
    {
        await using var patroni = RestStub.Start(404, "");

        var ended = await new Ctl().WithPay(patroni.ApiUrl).RunAsync("why pay pg-a");

        Assert.Equal((1, "Error: pg-a has no GET /why (status 404): its agent is Patroni 4.1.4, which has none\n"),
            (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task What_a_commit_waits_for_is_asked_of_the_leader()
    {
        await using var leader = RestStub.Start(200, Leader);
        var ctl = new Ctl().WithPay(leader.ApiUrl);

        var ended = await ctl.RunAsync("why pay --commit");
        var json = await ctl.RunAsync("why pay --commit -f json");

        Assert.Equal(
            """
            A commit waits until pg-b has flushed it (synchronous_commit is on).
            + synchronous_mode: quorum; ANY 1 ("pg-b") ---------+-----------+-----------+-----+---------------+
            | Standby | State     | Sync   | Counts | Written   | Flushed   | Replayed  | Lag | If lost       |
            +---------+-----------+--------+--------+-----------+-----------+-----------+-----+---------------+
            | pg-b    | streaming | quorum | yes    | 0/7000148 | 0/7000100 | 0/7000100 |  72 | Commits wait. |
            +---------+-----------+--------+--------+-----------+-----------+-----------+-----+---------------+

            """,
            ended.Output);
        Assert.StartsWith("""{"mode": "quorum", "strict": false, """, json.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_standby_makes_no_commits()
    {
        await using var standby = RestStub.Start(200, Standby);

        var ended = await new Ctl().WithPay(apiOfStandby: standby.ApiUrl).RunAsync("why pay pg-b --commit");

        Assert.Equal((1, "Error: pg-b runs no primary now: no commit is possible there.\n"),
            (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task Without_a_leader_no_commit_is_possible()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Delete("leader");

        var ended = await ctl.RunAsync("why pay --commit");

        Assert.Equal((1, "Error: Nobody leads now: no commit is possible.\nHint: See routingctl why.\n"),
            (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task The_last_failover_is_a_story_with_times()
    {
        await using var before = new EventStub("pg-a");
        await using var after = new EventStub("pg-b");
        var ctl = Failover(before, after);

        var ended = await ctl.RunAsync("why pay --last");

        Assert.Equal(
            """
            The last failover, from pg-a to pg-b, in term 900, on timeline 5: 2.300 s from the first sign to the first write.
            It began with pg-b: does not stream any more (stream_lost).
            +-------------+--------------------------+---------+--------+--------------------------+
            | Phase       | Time                     |    Took | Member | What                     |
            +-------------+--------------------------+---------+--------+--------------------------+
            | detected    | 2026-08-01T11:59:58.000Z |    0 ms | pg-b   | does not stream any more |
            | lease_free  | 2026-08-01T12:00:00.000Z | 2000 ms | pg-b   | nobody holds the key     |
            | elected     | 2026-08-01T12:00:00.050Z |   50 ms | pg-b   | holds the leader key     |
            | promoted    | 2026-08-01T12:00:00.200Z |  150 ms | pg-b   | is a primary             |
            | first_write | 2026-08-01T12:00:00.300Z |  100 ms | pg-b   | has written              |
            +-------------+--------------------------+---------+--------+--------------------------+
            pg-b, being at 0/7000148, asked the others before it took the key:
            +-------+------+-----+----+----------+-----------+
            | Asked | Role | WAL | TL | Priority | Problem   |
            +-------+------+-----+----+----------+-----------+
            | pg-a  |      |     |    |          | no answer |
            +-------+------+-----+----+----------+-----------+
            What decided: pg-b races for the leader key (races).

            """,
            ended.Output);
        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task Programs_get_the_phases_as_rows_or_the_whole_story()
    {
        await using var before = new EventStub("pg-a");
        await using var after = new EventStub("pg-b");
        var ctl = Failover(before, after);

        var tsv = await ctl.RunAsync("why pay --last -f tsv");
        var json = await ctl.RunAsync("why pay --last -f json");
        var yaml = await ctl.RunAsync("why pay --last -f yaml");

        Assert.StartsWith(
            "Phase\tTime\tTook\tMember\tWhat\n"
                + "detected\t2026-08-01T11:59:58.000Z\t0 ms\tpg-b\tdoes not stream any more\n",
            tsv.Output, StringComparison.Ordinal);
        Assert.StartsWith(
            """{"kind": "failover", "from": "pg-a", "to": "pg-b", "term": 900, "timeline": 5, "complete": true, "total_ms": 2300, """,
            json.Output, StringComparison.Ordinal);
        Assert.Contains("total_ms: 2300\n", yaml.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cluster_that_knows_of_no_change_says_so()
    {
        await using var leader = new EventStub("pg-a");
        await using var standby = new EventStub("pg-b");

        var ended = await new Ctl().WithPay(leader.ApiUrl, standby.ApiUrl).RunAsync("why pay --last");

        Assert.Equal(
            (1, "Error: No member knows of a change of leader.\nHint: See routingctl history for those before.\n"),
            (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task The_two_questions_exclude_each_other()
    {
        var ended = await new Ctl().WithPay().RunAsync("why pay --last --commit");

        Assert.Equal(2, ended.ExitCode);
        Assert.Contains("--last and --commit are mutually exclusive options", ended.Error, StringComparison.Ordinal);
    }

    private static Ctl Failover(EventStub before, EventStub after)
    {
        before.Tell(1, "2026-08-01T11:00:00.000Z", "leader", "leader_changed", "pg-a leads",
            ""","figures":{"leader":"pg-a"}""");
        after.Tell(1, "2026-08-01T11:59:58.000Z", "server", "stream_lost", "does not stream any more");
        after.Tell(2, "2026-08-01T12:00:00.000Z", "leader", "leader_gone", "nobody holds the key",
            ""","figures":{"was":"pg-a"}""");
        after.Tell(3, "2026-08-01T12:00:00.020Z", "race", "peers_answered", "asked",
            ""","figures":{"lsn":"0/7000148","asked":[{"name":"pg-a","reachable":false,"role":null,"lsn":null,"timeline":0,"priority":1,"nofailover":false,"problem":"no answer"}]}""");
        after.Tell(4, "2026-08-01T12:00:00.030Z", "reason", "races", "races for the leader key");
        after.Told(5, "2026-08-01T12:00:00.050Z", "lease", "lease_won", "holds the leader key", 900, 4);
        after.Told(6, "2026-08-01T12:00:00.051Z", "leader", "leader_changed", "pg-b leads", 900, 4,
            ""","figures":{"leader":"pg-b","was":"pg-a"}""");
        after.Told(7, "2026-08-01T12:00:00.200Z", "job", "promote_done", "is a primary", 900, 5);
        after.Told(8, "2026-08-01T12:00:00.300Z", "write", "first_write", "has written", 900, 5);
        return new Ctl().WithPay(before.ApiUrl, after.ApiUrl);
    }
}
