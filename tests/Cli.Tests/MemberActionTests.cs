namespace Routing.Cli.Tests;

/// <summary>reload, restart and flush: the members that are meant, the questions, the requests, the results.</summary>
public sealed class MemberActionTests
{
    private const string Table = """
        + Cluster: pay (7412345678901234567) -+-----------+----+-------------+-----+------------+-----+
        | Member | Host      | Role           | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
        +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+
        | pg-a   | 10.1.0.11 | Leader         | running   |  4 |             |     |            |     |
        | pg-b   | 10.1.0.12 | Quorum Standby | streaming |  4 |   0/7000148 |   0 |  0/7000148 |   0 |
        +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+

        """;

    [Fact]
    public async Task A_reload_shows_the_members_asks_and_is_sent_to_each()
    {
        await using var leader = RestStub.Start(202, "reload scheduled");
        await using var standby = RestStub.Start(200, "no changes");
        var ctl = new Ctl().WithPay(leader.ApiUrl, standby.ApiUrl);

        var ended = await ctl.RunAsync("reload pay", "y");

        Assert.Equal(
            new(
                0,
                Table + """
                Are you sure you want to reload members pg-a, pg-b? [y/N]: Reload request received for member pg-a and will be processed within 10 seconds
                No changes to apply on member pg-b

                """,
                ""),
            ended);
        Assert.Equal(["POST /reload", "POST /reload"], leader.Calls.Concat(standby.Calls).Select(call => call.Line));
    }

