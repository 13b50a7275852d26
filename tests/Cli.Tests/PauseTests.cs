namespace Routing.Cli.Tests;

public sealed class PauseTests
{
    [Fact]
    public async Task A_pause_is_asked_of_the_leader()
    {
        await using var rest = RestStub.Start(200, "{}");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("pause pay");

        Assert.Equal(new(0, "Success: cluster management is paused\n", ""), ended);
        var call = Assert.Single(rest.Calls);
        Assert.Equal(("PATCH /config", """{"pause":true}"""), (call.Line, call.Body));
    }

    [Fact]
    public async Task A_resume_takes_the_setting_away()
    {
        await using var rest = RestStub.Start(200, "{}");
        var ctl = new Ctl().WithPay(rest.ApiUrl);
        ctl.Dcs.Put("config", """{"pause":true}""");

        var ended = await ctl.RunAsync("resume pay");

        Assert.Equal(new(0, "Success: cluster management is resumed\n", ""), ended);
        Assert.Equal(("PATCH /config", """{"pause":null}"""), (rest.Calls[0].Line, rest.Calls[0].Body));
    }

    [Theory]
    [InlineData("pause pay", """{"pause":true}""", "Error: Cluster is already paused\n")]
    [InlineData("resume pay", "{}", "Error: Cluster is not paused\n")]
    public async Task What_is_so_already_is_an_error(string commandLine, string config, string error)
    {
        var ctl = new Ctl().WithPay();
        ctl.Dcs.Put("config", config);

        var ended = await ctl.RunAsync(commandLine);

        Assert.Equal(new(1, "", error), ended);
    }

    [Fact]
    public async Task Another_member_is_asked_when_the_leader_does_not_answer()
    {
        await using var rest = RestStub.Start(200, "{}");
        var ctl = new Ctl().WithPay(apiOfLeader: "http://127.0.0.1:1/patroni", apiOfStandby: rest.ApiUrl);

        var ended = await ctl.RunAsync("pause pay");

        Assert.Equal((0, "Success: cluster management is paused\n"), (ended.ExitCode, ended.Output));
        Assert.Single(rest.Calls);
        Assert.Contains("The member's REST API failed: no answer from http://127.0.0.1:1/config", ended.Error,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_member_that_answers_it_is_an_error()
    {
        var ctl = new Ctl().WithPay("http://127.0.0.1:1/patroni", "http://127.0.0.1:1/patroni");

        var ended = await ctl.RunAsync("pause pay");

        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("Error: Can not find accessible cluster member\n", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_is_shown_and_ends_with_1()
    {
        await using var rest = RestStub.Start(409, "Somebody else changed the configuration.");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("pause pay");

        Assert.Equal(
            new(1, "Failed: pause cluster management status code=409, (Somebody else changed the configuration.)\n",
                ""), ended);
    }

    [Fact]
    public async Task With_wait_it_ends_when_every_member_says_that_it_knows()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(_ =>
        {
            ctl.PutMember("pg-a",
                """{"api_url":"http://10.1.0.11:8008/patroni","role":"primary","state":"running","pause":true}""");
            ctl.PutStandby("http://10.1.0.12:8008/patroni", ""","pause":true""");
            return (200, "{}");
        });
        ctl.WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("pause pay --wait");

        Assert.Equal(
            new(
                0,
                """
                'pause' request sent, waiting until it is recognized by all nodes
                Success: cluster management is paused

                """,
                ""),
            ended);
    }

    [Fact]
    public async Task With_wait_the_members_that_do_not_follow_in_time_are_named()
    {
        var ctl = new Ctl();
        await using var rest = RestStub.Start(_ =>
        {
            ctl.PutMember("pg-a",
                """{"api_url":"http://10.1.0.11:8008/patroni","role":"primary","state":"running","pause":true}""");
            return (200, "{}");
        });
        ctl.WithPay(rest.ApiUrl);
        ctl.Dcs.Put("config", """{"loop_wait":1}""");

        var ended = await ctl.RunAsync("pause pay --wait");

        Assert.Equal(1, ended.ExitCode);
        Assert.EndsWith("pg-b members didn't recognized pause state after 2 seconds\n", ended.Output,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dry_run_shows_the_request_and_sends_none()
    {
        await using var rest = RestStub.Start(200, "{}");
        var ctl = new Ctl().WithPay(rest.ApiUrl);

        var ended = await ctl.RunAsync("pause pay --wait --dry-run");

        Assert.Equal(new(0, """Dry run: pg-a would get PATCH /config {"pause":true}""" + "\n", ""), ended);
        Assert.Empty(rest.Calls);
    }
}
