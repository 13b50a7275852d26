namespace Routing.Cli.Tests;

/// <summary><c>demote-cluster</c>, <c>promote-cluster</c>: what is checked, told, and asked of the leader.</summary>
public sealed class ClusterConversionTests
{
    private const string Primary = """{"role":"primary","system_id":"7","timeline":3,"position":"0/5000000","remote":[""";

    private const string Standby =
        """{"role":"standby_leader","system_id":"7","timeline":3,"position":"0/5000100","remote":[""";

    private const string FollowsFar = """{"ttl":30,"standby_cluster":{"host":"far"}}""";

    [Fact]
    public async Task A_demotion_tells_where_the_WAL_ends_and_the_command_for_the_other_side()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(call =>
        {
            if (call.Line == "PATCH /config")
            {
                ctl.Dcs.Put("routing/demotion",
                    """{"lsn":"0/5000110","timeline":3,"system_id":"7","member":"pg-a","at":"2026-01-01T00:00:00Z"}""");
                ctl.Dcs.Put("members/pg-a", MemberKey(null, "standby_leader"));
            }
            return (200, Primary + """{"host":"far","port":5432,"system_id":"7","in_recovery":true,"timeline":3}]}""");
        });
        Lead(ctl, rest, "primary", """{"ttl":30}""");