    [Fact]
    public async Task A_failed_reload_is_shown_and_ends_with_1()
    {
        await using var rest = RestStub.Start(401, "not authenticated");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("reload pay pg-a --force");

        Assert.Equal((1, "Failed: reload for member pg-a, status code=401, (not authenticated)\n"),
            (ended.ExitCode, ended.Output));
        Assert.StartsWith("Hint: See ctl.authentication", ended.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("reload pay pg-x --force", "pg-x is not a member of cluster")]
    [InlineData("restart pay pg-a -r replica --force", "pg-a is not a member in the role replica")]
    [InlineData("reload pay -r standby-leader --force", "Cluster pay has no member in the role standby-leader")]
    [InlineData("restart pay --force --pg-version new", "'new' is no version of PostgreSQL")]
    [InlineData("restart pay --force --scheduled soon", "Unable to parse scheduled timestamp (soon)")]
    [InlineData("reinit pay --force", "No member is named.")]
    [InlineData("reinit pay pg-a --force", "pg-a is not a member in the role replica")]
    [InlineData("dsn pay -r leader -m pg-a", "--role and --member are mutually exclusive options")]
    [InlineData("dsn pay -m pg-x", "Can not find a suitable member")]
    public Task A_request_that_can_not_work_is_refused_before_it_is_sent(string commandLine, string error) =>
        Ctl.RefusesAsync(commandLine, error);

    [Fact]
    public async Task A_restart_asks_when_whether_and_below_which_version_and_takes_the_leader_last()
    {
        var order = new List<string>();
        await using var leader = RestStub.Start(_ => Noted("pg-a"));
        await using var standby = RestStub.Start(_ => Noted("pg-b"));
        var ctl = new Ctl().WithPay(leader.ApiUrl, standby.ApiUrl);

        var ended = await ctl.RunAsync("restart pay", "", "y", "15.7");

        Assert.Equal(
            new(
                0,
                Table + """
                When should the restart take place (e.g. 2026-08-01T13:00)  [now]: Are you sure you want to restart members pg-a, pg-b? [y/N]: Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: Success: restart on member pg-b
                Success: restart on member pg-a

                """,
                ""),
            ended);
        Assert.Equal(["pg-b", "pg-a"], order);
        Assert.Equal(("POST /restart", """{"postgres_version":"15.7"}"""),
            (leader.Calls[0].Line, leader.Calls[0].Body));

        (int, string) Noted(string member)
        {
            order.Add(member);
            return (200, "restarted successfully");
        }
    }

    [Fact]
    public async Task Every_condition_of_a_restart_is_sent()
    {
        await using var rest = RestStub.Start(202, "Restart scheduled");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync(
            "restart pay pg-a --force --scheduled 2026-09-01T03:00 --pending --pg-version 15.7 --timeout 5min");

        Assert.Equal(new(0, "Success: restart scheduled on member pg-a\n", ""), ended);
        Assert.Equal(
            """{"restart_pending":true,"postgres_version":"15.7","schedule":"2026-09-01T03:00:00\u002B00:00","timeout":300}""",
            Assert.Single(rest.Calls).Body);
    }

    [Fact]
    public async Task A_forced_schedule_replaces_the_one_before()
    {
        await using var rest = RestStub.Start(
            call => call.Line == "DELETE /restart" ? (200, "scheduled restart deleted") : (202, "Restart scheduled"));
        var ctl = new Ctl().WithPay(apiOfStandby: rest.ApiUrl);
        ctl.PutStandby(rest.ApiUrl, ""","scheduled_restart":{"schedule":"2026-08-30T03:00:00+00:00"}""");

        var ended = await ctl.RunAsync("restart pay pg-b --force --scheduled 2026-09-01T03:00");

        Assert.Equal(new(0, "Success: restart scheduled on member pg-b\n", ""), ended);
        Assert.Equal(["DELETE /restart", "POST /restart"], rest.Calls.Select(call => call.Line));
    }

    [Theory]
    [InlineData(
        409, "Another restart is already scheduled", "Failed: another restart is already scheduled on member pg-b\n")]
    [InlineData(503, "restart failed", "Failed: restart for member pg-b, status code=503, (restart failed)\n")]
    public async Task A_restart_that_fails_ends_with_1(int status, string text, string line)
    {
        await using var rest = RestStub.Start(status, text);
        var ctl = new Ctl().WithPay(apiOfStandby: rest.ApiUrl);

        var ended = await ctl.RunAsync("restart pay -r replica --force");

        Assert.Equal(new(1, line, ""), ended);
    }

    [Fact]
    public async Task A_member_that_does_not_answer_does_not_keep_the_others_from_their_restart()
    {
        await using var rest = RestStub.Start(200, "restarted successfully");
        var ctl = new Ctl().WithPay(apiOfLeader: rest.ApiUrl, apiOfStandby: "http://127.0.0.1:1/patroni");

        var ended = await ctl.RunAsync("restart pay --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Failed: restart for member pg-b, (no answer from http://127.0.0.1:1/restart: ", ended.Output,
            StringComparison.Ordinal);
        Assert.EndsWith("\nSuccess: restart on member pg-a\n", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pending_means_only_those_whose_settings_wait()
    {
        await using var rest = RestStub.Start(200, "restarted successfully");
        var ctl = new Ctl().WithPay(apiOfStandby: rest.ApiUrl);

        var none = await ctl.RunAsync("restart pay --pending --force");
        ctl.PutStandby(rest.ApiUrl, ""","pending_restart":true""");
        var one = await ctl.RunAsync("restart pay --pending --force");

        Assert.Equal(new(0, "No member waits for a restart\n", ""), none);
        Assert.Equal(new(0, "Success: restart on member pg-b\n", ""), one);
        Assert.Equal("""{"restart_pending":true}""", Assert.Single(rest.Calls).Body);
    }

    [Fact]
    public async Task Any_is_one_of_them()
    {
        await using var leader = RestStub.Start(200, "");
        await using var standby = RestStub.Start(200, "");
        var ctl = new Ctl().WithPay(leader.ApiUrl, standby.ApiUrl);

        var ended = await ctl.RunAsync("restart pay --any --force");

        Assert.Equal(0, ended.ExitCode);
        Assert.Single(leader.Calls.Concat(standby.Calls));
    }

    [Fact]
    public async Task A_restart_is_not_scheduled_in_a_pause_and_not_done_when_declined()
    {
        var ctl = new Ctl().WithPay();

        var declined = await ctl.RunAsync("restart pay", "", "n");
        var declinedSchedule = await ctl.RunAsync("restart pay", "2026-09-01T03:00", "n");
        ctl.Dcs.Put("config", """{"pause":true}""");
        var paused = await ctl.RunAsync("restart pay --force --scheduled 2026-09-01T03:00");

        Assert.Equal((1, "Error: Aborted restart\n"), (declined.ExitCode, declined.Error));
        Assert.Equal((1, "Error: Aborted scheduled restart\n"), (declinedSchedule.ExitCode, declinedSchedule.Error));
        Assert.Equal(new(1, "", "Error: Can't schedule restart in the paused state\n"), paused);
    }

    [Theory]
    [InlineData("restart pay --dry-run",
        "Dry run: pg-b would get POST /restart {}\nDry run: pg-a would get POST /restart {}\n")]
    [InlineData("reload pay --dry-run", "Dry run: pg-a would get POST /reload\nDry run: pg-b would get POST /reload\n")]
    [InlineData("reinit pay pg-b --dry-run --wait",
        "Dry run: pg-b would get POST /reinitialize {\"force\":true,\"from_leader\":false}\n")]
    [InlineData("flush pay restart --dry-run",
        "No scheduled restart for member pg-a\nDry run: pg-b would get DELETE /restart\n")]
    [InlineData("flush pay switchover --dry-run", "Dry run: pg-a would get DELETE /switchover\n")]
    public async Task A_dry_run_asks_nothing_and_sends_nothing(string commandLine, string output)
    {
        await using var rest = RestStub.Start(200, "");
        var ctl = new Ctl().WithPay(rest.ApiUrl, rest.ApiUrl);
        ctl.PutStandby(rest.ApiUrl, ""","scheduled_restart":{"schedule":"2026-08-30T03:00:00+00:00"}""");
        ctl.Dcs.Put("failover", """{"leader":"pg-a","scheduled_at":"2026-09-01T03:00:00+00:00"}""");

        var ended = await ctl.RunAsync(commandLine);

        Assert.Equal(new(0, output, ""), ended);
        Assert.Empty(rest.Calls);
    }

    [Fact]
    public async Task A_flush_of_restarts_takes_back_those_that_are_scheduled()
    {
        await using var rest = RestStub.Start(200, "scheduled restart deleted");
        var ctl = new Ctl().WithPay(rest.ApiUrl, rest.ApiUrl);
        ctl.PutStandby(rest.ApiUrl, ""","scheduled_restart":{"schedule":"2026-08-30T03:00:00+00:00"}""");

        var ended = await ctl.RunAsync("flush pay restart", "y");

        Assert.EndsWith(
            """
            Are you sure you want to flush members pg-a, pg-b? [y/N]: No scheduled restart for member pg-a
            Success: flush scheduled restart for member pg-b

            """,
            ended.Output,
            StringComparison.Ordinal);
        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal("DELETE /restart", Assert.Single(rest.Calls).Line);
    }

    [Fact]
    public async Task A_flush_of_the_switchover_is_asked_of_the_leader()
    {
        await using var rest = RestStub.Start(200, "scheduled switchover deleted");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var none = await ctl.RunAsync("flush pay switchover");
        ctl.Dcs.Put("failover", """{"leader":"pg-a","scheduled_at":"2026-09-01T03:00:00+00:00"}""");
        var one = await ctl.RunAsync("flush pay switchover");

        Assert.Equal(new(0, "No pending scheduled switchover\n", ""), none);
        Assert.Equal(new(0, "Success: scheduled switchover deleted\n", ""), one);
        Assert.Equal("DELETE /switchover", Assert.Single(rest.Calls).Line);
    }

    [Fact]
    public async Task A_switchover_is_taken_back_in_the_DCS_when_no_member_answers()
    {
        await using var rest = RestStub.Start(503, "no");
        var ctl = new Ctl().WithPay("http://127.0.0.1:1/patroni", rest.ApiUrl);
        ctl.Dcs.Put("failover", """{"leader":"pg-a","scheduled_at":"2026-09-01T03:00:00+00:00"}""");

        var ended = await ctl.RunAsync("flush pay switchover");

        Assert.Equal(0, ended.ExitCode);
        Assert.StartsWith("Failed: member=pg-a, (no answer from ", ended.Output, StringComparison.Ordinal);
        Assert.EndsWith(
            """
            Failed: member=pg-b, status code=503, (no)
            2026-08-01 12:00:00.00000 Could not find any accessible member of cluster pay, falling back to DCS
            Success: scheduled switchover deleted

            """,
            ended.Output,
            StringComparison.Ordinal);
        Assert.Equal("{}", ctl.Dcs.Keys["failover"].Value);
    }

    [Theory]
    [InlineData("dsn pay", "host=10.1.0.11 port=5432\n")]
    [InlineData("dsn pay -r replica", "host=10.1.0.12 port=5432\n")]
    [InlineData("dsn pay --member pg-b", "host=10.1.0.12 port=5432\n")]
    public async Task A_dsn_names_host_and_port(string commandLine, string output)
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync(commandLine);

        Assert.Equal(new(0, output, ""), ended);
    }

    [Fact]
    public async Task A_cluster_without_members_is_an_error_with_a_hint()
    {
        var ctl = new Ctl { Variables = { ["DCS_URL"] = "localhost" } };

        var ended = await ctl.RunAsync("restart pax --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("Hint: There is nothing below /service/pax/ in the DCS", ended.Error, StringComparison.Ordinal);
        Assert.Contains("Error: pax cluster doesn't have any members\n", ended.Error, StringComparison.Ordinal);
    }
}
