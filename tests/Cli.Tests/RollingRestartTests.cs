using System.Globalization;
using System.Text.Json.Nodes;

namespace Routing.Cli.Tests;

public sealed class RollingRestartTests
{
    [Fact]
    public async Task Standbys_are_restarted_then_the_leader_hands_over_and_comes_back()
    {
        await using var pay = new Pay();

        var ended = await pay.Ctl.RunAsync("rolling-restart pay", "y");

        Assert.Equal((0, ""), (ended.ExitCode, ended.Error));
        Assert.Equal(["pg-b POST /restart", "pg-a POST /switchover"], pay.Actions);
        Assert.Contains(
            "Are you sure you want to restart cluster pay in this order: pg-b, a switchover to pg-b, pg-a? [y/N]: "
            + "2026-08-01 12:00:00.00000 Restarting pg-b\n2026-08-01 12:00:00.00000 pg-b is well again\n",
            ended.Output,
            StringComparison.Ordinal);
        Assert.Contains(
            "2026-08-01 12:00:00.00000 pg-a comes back as a standby\n2026-08-01 12:00:00.00000 pg-a is well again\n",
            ended.Output, StringComparison.Ordinal);
        Assert.EndsWith("-+\nSuccess: rolling restart of cluster pay\n", ended.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_those_that_wait_for_a_restart_when_it_is_asked_so()
    {
        await using var pay = new Pay();

        var none = await pay.Ctl.RunAsync("rolling-restart pay --pending --force");
        pay.Ctl.PutStandby(pay.Standby.ApiUrl, ""","pending_restart":true""");
        var one = await pay.Ctl.RunAsync("rolling-restart pay --pending --force");

        Assert.Equal(new(0, "No member waits for a restart\n", ""), none);
        Assert.Equal(0, one.ExitCode);
        Assert.Equal(["pg-b POST /restart {\"restart_pending\":true}"], pay.ActionsWithBody);
    }

    [Fact]
    public async Task The_leader_is_restarted_in_its_place_on_demand()
    {
        await using var pay = new Pay();

        var ended = await pay.Ctl.RunAsync("rolling-restart pay --no-switchover --force");

        Assert.Equal(0, ended.ExitCode);
        Assert.Equal(["pg-b POST /restart", "pg-a POST /restart"], pay.Actions);
    }

    [Theory]
    [InlineData("it does not stream", "replication_state", "null")]
    [InlineData("it is on timeline 3, the leader on 4", "timeline", "3")]
    [InlineData("its PostgreSQL is starting", "state", "\"starting\"")]
    [InlineData("it lacks 17440840 bytes", "xlog", """{"received_location":100000000,"replayed_location":100000000}""")]
    public async Task It_does_not_begin_while_a_member_is_not_well(string problem, string field, string value)
    {
        await using var pay = new Pay();
        pay.StandbyStatus[field] = JsonNode.Parse(value);

        var ended = await pay.Ctl.RunAsync("rolling-restart pay --force");

        Assert.Equal((1, $"Error: pg-b is not well: {problem}\nHint: Nothing was restarted. See routingctl check.\n"),
            (ended.ExitCode, ended.Error));
        Assert.Empty(pay.Actions);
    }

    [Fact]
    public async Task It_stops_at_the_first_member_that_does_not_come_back()
    {
        await using var pay = new Pay();
        pay.OnRestartOfStandby = () => pay.StandbyStatus["replication_state"] = null;

        var ended = await pay.Ctl.RunAsync("rolling-restart pay --force --timeout 1");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Error: Stopped: pg-b is not well after 1 s: it does not stream\n", ended.Error,
            StringComparison.Ordinal);
        Assert.Equal(["pg-b POST /restart"], pay.Actions);
    }

    [Fact]
    public async Task It_waits_until_a_synchronous_standby_is_synchronous_again()
    {
        await using var pay = new Pay();
        pay.OnRestartOfStandby = () => pay.Ctl.Dcs.Put("sync", """{"leader":"pg-a","quorum":0,"sync_standby":null}""");

        var ended = await pay.Ctl.RunAsync("rolling-restart pay --force --timeout 1");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("Error: Stopped: pg-b is not well after 1 s: it is not synchronous again\n", ended.Error,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_restart_that_fails_stops_it_and_so_does_a_server_that_was_not_restarted()
    {
        await using var pay = new Pay { Answer = (503, "restart failed") };

        var failed = await pay.Ctl.RunAsync("rolling-restart pay --force --timeout 1");
        pay.Answer = (200, "restarted successfully");
        pay.IsLying = true;
        var lied = await pay.Ctl.RunAsync("rolling-restart pay --force --timeout 1");

        Assert.StartsWith("Error: Stopped: restart for member pg-b failed, status code=503, (restart failed)\n",
            failed.Error, StringComparison.Ordinal);
        Assert.StartsWith("Error: Stopped: pg-b is not well after 1 s: its PostgreSQL was not restarted\n", lied.Error,
            StringComparison.Ordinal);
        Assert.Equal((1, 1), (failed.ExitCode, lied.ExitCode));
    }

    [Theory]
    [InlineData("leader", null, "This cluster has no leader")]
    [InlineData("config", """{"pause":true}""", "The cluster is paused")]
    [InlineData("sync", """{"leader":"pg-a","sync_standby":null}""", "No member could take over from the leader")]
    public async Task What_can_not_work_is_refused(string key, string? value, string error)
    {
        await using var pay = new Pay();
        if (value is null)
        {
            pay.Ctl.Dcs.Delete(key);
        }
        else
        {
            pay.Ctl.Dcs.Put(key, value);
        }

        var ended = await pay.Ctl.RunAsync("rolling-restart pay --force");

        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith($"Error: {error}\n", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_shows_the_order()
    {
        await using var pay = new Pay();

        var ended = await pay.Ctl.RunAsync("rolling-restart pay --dry-run");

        Assert.Equal(new(0, "Dry run: would be restarted in this order: pg-b, a switchover to pg-b, pg-a\n", ""),
            ended);
        Assert.Empty(pay.Actions);
    }

    /// <summary>A primary and a standby that can be restarted and switched over.</summary>
    private sealed class Pay : IAsyncDisposable
    {
        private readonly List<string> _actions = [];
        private int _starts;

        public Pay()
        {
            LeaderStatus = Status("primary", """{"location":117440840}""");
            StandbyStatus = Status("replica", """{"received_location":117440840,"replayed_location":117440840}""");
            StandbyStatus["replication_state"] = "streaming";
            Leader = RestStub.Start(call => Handle("pg-a", LeaderStatus, call));
            Standby = RestStub.Start(call => Handle("pg-b", StandbyStatus, call));
            Ctl = new Ctl().WithPay(Leader.ApiUrl, Standby.ApiUrl);
        }

        public Ctl Ctl { get; }

        public RestStub Leader { get; }

        public RestStub Standby { get; }

        public JsonObject LeaderStatus { get; private set; }

        public JsonObject StandbyStatus { get; private set; }

        public (int Status, string Text) Answer { get; set; } = (200, "restarted successfully");

        public bool IsLying { get; set; }

        public Action OnRestartOfStandby { get; set; } = () => { };

        public IEnumerable<string> ActionsWithBody => _actions;

        public IEnumerable<string> Actions => _actions.Select(action => string.Join(' ', action.Split(' ')[..3]));

        public async ValueTask DisposeAsync()
        {
            await Leader.DisposeAsync();
            await Standby.DisposeAsync();
        }

        private static JsonObject Status(string role, string wal) => new()
        {
            ["state"] = "running",
            ["role"] = role,
            ["postmaster_start_time"] = "0",
            ["timeline"] = 4,
            ["xlog"] = JsonNode.Parse(wal),
        };

        private (int Status, string Text) Handle(string member, JsonObject status, RestStub.Call call)
        {
            if (call.Line.StartsWith("GET ", StringComparison.Ordinal))
            {
                return (200, (member == "pg-a" ? LeaderStatus : StandbyStatus).ToJsonString());
            }
            _actions.Add($"{member} {call.Line} {call.Body}");
            if (call.Line == "POST /switchover")
            {
                (LeaderStatus, StandbyStatus) = (Status("replica", """{"replayed_location":117440999}"""),
                    Status("primary", """{"location":117440999}"""));
                LeaderStatus["replication_state"] = "streaming";
                Restarted(LeaderStatus);
                Ctl.HandOverTo("pg-b");
                Ctl.PutMember("pg-b", Ctl.Dcs.Keys["members/pg-b"].Value.Replace(
                    "http://10.1.0.12:8008/patroni", Standby.ApiUrl, StringComparison.Ordinal));
                return (200, "Successfully switched over to \"pg-b\"");
            }
            if (Answer.Status == 200 && !IsLying)
            {
                Restarted(status);
                if (member == "pg-b")
                {
                    OnRestartOfStandby();
                }
            }
            return Answer;
        }

        private void Restarted(JsonObject status) =>
            status["postmaster_start_time"] = (++_starts).ToString(CultureInfo.InvariantCulture);
    }
}
