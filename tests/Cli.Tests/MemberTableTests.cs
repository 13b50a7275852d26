using System.Text.Json.Nodes;

namespace Routing.Cli.Tests;

public sealed class MemberTableTests
{
    [Fact]
    public async Task The_pretty_table_has_the_title_in_its_border_and_empty_cells_for_the_leader()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("list pay");

        Assert.Equal(
            """
            + Cluster: pay (7412345678901234567) -+-----------+----+-------------+-----+------------+-----+
            | Member | Host      | Role           | State     | TL | Receive LSN | Lag | Replay LSN | Lag |
            +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+
            | pg-a   | 10.1.0.11 | Leader         | running   |  4 |             |     |            |     |
            | pg-b   | 10.1.0.12 | Quorum Standby | streaming |  4 |   0/7000148 |   0 |  0/7000148 |   0 |
            +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+

            """,
            ended.Output);
        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
    }

    [Fact]
    public async Task Json_is_one_line_without_empty_values()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("list pay -f json");

        Assert.Equal(
            """[{"Cluster": "pay", "Member": "pg-a", "Host": "10.1.0.11", "Role": "Leader", "State": "running", "TL": 4}, """
            + """{"Cluster": "pay", "Member": "pg-b", "Host": "10.1.0.12", "Role": "Quorum Standby", "State": "streaming", "TL": 4,"""
            + """ "Receive LSN": "0/7000148", "Receive Lag": 0, "Replay LSN": "0/7000148", "Replay Lag": 0}]"""
            + "\n",
            ended.Output);
    }

    [Fact]
    public async Task Tsv_has_a_header_line_and_the_cluster_in_the_first_column()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("list pay --format tsv");

        Assert.Equal(
            "Cluster\tMember\tHost\tRole\tState\tTL\tReceive LSN\tReceive Lag\tReplay LSN\tReplay Lag\n"
            + "pay\tpg-a\t10.1.0.11\tLeader\trunning\t4\t\t\t\t\n"
            + "pay\tpg-b\t10.1.0.12\tQuorum Standby\tstreaming\t4\t0/7000148\t0\t0/7000148\t0\n",
            ended.Output);
    }

    [Theory]
    [InlineData("yaml")]
    [InlineData("yml")]
    public async Task Yaml_is_a_block_list_with_sorted_keys(string format)
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync($"list pay -f {format}");

        Assert.Equal(
            """
            - Cluster: pay
              Host: 10.1.0.11
              Member: pg-a
              Role: Leader
              State: running
              TL: 4
            - Cluster: pay
              Host: 10.1.0.12
              Member: pg-b
              Receive LSN: 0/7000148
              Receive Lag: 0
              Replay LSN: 0/7000148
              Replay Lag: 0
              Role: Quorum Standby
              State: streaming
              TL: 4

            """,
            ended.Output);
    }

    [Fact]
    public async Task Hosts_show_their_port_when_one_is_not_the_usual_one()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember(
            "pg-c", """{"conn_url":"postgres://[fd00::3]:5433/postgres","state":"running","role":"replica"}""");

        var ended = await ctl.RunAsync("list pay -f json");

        Assert.Equal(["10.1.0.11:5432", "10.1.0.12:5432", "[fd00::3]:5433"], Values(ended, "Host"));
    }

    [Fact]
    public async Task Hosts_show_their_port_when_two_members_share_a_host()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember("pg-c", """{"conn_url":"postgres://10.1.0.12/postgres","state":"running","role":"replica"}""");

        var ended = await ctl.RunAsync("list pay -f json");

        Assert.Equal(["10.1.0.11:5432", "10.1.0.12:5432", "10.1.0.12:5432"], Values(ended, "Host"));
    }

    [Fact]
    public async Task Tags_stand_as_yaml_block_and_lines_part_the_rows()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember("pg-b", """
            {"conn_url":"postgres://10.1.0.12:5432/postgres","state":"running","role":"replica","timeline":4,
             "receive_lsn":117440840,"replay_lsn":12582840,"replication_state":"streaming","tags":{"nofailover":true,"dc":"west"}}
            """);

        var ended = await ctl.RunAsync("list pay");

        Assert.Equal(
            """
            + Cluster: pay (7412345678901234567) -+-----------+----+-------------+-----+------------+-----+------------------+
            | Member | Host      | Role           | State     | TL | Receive LSN | Lag | Replay LSN | Lag | Tags             |
            +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+------------------+
            | pg-a   | 10.1.0.11 | Leader         | running   |  4 |             |     |            |     |                  |
            +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+------------------+
            | pg-b   | 10.1.0.12 | Quorum Standby | streaming |  4 |   0/7000148 |   0 |   0/BFFFB8 | 100 | dc: west         |
            |        |           |                |           |    |             |     |            |     | nofailover: true |
            +--------+-----------+----------------+-----------+----+-------------+-----+------------+-----+------------------+

            """,
            ended.Output);
    }

    [Fact]
    public async Task Tags_are_an_object_in_json_and_flow_yaml_in_tsv()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember(
            "pg-b",
            """{"conn_url":"postgres://10.1.0.12:5432/postgres","role":"replica","tags":{"dc":"west","failover_priority":2}}""");

        var json = await ctl.RunAsync("list pay -f json");
        var tsv = await ctl.RunAsync("list pay -f tsv");

        Assert.EndsWith("\"Tags\": {\"dc\": \"west\", \"failover_priority\": 2}}]\n", json.Output,
            StringComparison.Ordinal);
        Assert.EndsWith("\t{dc: west, failover_priority: 2}\n", tsv.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pending_and_scheduled_restarts_have_their_columns_and_long_reasons_are_hidden_from_people()
    {
        var ctl = new Ctl().WithPay();
        var libraries = new string('x', 60);
        ctl.PutMember("pg-b", $$$"""
            {"conn_url":"postgres://10.1.0.12:5432/postgres","role":"replica","pending_restart":true,
             "pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"},
               "shared_preload_libraries":{"old_value":"","new_value":"{{{libraries}}}"}},
             "scheduled_restart":{"schedule":"2026-09-01T03:00:00+00:00","postgres_version":"15.7"}}
            """);

        var pretty = await ctl.RunAsync("list pay");
        var tsv = await ctl.RunAsync("list pay -f tsv");

        Assert.Contains(" | Pending restart | Pending restart reason                        | Scheduled restart  ",
            pretty.Output, StringComparison.Ordinal);
        Assert.Contains(
            " | *               | max_connections: 100->200                     | 2026-09-01T03:00:00+00:00 if "
                + "version < 15.7 |", pretty.Output, StringComparison.Ordinal);
        Assert.Contains("shared_preload_libraries: [hidden - too long]", pretty.Output, StringComparison.Ordinal);
        Assert.Contains($"\t*\tmax_connections: 100->200; shared_preload_libraries: ->{libraries}\t", tsv.Output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Extended_shows_the_optional_columns_though_they_are_empty()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("list -e pay -f tsv");

        Assert.StartsWith(
            "Cluster\tMember\tHost\tRole\tState\tTL\tReceive LSN\tReceive Lag\tReplay LSN\tReplay Lag\t"
            + "Pending restart\tPending restart reason\tScheduled restart\tTags\n",
            ended.Output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_member_without_positions_shows_unknown_and_no_lag()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember("pg-b",
            """{"conn_url":"postgres://10.1.0.12:5432/postgres","state":"creating replica","role":"uninitialized"}""");

        var ended = await ctl.RunAsync("list pay -f tsv");

        Assert.EndsWith("pay\tpg-b\t10.1.0.12\tQuorum Standby\tcreating replica\t\tunknown\t\tunknown\t\n",
            ended.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"replication_state\":\"streaming\",", "streaming\t\t0/7000148\t0\t\t")]
    [InlineData("", "running\t\t\t\t0/7000148\t0")]
    public async Task An_older_member_has_one_position_in_the_column_that_fits(string state, string cells)
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember("pg-b", $$"""
            {"conn_url":"postgres://10.1.0.12:5432/postgres","state":"running","role":"replica",{{state}}"xlog_location":117440840}
            """);

        var ended = await ctl.RunAsync("list pay -f tsv");

        Assert.EndsWith($"\t{cells}\n", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Maintenance_mode_and_a_scheduled_switchover_stand_below_the_table_for_people_only()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put("config", """{"pause":true}""");
        ctl.Dcs.Put("failover", """{"leader":"pg-a","member":"pg-b","scheduled_at":"2026-09-01T03:00:00+00:00"}""");

        var pretty = await ctl.RunAsync("list pay");
        var json = await ctl.RunAsync("list pay -f json");

        Assert.EndsWith(
            """
            +
             Maintenance mode: on
             Switchover scheduled at: 2026-09-01T03:00:00+00:00
                                from: pg-a
                                  to: pg-b

            """,
            pretty.Output,
            StringComparison.Ordinal);
        Assert.Single(json.Output.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public async Task An_unknown_cluster_is_an_empty_table_and_a_hint()
    {
        var ctl = new Ctl();

        var ended = await ctl.RunAsync("-d localhost/db list nobody");

        Assert.Equal(
            """
            + Cluster: nobody (uninitialized) --+-------------+-----+------------+-----+
            | Member | Host | Role | State | TL | Receive LSN | Lag | Replay LSN | Lag |
            +--------+------+------+-------+----+-------------+-----+------------+-----+
            +--------+------+------+-------+----+-------------+-----+------------+-----+

            """,
            ended.Output);
        Assert.Contains("Hint: There is nothing below /db/nobody/", ended.Error, StringComparison.Ordinal);
        Assert.Equal(0, ended.ExitCode);
    }

    [Fact]
    public async Task A_cluster_that_bootstraps_says_so_in_the_title()
    {
        var ctl = new Ctl();
        ctl.Dcs.Put("initialize", "");

        var ended = await ctl.RunAsync("-d localhost list young");

        Assert.StartsWith("+ Cluster: young (initializing) --", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_citus_group_has_a_column_and_its_own_title_and_path()
    {
        var ctl = new Ctl().WithPay();

        var pretty = await ctl.RunAsync("list pay --group 0");
        var tsv = await ctl.RunAsync("list pay --group 0 -f tsv");

        Assert.StartsWith("+ Citus cluster: pay (group: 0, 7412345678901234567) ", pretty.Output,
            StringComparison.Ordinal);
        Assert.StartsWith("Cluster\tGroup\tMember\t", tsv.Output, StringComparison.Ordinal);
        Assert.Contains("\npay\t0\tpg-a\t", tsv.Output, StringComparison.Ordinal);
        Assert.All(ctl.Opened, opened => Assert.Equal("/service/pay/0", opened.BasePath));
    }

    [Fact]
    public async Task The_topology_shows_who_streams_from_whom()
    {
        var ctl = new Ctl().WithPay();
        ctl.PutMember("pg-c",
            """{"conn_url":"postgres://10.1.0.13:5432/postgres","role":"replica","tags":{"replicatefrom":"pg-b"}}""");
        ctl.PutMember("pg-d",
            """{"conn_url":"postgres://10.1.0.14:5432/postgres","role":"replica","tags":{"replicatefrom":"pg-a"}}""");

        var ended = await ctl.RunAsync("topology pay");

        Assert.Equal(["pg-a", "+ pg-b", "  + pg-c", "+ pg-d"], MemberColumn(ended));
        Assert.Contains("| {replicatefrom: pg-b} |", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_topology_without_a_leader_puts_everybody_one_level_down_and_loses_nobody_in_a_circle()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Delete("leader");
        ctl.PutMember("pg-c",
            """{"conn_url":"postgres://10.1.0.13:5432/postgres","role":"replica","tags":{"replicatefrom":"pg-d"}}""");
        ctl.PutMember("pg-d",
            """{"conn_url":"postgres://10.1.0.14:5432/postgres","role":"replica","tags":{"replicatefrom":"pg-c"}}""");

        var ended = await ctl.RunAsync("topology pay");

        Assert.Equal(["+ pg-a", "+ pg-b", "+ pg-c", "+ pg-d"], MemberColumn(ended));
    }

    [Fact]
    public async Task Several_clusters_are_listed_one_after_the_other_below_the_time()
    {
        var ctl = new Ctl().WithPay();

        var ended = await ctl.RunAsync("list -t pay shop");

        Assert.StartsWith("2026-08-01 12:00:00\n+ Cluster: pay (", ended.Output, StringComparison.Ordinal);
        Assert.Contains("\n+ Cluster: shop (", ended.Output, StringComparison.Ordinal);
        Assert.Equal(["/service/pay", "/service/shop"], ctl.Opened.Select(opened => opened.BasePath));
    }

    [Fact]
    public async Task Without_a_name_and_a_scope_a_warning_is_logged()
    {
        var ctl = new Ctl();

        var ended = await ctl.RunAsync("-d localhost list");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Output));
        Assert.Contains("WARNING - Nothing to list", ended.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("creating replica")]
    [InlineData("initializing new cluster")]
    [InlineData("running custom bootstrap script")]
    public async Task A_member_that_makes_a_copy_is_asked_how_far_it_is(string state)
    {
        await using var rest = RestStub.Start(
            200,
            """{"state":"creating replica","routing":{"job":{"progress":"512 MB of 2 GB copied, 64 MB/s, 24 s left"}}}""");
        var ctl = new Ctl().WithPay(apiOfLeader: rest.ApiUrl, apiOfStandby: rest.ApiUrl);

        var before = await ctl.RunAsync("list pay -f json");
        ctl.PutMember("pg-b", $$"""
            {"conn_url":"postgres://10.1.0.12/postgres","api_url":"{{rest.ApiUrl}}","role":"replica",
             "state":"{{state}}"}
            """);
        var during = await ctl.RunAsync("list pay -f json");
        var silent = await ctl.RunAsync("list pay");

        Assert.DoesNotContain("Progress", before.Output, StringComparison.Ordinal);
        Assert.EndsWith(
            $$""" "State": "{{state}}", "Receive LSN": "unknown", "Replay LSN": "unknown","""
            + """ "Progress": "512 MB of 2 GB copied, 64 MB/s, 24 s left"}]""" + "\n",
            during.Output,
            StringComparison.Ordinal);
        Assert.Contains("| Progress ", silent.Output, StringComparison.Ordinal);
        Assert.Equal(["GET /patroni", "GET /patroni"], rest.Calls.Select(call => call.Line));
    }

    /// <summary>A start that replays for long is told; a short one has nothing to tell.</summary>
    [Theory]
    [InlineData("""{"progress":"starting: replayed 1.0 GB","bytes":1073741824}""", "starting: replayed 1.0 GB")]
    [InlineData("""{"progress":"started"}""", null)]
    public async Task A_member_that_starts_is_asked_how_far_it_has_replayed(string job, string? told)
    {
        await using var rest = RestStub.Start(200, $$$"""{"state":"starting","routing":{"job":{{{job}}}}}""");
        var ctl = new Ctl().WithPay(apiOfLeader: rest.ApiUrl, apiOfStandby: rest.ApiUrl);
        ctl.PutMember("pg-b", $$"""
            {"conn_url":"postgres://10.1.0.12/postgres","api_url":"{{rest.ApiUrl}}","role":"replica",
             "state":"starting"}
            """);

        var list = await ctl.RunAsync("list pay -f json");

        Assert.Equal([null, told], Values(list, "Progress"));
    }

    private static IEnumerable<string?> Values(Ctl.Ended ended, string key) =>
        JsonNode.Parse(ended.Output)!.AsArray().Select(row => row![key]?.ToString());

    private static IEnumerable<string> MemberColumn(Ctl.Ended ended) =>
        ended.Output.Split('\n').Where(line => line.StartsWith('|')).Skip(1)
            .Select(line => line.Split('|')[1][1..].TrimEnd());
}
