using Microsoft.Extensions.Time.Testing;
using Routing.TestKit;

namespace Routing.Cli.Tests;

public sealed class ReinitTests
{
    [Fact]
    public async Task Without_a_name_it_asks_for_a_standby_and_whether()
    {
        await using var rest = RestStub.Start(200, "reinitialize started");
        var ctl = new Ctl().WithPay(apiOfStandby: rest.ApiUrl);

        var ended = await ctl.RunAsync("reinit pay --from-leader", "pg-b", "y");

        Assert.EndsWith(
            """
            Which member do you want to reinitialize [pg-b]? []: Are you sure you want to reinitialize members pg-b? [y/N]: Success: reinitialize for member pg-b

            """,
            ended.Output,
            StringComparison.Ordinal);
        var call = Assert.Single(rest.Calls);
        Assert.Equal(("POST /reinitialize", """{"force":false,"from_leader":true}"""), (call.Line, call.Body));
    }

    [Fact]
    public async Task What_is_in_progress_may_be_cancelled_for_it()
    {
        await using var rest = RestStub.Start(call => call.Body.Contains("true", StringComparison.Ordinal)
            ? (200, "reinitialize started")
            : (503, "restarting after failure already in progress"));
        var ctl = new Ctl().WithPay(apiOfStandby: rest.ApiUrl);

        var declined = await ctl.RunAsync("reinit pay pg-b", "y", "n");
        var accepted = await ctl.RunAsync("reinit pay pg-b", "y", "y");

        Assert.Equal(1, declined.ExitCode);
        Assert.Equal(0, accepted.ExitCode);
        Assert.EndsWith(
            """
            Failed: reinitialize for member pg-b, status code=503, (restarting after failure already in progress)
            Do you want to cancel it and reinitialize anyway? [y/N]: Success: reinitialize for member pg-b

            """,
            accepted.Output,
            StringComparison.Ordinal);
        Assert.Equal("""{"force":true,"from_leader":false}""", rest.Calls[^1].Body);
    }

    [Fact]
    public async Task A_refusal_ends_with_1_and_is_not_waited_for()
    {
        await using var rest = RestStub.Start(call =>
            call.Line == "POST /reinitialize"
                ? (503, "Cluster has no leader, can not reinitialize")
                : (200, """{"state":"running"}"""));
        var ctl = new Ctl().WithPay(apiOfStandby: rest.ApiUrl);

        var ended = await ctl.RunAsync("reinit pay pg-b --force --wait");

        Assert.Equal(
            new(1,
                "Failed: reinitialize for member pg-b, status code=503, (Cluster has no leader, can not "
                    + "reinitialize)\n", ""), ended);
    }

    [Fact]
    public async Task A_wait_is_not_over_before_the_copy_has_begun()
    {
        var time = new FakeTimeProvider(Ctl.Noon);
        string[] states =
        [
            """{"state":"running","postmaster_start_time":"1"}""",   // before the request
            """{"state":"running","postmaster_start_time":"1"}""",   // the agent has not begun yet
            """{"state":"stopping"}""",
            """{"state":"creating replica","routing":{"job":{"progress":"1 MB of 9 MB copied"}}}""",
            """{"state":"creating replica","routing":{"job":{"progress":"2 MB of 9 MB copied"}}}""",
            """{"state":"starting"}""",
            """{"state":"running","postmaster_start_time":"2"}""",
        ];
        var asked = 0;
        await using var rest = RestStub.Start(call =>
            call.Line == "POST /reinitialize"
                ? (200, "reinitialize started")
                : (200, states[Math.Min(asked++, states.Length - 1)]));
        var ctl = new Ctl { Time = time }.WithPay(apiOfStandby: rest.ApiUrl);

        var running = ctl.RunAsync("reinit pay pg-b --force --wait");
        await WaitUntil.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return running.IsCompleted;
        });
        var ended = await running;

        Assert.Equal(
            new(
                0,
                """
                Success: reinitialize for member pg-b
                Waiting for reinitialize to complete on: pg-b
                pg-b: 1 MB of 9 MB copied
                Reinitialize is completed on: pg-b

                """,
                ""),
            ended);
        Assert.Equal(states.Length, asked);
    }

    [Fact]
    public async Task A_copy_that_nobody_saw_is_known_by_its_new_server()
    {
        var asked = 0;
        await using var rest = RestStub.Start(call => call.Line == "POST /reinitialize"
            ? (200, "reinitialize started")
            : (200, $$"""{"state":"running","postmaster_start_time":"{{asked++}}"}"""));
        var ctl = new Ctl().WithPay(apiOfStandby: rest.ApiUrl);

        var ended = await ctl.RunAsync("reinit pay pg-b --force --wait");

        Assert.Equal(0, ended.ExitCode);
        Assert.EndsWith("Reinitialize is completed on: pg-b\n", ended.Output, StringComparison.Ordinal);
    }
}