        var ended = await ctl.RunAsync(
            "demote-cluster pay --host far --port 5432 --primary-slot-name b --restore-command get --yes");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Contains("The WAL ends at 0/5000110 on timeline 3.", ended.Output, StringComparison.Ordinal);
        Assert.Contains("routingctl promote-cluster --lsn 0/5000110 --timeline 3\n", ended.Output,
            StringComparison.Ordinal);
        Assert.Equal("""{"standby_cluster":{"host":"far","port":"5432","restore_command":"get","primary_slot_name":"b"}}""",
            rest.Calls.Single(call => call.Line == "PATCH /config").Body);
    }

    [Theory]
    [InlineData("""{"host":"far","port":5432,"system_id":"8","in_recovery":true}""", "has another database")]
    [InlineData("""{"host":"far","port":5432,"system_id":"7","in_recovery":false}""", "is a primary of this database already")]
    [InlineData("""{"host":"far","port":5432,"problem":"refused"}""", "No server of the remote cluster answers")]
    [InlineData("""{"host":"10.0.0.1","port":5432,"system_id":"7"}""", "is pg-a, a member of this cluster")]
    public async Task A_demotion_is_refused_where_nobody_could_take_over(string remote, string why)
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(200, Primary + remote + "]}");
        Lead(ctl, rest, "primary", """{"ttl":30}""");

        var ended = await ctl.RunAsync("demote-cluster pay --host far --yes");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains(why, ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(rest.Calls, call => call.Line == "PATCH /config");
    }

    [Theory]
    [InlineData("--yes", """{"host":"far","port":5432,"system_id":"7","in_recovery":false}""",
        "still is the primary of this database")]
    [InlineData("--yes", """{"host":"far","port":5432,"problem":"refused"}""", "The other side does not answer")]
    [InlineData("--yes --timeout 1 --lsn 0/6000000", """{"host":"far","port":5432,"problem":"refused"}""",
        "lacks 16776960 bytes of the other side's WAL")]
    [InlineData("--yes --timeout 1 --lsn 0/5000000 --timeline 4", """{"host":"far","port":5432,"problem":"refused"}""",
        "on timeline 3")]
    [InlineData("--yes --timeout 1", """{"host":"far","port":5432,"system_id":"7","in_recovery":true,"position":"0/6000000"}""",
        "lacks 16776960 bytes")]
    public async Task A_promotion_is_refused_unless_the_other_side_has_stopped_and_all_is_here(
        string options, string remote, string why)
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(200, Standby + remote + "]}");
        Lead(ctl, rest, "standby_leader", FollowsFar);

        var ended = await ctl.RunAsync($"promote-cluster pay {options}");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains(why, ended.Error, StringComparison.Ordinal);
        Assert.Contains("With --force it is done all the same", ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(rest.Calls, call => call.Line == "PATCH /config");
    }

    [Theory]
    [InlineData("--yes --lsn 0/5000100 --timeline 3", """{"host":"far","port":5432,"problem":"refused"}""")]
    [InlineData("--yes", """{"host":"far","port":5432,"system_id":"7","in_recovery":true,"timeline":3,"position":"0/5000100"}""")]
    [InlineData("--force", """{"host":"far","port":5432,"system_id":"7","in_recovery":false}""")]
    public async Task A_promotion_takes_the_section_away_and_waits_for_the_primary(string options, string remote)
    {
        var ctl = new Ctl();
        RestStub? stub = null;
        await using var rest = stub = RestStub.Start(call =>
        {
            if (call.Line == "PATCH /config")
            {
                ctl.Dcs.Put("members/pg-a", MemberKey(stub, "primary"));
            }
            return (200, Standby + remote + "]}");
        });
        Lead(ctl, rest, "standby_leader", FollowsFar);

        var ended = await ctl.RunAsync($"promote-cluster pay {options}");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.EndsWith("cluster is successfully promoted\n", ended.Output, StringComparison.Ordinal);
        Assert.Equal(
            options == "--force"
                ? """
                  {"standby_cluster":null,"routing_promote_beside_remote":true}
                  {"routing_promote_beside_remote":null}
                  """
                : """{"standby_cluster":null}""",
            string.Join('\n', rest.Calls.Where(call => call.Line == "PATCH /config").Select(call => call.Body)));
    }

    [Theory]
    [InlineData("--yes", 1)]
    [InlineData("--force", 0)]
    public async Task A_leader_that_waits_for_the_other_side_is_promoted_by_force_alone(string options, int code)
    {
        var ctl = new Ctl();
        RestStub? stub = null;
        await using var rest = stub = RestStub.Start(call =>
        {
            if (call.Line == "PATCH /config")
            {
                ctl.Dcs.Put("members/pg-a", MemberKey(stub, "primary"));
            }
            return (200, "{}");
        });
        Lead(ctl, rest, "standby_leader", """{"ttl":30}""");

        var ended = await ctl.RunAsync($"promote-cluster pay {options}");

        Assert.Equal(code, ended.ExitCode);
        Assert.Contains("still is a primary. First there: routingctl demote-cluster", ended.Output + ended.Error,
            StringComparison.Ordinal);
        Assert.Equal(code == 0, rest.Calls.Any(call => call.Line == "PATCH /config"));
    }

    [Theory]
    [InlineData("promote-cluster pay --yes", "primary", """{"ttl":30}""", "Cluster is already in the required state")]
    [InlineData("demote-cluster pay --host far --yes", "standby_leader", FollowsFar,
        "Cluster is already in the required state")]
    [InlineData("promote-cluster pay --yes", "standby_leader", """{"pause":true,"standby_cluster":{"host":"far"}}""",
        "Cluster is paused")]
    [InlineData("demote-cluster pay --host far --yes", "primary", """{"pause":true}""", "Cluster is paused")]
    [InlineData("demote-cluster pay --primary-slot-name s", "primary", "{}",
        "At least --host, --port or --restore-command should be specified")]
    [InlineData("promote-cluster pay --lsn x", "primary", "{}", "'x' is no WAL position")]
    public async Task What_makes_no_sense_is_said(string commandLine, string role, string config, string why)
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(200, "{}");
        Lead(ctl, rest, role, config);

        var ended = await ctl.RunAsync(commandLine);

        Assert.NotEqual(0, ended.ExitCode);
        Assert.Contains(why, ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_demotion_whose_command_was_killed_is_waited_for_and_told_by_the_next_one()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(200, "{}");
        Lead(ctl, rest, "primary", FollowsFar);
        var next = ctl.RunAsync("demote-cluster pay --host far --yes");
        ctl.Dcs.Put("routing/demotion", "{\"lsn\":\"0/5000110\",\"timeline\":3}");
        ctl.Dcs.Put("members/pg-a", MemberKey(rest, "standby_leader"));

        var ended = await next;

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Contains("promote-cluster --lsn 0/5000110 --timeline 3", ended.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(rest.Calls, call => call.Line == "PATCH /config");
    }

    [Theory]
    [InlineData(3, true)]
    [InlineData(2, false)]   // of an earlier demotion: the cluster has been the primary again since
    public async Task What_is_demoted_already_tells_its_end_again(int timeline, bool isTold)
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(200, "{}");
        Lead(ctl, rest, "standby_leader", FollowsFar);
        ctl.Dcs.Put("routing/demotion", $"{{\"lsn\":\"0/5000110\",\"timeline\":{timeline}}}");

        var ended = await ctl.RunAsync("demote-cluster pay --host far --yes");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("already in the required state", ended.Error, StringComparison.Ordinal);
        Assert.Equal(isTold,
            ended.Error.Contains("promote-cluster --lsn 0/5000110 --timeline 3", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_a_killed_promotion_has_left_does_not_allow_the_next_one()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(200,
            Primary + "{\"host\":\"far\",\"port\":5432,\"system_id\":\"7\",\"in_recovery\":true,\"timeline\":3}]}");
        Lead(ctl, rest, "primary", "{\"routing_promote_beside_remote\":true}");

        var dry = await ctl.RunAsync("demote-cluster pay --host far --dry-run");

        Assert.Contains("{\"standby_cluster\":{\"host\":\"far\"},\"routing_promote_beside_remote\":null}", dry.Output,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("demote-cluster pay --host far --force", "primary", """{"ttl":30}""", "standby_leader")]
    [InlineData("promote-cluster pay --force", "standby_leader", FollowsFar, "primary")]
    public async Task Force_goes_on_against_the_checks_and_tells_them(
        string commandLine, string role, string config, string then)
    {
        var ctl = new Ctl();
        RestStub? stub = null;
        await using var rest = stub = RestStub.Start(call =>
        {
            if (call.Line == "PATCH /config")
            {
                ctl.Dcs.Put("routing/demotion", """{"lsn":"0/5000110","timeline":3}""");
                ctl.Dcs.Put("members/pg-a", MemberKey(stub, then));
            }
            return (200, Primary + """{"host":"far","port":5432,"system_id":"7","in_recovery":false}]}""");
        });
        Lead(ctl, rest, role, config);

        var ended = await ctl.RunAsync(commandLine);

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Contains("Forced, though far:5432 ", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_changes_nothing_and_a_question_can_be_declined()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(200, Standby
            + """{"host":"far","port":5432,"system_id":"7","in_recovery":true,"timeline":3,"position":"0/5000100"}]}""");
        Lead(ctl, rest, "standby_leader", FollowsFar);

        var dry = await ctl.RunAsync("promote-cluster pay --dry-run");

        Assert.Equal(0, dry.ExitCode);
        Assert.Contains("""Dry run: pg-a would get PATCH /config {"standby_cluster":null}""", dry.Output,
            StringComparison.Ordinal);
        Assert.DoesNotContain(rest.Calls, call => call.Line == "PATCH /config");
    }

    private static void Lead(Ctl ctl, RestStub rest, string role, string config)
    {
        ctl.Variables["DCS_URL"] = "localhost";
        ctl.Dcs.Put("config", config);
        ctl.Dcs.Put("initialize", "7");
        ctl.Dcs.Put("members/pg-a", MemberKey(rest, role));
        ctl.Dcs.Put("leader", "pg-a");
    }

    private static string MemberKey(RestStub? rest, string role) =>
        $$"""{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"{{rest?.ApiUrl ?? "http://127.0.0.1:1/patroni"}}","state":"running","role":"{{role}}","timeline":3}""";
}
