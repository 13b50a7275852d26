using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class ReadingCommandTests
{
    private const string History = """
        [[1,50331808,"no recovery target specified","2026-07-01T08:15:02.113+02:00","pg-b"],[2,67109024,"no recovery target specified"]]
        """;

    [Fact]
    public async Task The_history_is_a_table_with_short_lines_filled_up()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put("history", History);

        var ended = await ctl.RunAsync("history pay");

        Assert.Equal(
            """
            +----+----------+------------------------------+-------------------------------+------------+
            | TL |      LSN | Reason                       | Timestamp                     | New Leader |
            +----+----------+------------------------------+-------------------------------+------------+
            |  1 | 50331808 | no recovery target specified | 2026-07-01T08:15:02.113+02:00 | pg-b       |
            |  2 | 67109024 | no recovery target specified |                               |            |
            +----+----------+------------------------------+-------------------------------+------------+

            """,
            ended.Output);
    }

    [Fact]
    public async Task The_history_keeps_empty_values_in_json()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put("history", History);

        var ended = await ctl.RunAsync("history pay -f json");

        Assert.EndsWith(
            """{"TL": 2, "LSN": 67109024, "Reason": "no recovery target specified", "Timestamp": "", "New Leader": ""}]""" + "\n",
            ended.Output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cluster_without_history_has_an_empty_table()
    {
        var ctl = new Ctl().WithPay();

        var json = await ctl.RunAsync("history pay -f json");
        var yaml = await ctl.RunAsync("history pay -f yaml");
        var tsv = await ctl.RunAsync("history pay -f tsv");

        Assert.Equal(("[]\n", "[]\n", "TL\tLSN\tReason\tTimestamp\tNew Leader\n"),
            (json.Output, yaml.Output, tsv.Output));
    }

    [Fact]
    public async Task The_dynamic_configuration_is_yaml_with_sorted_keys()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put("config", """
            {"ttl":30,"loop_wait":10,"synchronous_mode":"on","postgresql":{"use_slots":true,"pg_hba":["host all all 0.0.0.0/0 md5","local all all trust"],
             "parameters":{"wal_level":"logical","max_connections":300,"archive_command":"","work_mem":"4MB"}},"slots":{},"ignore_slots":[{"name":"a","type":"logical"}],"nothing":null}
            """);

        var ended = await ctl.RunAsync("show-config pay");

        Assert.Equal(
            """
            ignore_slots:
            - name: a
              type: logical
            loop_wait: 10
            nothing: null
            postgresql:
              parameters:
                archive_command: ''
                max_connections: 300
                wal_level: logical
                work_mem: 4MB
              pg_hba:
              - host all all 0.0.0.0/0 md5
              - local all all trust
              use_slots: true
            slots: {}
            synchronous_mode: 'on'
            ttl: 30

            """,
            ended.Output);
    }

    [Fact]
    public async Task A_cluster_without_configuration_shows_nothing_but_a_hint()
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Delete("config");

        var ended = await ctl.RunAsync("show-config pay");

        Assert.Equal((0, "", "Hint: Cluster pay has no dynamic configuration.\n"),
            (ended.ExitCode, ended.Output, ended.Error));
    }

    [Fact]
    public async Task The_version_alone_needs_no_configuration()
    {
        var ended = await new Ctl().RunAsync("version");

        Assert.Equal((0, "routingctl version 0.1.0\n", ""), (ended.ExitCode, ended.Output, ended.Error));
    }

    [Fact]
    public async Task Members_are_asked_for_their_versions()
    {
        await using var rest =
            RestStub.Start(
                200,
                """{"state":"running","server_version":150006,"patroni":{"version":"4.1.4","scope":"pay","name":"pg-a"}}""");
        var ctl = new Ctl().WithPay(rest.ApiUrl);
        var silent = $"http://127.0.0.1:{FreePorts.Take()}/patroni";
        ctl.PutMember("pg-b", $$"""{"api_url":"{{silent}}","role":"replica","state":"running"}""");

        var all = await ctl.RunAsync("version pay");
        var one = await ctl.RunAsync("version pay pg-a");

        Assert.Equal(0, all.ExitCode);
        Assert.StartsWith(
            $"routingctl version 0.1.0\n\npg-a: Patroni 4.1.4 PostgreSQL 15.6\npg-b: failed to get version: no answer "
                + $"from {silent}: ",
            all.Output,
            StringComparison.Ordinal);
        Assert.Equal("routingctl version 0.1.0\n\npg-a: Patroni 4.1.4 PostgreSQL 15.6\n", one.Output);
        Assert.Equal(["GET /patroni", "GET /patroni"], rest.Calls.Select(call => call.Line));
    }

    [Fact]
    public async Task An_answer_that_names_no_version_is_a_failure_of_that_member()
    {
        await using var rest = RestStub.Start(503, "busy");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("version pay pg-a");

        Assert.Contains("\npg-a: failed to get version: ", ended.Output, StringComparison.Ordinal);
    }
}
