using System.Text.Json.Nodes;
using Routing.Cluster;

namespace Routing.Cli.Tests;

/// <summary><c>restore</c>: what is said before anything happens, and what is written.</summary>
public sealed class RestoreTests
{
    private const string Repository = """
        {"member": "pg-a", "time": "2026-08-01T12:00:00Z", "stanza": "pay", "problem": null, "maximum_age": 93600,
         "backups": [
           {"label": "20260731-030000F", "type": "full", "stop": "2026-07-31T03:10:00Z", "stop_lsn": "0/3000100",
            "timeline": 1, "size": 1},
           {"label": "20260801-030000F", "type": "full", "stop": "2026-08-01T03:10:00Z", "stop_lsn": "0/4000100",
            "timeline": 1, "size": 1}],
         "first_wal": "000000010000000000000002", "last_wal": "000000010000000000000006", "archiver": null}
        """;

    [Fact]
    public async Task A_dry_run_says_what_is_lost_and_which_backup_is_taken_and_writes_nothing()
    {
        await using var rest = RestStub.Start(200, Repository);
        var ctl = Pay(rest.ApiUrl);

        var ended = await ctl.RunAsync(
            ["restore", "pay", "--to", "2026-08-01 03:00:00+00", "--dry-run"], [],
            TestContext.Current.CancellationToken);

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Contains("It begins with the backup 20260731-030000F (full)", ended.Output, StringComparison.Ordinal);
        Assert.Contains("Lost is what was committed in the 32400 s since then.", ended.Output,
            StringComparison.Ordinal);
        Assert.Contains("this was a dry run", ended.Output, StringComparison.Ordinal);
        Assert.Null(RequestOf(ctl));
    }

