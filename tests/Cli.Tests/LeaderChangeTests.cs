using System.Text;
using System.Text.Json.Nodes;
using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class LeaderChangeTests
{
    [Fact]
    public async Task A_switchover_asks_what_is_missing_and_shows_the_new_topology()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(_ =>
        {
            ctl.HandOverTo("pg-b");
            return (200, "Successfully switched over to \"pg-b\"");
        });
        ctl.WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("switchover pay", "", "pg-b", "", "y");

        Assert.Equal(
            """
            Current cluster topology
            + Cluster: pay (7412345678901234567) -+-----------+----+-------------+-----+------------+-----+
            | Member | Host      | Role           | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
            +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+
            | pg-a   | 10.1.0.11 | Leader         | running   |  4 |             |     |            |     |
            | pg-b   | 10.1.0.12 | Quorum Standby | streaming |  4 |   0/7000148 |   0 |  0/7000148 |   0 |
            +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+
            Primary [pg-a]: Candidate ['pg-b'] []: When should the switchover take place (e.g. 2026-08-01T13:00 )  [now]: Are you sure you want to switchover cluster pay, demoting current leader pg-a? [y/N]: 2026-08-01 12:00:00.00000 Successfully switched over to "pg-b"
            """,
            string.Join('\n', ended.Output.Split('\n')[..8]));
        Assert.Contains("| pg-b   | 10.1.0.12 | Leader ", ended.Output, StringComparison.Ordinal);
        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        var call = Assert.Single(rest.Calls);
        Assert.Equal("POST /switchover", call.Line);
        Assert.True(JsonNode.DeepEquals(
            JsonNode.Parse("""{"candidate":"pg-b","leader":"pg-a"}"""), JsonNode.Parse(call.Body)), call.Body);
    }

    [Fact]
    public async Task A_switchover_to_a_site_leaves_the_candidate_open_and_asks_for_none()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(_ =>
        {
            ctl.HandOverTo("pg-b");
            return (200, "Successfully switched over to \"pg-b\"");
        });
        ctl.WithPay(rest.ApiUrl);
        var member = JsonNode.Parse(ctl.Dcs.Keys["members/pg-b"].Value)!.AsObject();
        member["site"] = "dc2";
        ctl.Dcs.Put("members/pg-b", member.ToJsonString());

        var nowhere = await ctl.RunAsync("switchover pay --site dc9 --force");
        var both = await ctl.RunAsync("switchover pay --site dc2 --candidate pg-b --force");
        var ended = await ctl.RunAsync("switchover pay --site dc2", "", "", "y");

        Assert.Equal((1, 1, 0), (nowhere.ExitCode, both.ExitCode, ended.ExitCode));
        Assert.Contains("No candidates found to switchover to in site dc9", nowhere.Error, StringComparison.Ordinal);
        Assert.Contains("--candidate and --site can't be used together", both.Error, StringComparison.Ordinal);
        Assert.Contains("| Site | Member |", ended.Output, StringComparison.Ordinal);
        Assert.Contains("| dc2  | pg-b   |", ended.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Candidate [", ended.Output, StringComparison.Ordinal);
        var call = Assert.Single(rest.Calls);
        Assert.True(JsonNode.DeepEquals(
            JsonNode.Parse("""{"candidate":null,"leader":"pg-a","site":"dc2"}"""), JsonNode.Parse(call.Body)),
            call.Body);
    }

    [Fact]
    public async Task A_failover_may_offer_the_members_of_one_site_alone()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(_ => (200, ""));
        ctl.WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("failover pay --site dc9 --candidate pg-b --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("No candidates found to failover to in site dc9", ended.Error, StringComparison.Ordinal);
        Assert.Empty(rest.Calls);
    }

    [Fact]
    public async Task A_forced_switchover_asks_nothing_and_leaves_the_candidate_open()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(_ =>
        {
            ctl.HandOverTo("pg-b");
            return (200, "Successfully switched over to \"pg-b\"");
        });
        ctl.WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("switchover pay --force");

        Assert.Equal(0, ended.ExitCode);
        Assert.True(JsonNode.DeepEquals(
            JsonNode.Parse("""{"candidate":null,"leader":"pg-a"}"""), JsonNode.Parse(rest.Calls[0].Body)));
    }

    [Fact]
    public async Task A_dry_run_shows_the_request_and_sends_none()
    {
        await using var rest = RestStub.Start(200, "");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var switchover = await ctl.RunAsync("switchover pay --candidate pg-b --dry-run");
        var failover = await ctl.RunAsync("failover pay --candidate pg-b --dry-run");

        Assert.EndsWith(
            """Dry run: pg-a would get POST /switchover {"candidate":"pg-b","leader":"pg-a"}""" + "\n",
            switchover.Output, StringComparison.Ordinal);
        Assert.EndsWith("""Dry run: pg-a would get POST /failover {"candidate":"pg-b"}""" + "\n", failover.Output,
            StringComparison.Ordinal);
        Assert.Empty(rest.Calls);
    }

    [Fact]
    public async Task A_refused_switchover_shows_why_and_ends_with_1()
    {
        await using var rest = RestStub.Start(412, "candidate name does not match with sync_standby");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("switchover pay --force --candidate pg-b");

        Assert.Equal(1, ended.ExitCode);
        Assert.EndsWith(
            "+\nSwitchover failed, details: 412, candidate name does not match with sync_standby\n", ended.Output,
            StringComparison.Ordinal);
        Assert.Null(ctl.Dcs.Snapshot.Failover);
    }

    [Fact]
    public async Task Wrong_credentials_are_explained()
    {
        await using var rest = RestStub.Start(401, "no auth header received");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("switchover pay --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("Hint: See ctl.authentication", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_credentials_of_ctl_are_sent_and_those_of_restapi_without_them()
    {
        await using var rest = RestStub.Start(412, "no");
        var ctl = new Ctl().WithPay(rest.ApiUrl);
        ctl.Variables["PATRONI_RESTAPI_USERNAME"] = "rest";
        ctl.Variables["PATRONI_RESTAPI_PASSWORD"] = "r:s";

        await ctl.RunAsync("switchover pay --force");
        ctl.Variables["PATRONI_CTL_USERNAME"] = "ctl";
        ctl.Variables["PATRONI_CTL_PASSWORD"] = "c";
        await ctl.RunAsync("switchover pay --force");

        Assert.Equal(["Basic " + Base64("rest:r:s"), "Basic " + Base64("ctl:c")],
            rest.Calls.Select(call => call.Authorization));
    }

    [Fact]
    public async Task A_scheduled_switchover_is_sent_with_its_offset_and_not_waited_for()
    {
        await using var rest = RestStub.Start(202, "Switchover scheduled");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("switchover pay --scheduled 2026-09-01T03:00", "", "", "y");

        Assert.Equal(0, ended.ExitCode);
        Assert.Contains(
            "schedule switchover of cluster pay at 2026-09-01T03:00:00+00:00, demoting current leader pg-a?",
            ended.Output, StringComparison.Ordinal);
        Assert.Equal("2026-09-01T03:00:00+00:00",
            JsonNode.Parse(rest.Calls[0].Body)!["scheduled_at"]!.GetValue<string>());
    }

    [Theory]
    [InlineData("switchover pay --force --leader pg-b", "Member pg-b is not the leader of cluster pay")]
    [InlineData("switchover pay --force --candidate pg-a", "Member pg-a is already the leader of cluster pay")]
    [InlineData("switchover pay --force --candidate pg-x",
        "Member pg-x does not exist in cluster pay or is tagged as nofailover")]
    [InlineData("switchover pay --force --scheduled soon", "Unable to parse scheduled timestamp (soon)")]
    [InlineData("switchover pay --force --scheduled 03:00", "Unable to parse scheduled timestamp (03:00)")]
    [InlineData("failover pay --force", "Failover could be performed only to a specific candidate")]
    [InlineData("failover pay --force --candidate pg-a", "Member pg-a is already the leader of cluster pay")]
    public Task A_request_that_can_not_work_is_refused_before_it_is_sent(string commandLine, string error) =>
        Ctl.RefusesAsync(commandLine, error);

    [Fact]
    public async Task A_schedule_is_refused_while_the_cluster_is_paused()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put("config", """{"pause":true}""");

        var ended = await ctl.RunAsync("switchover pay --force --scheduled 2026-09-01T03:00Z");

        Assert.Equal((1, "Error: Can't schedule switchover in the paused state\n"), (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task A_switchover_without_a_leader_points_to_failover()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Delete("leader");

        var ended = await ctl.RunAsync("switchover pay --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Error: This cluster has no leader\nHint: ", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_member_that_may_lead_there_is_nothing_to_do()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember("pg-b", """{"role":"replica","state":"running","tags":{"nofailover":true}}""");

        var ended = await ctl.RunAsync("switchover pay --force");

        Assert.Equal((1, "Error: No candidates found to switchover to\n"), (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task Declining_the_last_question_aborts()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("switchover pay", "", "", "", "maybe", "n");

        Assert.Equal((1, "Error: Aborting switchover\n"), (ended.ExitCode, ended.Error));
        Assert.Contains("Error: invalid input\n", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_end_of_the_input_at_a_prompt_aborts()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("switchover pay");

        Assert.Equal((1, "Aborted!\n"), (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task A_standby_cluster_is_asked_for_its_standby_leader()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put("config", """{"standby_cluster":{"host":"10.9.0.1"}}""");

        var ended = await ctl.RunAsync("switchover pay");

        Assert.EndsWith("Standby Leader [pg-a]: ", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failover_goes_to_the_candidate_when_there_is_no_leader()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(_ =>
        {
            ctl.HandOverTo("pg-b");
            return (200, "Successfully failed over to \"pg-b\"");
        });
        ctl.WithPay();
        ctl.Dcs.Delete("leader");
        ctl.PutMember("pg-b", $$"""{"api_url":"{{rest.ApiUrl}}","role":"replica","state":"running"}""");

        var ended = await ctl.RunAsync("failover pay --force --candidate pg-b");

        Assert.Equal(0, ended.ExitCode);
        Assert.Equal(("POST /failover", """{"candidate":"pg-b"}"""), (rest.Calls[0].Line, rest.Calls[0].Body));
    }

    [Fact]
    public async Task A_failover_to_an_asynchronous_member_needs_a_confirmation_of_its_own()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember("pg-c", """{"role":"replica","state":"running"}""");

        var ended = await ctl.RunAsync("failover pay", "pg-c", "n");

        Assert.EndsWith(
            "Candidate ['pg-b', 'pg-c'] []: Are you sure you want to failover to the asynchronous node pg-c? [y/N]: ",
            ended.Output,
            StringComparison.Ordinal);
        Assert.Equal((1, "Error: Aborting failover\n"), (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task An_ancient_member_that_knows_no_switchover_gets_a_failover()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(call =>
        {
            if (call.Line == "POST /switchover")
            {
                return (501, "Server does not support this operation");
            }
            ctl.HandOverTo("pg-b");
            return (200, "ok");
        });
        ctl.WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("switchover pay --force");

        Assert.Equal(0, ended.ExitCode);
        Assert.Equal(["POST /switchover", "POST /failover"], rest.Calls.Select(call => call.Line));
    }

    [Fact]
    public async Task A_leader_that_does_not_answer_is_bypassed_through_the_DCS()
    {
        var ctl = new Ctl().WithPay($"http://127.0.0.1:{FreePorts.Take()}/patroni");
        var requests = ctl.OnFailoverRequest(() => ctl.HandOverTo("pg-b"));

        var ended = await ctl.RunAsync("switchover pay --force --candidate pg-b");

        Assert.Equal(0, ended.ExitCode);
        Assert.Contains("Could not switchover using Patroni api, falling back to DCS\n", ended.Output,
            StringComparison.Ordinal);
        Assert.Contains("Successfully switched over to \"pg-b\"\n+ Cluster", ended.Output, StringComparison.Ordinal);
        Assert.Equal(("pg-a", "pg-b"), (Assert.Single(requests).Leader, requests[0].Candidate));
        Assert.Contains("ERROR - The member's REST API failed: no answer from", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_in_the_DCS_that_the_cluster_drops_ends_with_1()
    {
        var ctl = new Ctl().WithPay($"http://127.0.0.1:{FreePorts.Take()}/patroni");
        ctl.OnFailoverRequest(() => ctl.Dcs.Put("failover", "{}"));

        var ended = await ctl.RunAsync("switchover pay --force --candidate pg-b");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains(" Switchover failed\n", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_scheduled_request_in_the_DCS_is_shown_and_not_waited_for()
    {
        var ctl = new Ctl().WithPay($"http://127.0.0.1:{FreePorts.Take()}/patroni");

        var ended = await ctl.RunAsync("switchover pay --force --scheduled 2026-09-01T03:00");

        Assert.Equal(0, ended.ExitCode);
        Assert.EndsWith(" Switchover scheduled at: 2026-09-01T03:00:00+00:00\n                    from: pg-a\n",
            ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_result_is_followed_in_the_DCS_until_it_is_known()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(_ =>
        {
            ctl.Dcs.Put("failover", """{"leader":"pg-a","member":"pg-b"}""");
            return (503, "Switchover status unknown after 20 seconds; operation may still be in progress");
        });
        ctl.WithPay(rest.ApiUrl);
        ctl.OnFailoverRequest(() => ctl.HandOverTo("pg-b"));

        var ended = await ctl.RunAsync("switchover pay --force --candidate pg-b");

        Assert.Equal(0, ended.ExitCode);
        Assert.Contains("Switchover result unknown, details: 503, Switchover status unknown after 20 seconds",
            ended.Output, StringComparison.Ordinal);
        Assert.Contains("Successfully switched over to \"pg-b\"", ended.Output, StringComparison.Ordinal);
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