    [Fact]
    public async Task The_request_names_the_leader_and_the_target_in_universal_time()
    {
        await using var rest = RestStub.Start(200, Repository);
        var ctl = Pay(rest.ApiUrl);

        var ended = await ctl.RunAsync(
            ["restore", "pay", "--to", "2026-08-01 06:00:00+02", "--no-wait"], ["y"],
            TestContext.Current.CancellationToken);

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal(
            """{"id":"20260801-120000","member":"pg-a","type":"time","target":"2026-08-01 04:00:00.000000+00","phase":"requested","backup":"20260801-030000F"}""",
            RequestOf(ctl));

        var again = await ctl.RunAsync("restore pay --to 0/5000000 --force --no-wait");
        Assert.Equal(1, again.ExitCode);
        Assert.Contains("is under way on pg-a", again.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--to 2026-08-01T03:10:00.5Z", "20260731-030000F")]   // the newest one may have ended at 03:10:00.9
    [InlineData("--to 2026-08-01T03:10:01Z", "20260801-030000F")]
    [InlineData("--to 2026-07-31T03:10:00.5Z", "20260731-030000F")]   // it is the only one: PostgreSQL judges
    [InlineData("--to 0/4000100", "20260801-030000F")]
    [InlineData("--to 0/40000FF", "20260731-030000F")]
    [InlineData("--to immediate", "20260801-030000F")]
    [InlineData("--to before_update --type name", null)]
    [InlineData("--to before_update --type name --backup 20260731-030000F", "20260731-030000F")]
    public async Task The_request_names_the_backup_that_the_plan_has_shown(string options, string? label)
    {
        await using var rest = RestStub.Start(200, Repository);
        var ctl = Pay(rest.ApiUrl);

        var ended = await ctl.RunAsync($"restore pay --force --no-wait {options}");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal(label, (string?)JsonNode.Parse(RequestOf(ctl)!)!["backup"]);
    }

    [Theory]
    [InlineData("0/3800000", "20260731-030000F")]   // the newer backup belongs to what an earlier restore has left
    [InlineData("0/4800000", "20260801-030000F")]
    public async Task A_backup_of_a_future_that_was_left_is_not_taken(string switchPoint, string label)
    {
        await using var rest = RestStub.Start(200, Repository);
        var ctl = Pay(rest.ApiUrl, timeline: 2);
        ctl.Dcs.Put("history", $"[[1,{Lsn.Parse(switchPoint).Value},\"before 2026-08-01 01:00:00+00\"]]");

        var ended = await ctl.RunAsync("restore pay --force --no-wait --to 2026-08-01T11:00:00Z");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal(label, (string?)JsonNode.Parse(RequestOf(ctl)!)!["backup"]);
    }

    [Theory]
    [InlineData("--to 2026-07-01T00:00:00Z", "the repository does not cover time 2026-07-01")]
    [InlineData("--to 2026-09-01T00:00:00Z", "is in the future")]
    [InlineData("--to 0/1000000", "the repository does not cover lsn 0/1000000")]
    [InlineData("--to yesterday", "'yesterday' is no time and no LSN")]
    [InlineData("--to 0/5000000 --backup 20200101-000000F", "the repository has no backup 20200101-000000F")]
    [InlineData("--to 0/5000000 --timeline 9", "the cluster is on timeline 1 and has none 9")]
    [InlineData("", "What to go back to is missing")]
    [InlineData("--follow", "No restore is under way")]
    [InlineData("--call-off", "No restore is under way")]
    public async Task What_cannot_be_done_is_said(string options, string problem)
    {
        await using var rest = RestStub.Start(200, Repository);
        var ctl = Pay(rest.ApiUrl);

        var ended = await ctl.RunAsync($"restore pay --force {options}".TrimEnd());

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains(problem, ended.Error, StringComparison.Ordinal);
        Assert.Null(RequestOf(ctl));
    }

    [Fact]
    public async Task A_member_that_runs_Patroni_could_take_the_key_so_it_is_refused()
    {
        await using var rest = RestStub.Start(200, Repository);
        var ctl = Pay(rest.ApiUrl);
        ctl.PutStandby("http://127.0.0.1:1/patroni");

        var ended = await ctl.RunAsync("restore pay --to 0/5000000 --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("pg-b does not run routing-agent", ended.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("restoring", "", 0, "failed")]
    [InlineData("promoting", "", 1, "promoting")]
    [InlineData("promoting", "--force", 0, "failed")]
    public async Task It_is_called_off_while_that_is_possible(string phase, string options, int code, string then)
    {
        var ctl = Pay("http://127.0.0.1:1/patroni");
        ctl.Dcs.Put("routing/restore",
            $$"""{"id": "1", "member": "pg-a", "type": "lsn", "target": "0/5000000", "phase": "{{phase}}"}""");

        var ended = await ctl.RunAsync($"restore pay --call-off {options}".TrimEnd());

        Assert.Equal(code, ended.ExitCode);
        Assert.Contains($"\"phase\":\"{then}\"", RequestOf(ctl)!.Replace(" ", ""),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("promoted", 1, "[]")]
    [InlineData("promoting", 1, "[]")]
    [InlineData("promoted", 2, "83886080")]   // it follows the restored member, and may lead in its place
    public async Task The_others_can_lead_when_a_promoted_one_is_given_up(string phase, uint timeline, string history)
    {
        var ctl = Pay("http://127.0.0.1:1/patroni", timeline: 2);
        ctl.PutMember("pg-b", $$"""
            {"api_url": "http://127.0.0.1:2/patroni", "state": "running", "role": "replica",
             "timeline": {{timeline}}, "routing": {"version": "1", "fence": true} }
            """);
        ctl.Dcs.Put("history", """[[1, 83886080, "before 0/5000000", "2026-11-30T14:00:00+00:00", "pg-a"]]""");
        ctl.Dcs.Put("routing/restore",
            $$"""{"id": "1", "member": "pg-a", "type": "lsn", "target": "0/5000000", "phase": "{{phase}}"}""");

        var ended = await ctl.RunAsync("restore pay --call-off --force");

        Assert.Equal(0, ended.ExitCode);
        Assert.Contains(history, ctl.Dcs.Keys[ClusterKeys.History].Value, StringComparison.Ordinal);
    }

    private static string? RequestOf(Ctl ctl) =>
        ctl.Dcs.Keys.TryGetValue(ClusterKeys.Restore, out var key) ? key.Value : null;

    private static Ctl Pay(string apiUrl, uint timeline = 1)
    {
        var ctl = new Ctl { Variables = { ["DCS_URL"] = "localhost" } };
        ctl.Dcs.Put("leader", "pg-a");
        ctl.Dcs.Put("status", """{"optime": 100663296}""");
        ctl.PutMember("pg-a", $$"""
            {"api_url": "{{apiUrl}}", "state": "running", "role": "primary", "timeline": {{timeline}},
             "routing": {"version": "1", "fence": true} }
            """);
        return ctl;
    }
}
