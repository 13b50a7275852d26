using System.Text.Json;
using Routing.Agent.Loop;
using Routing.Cluster;
using Routing.Cluster.Text;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Rest;

/// <summary>Asking for a restart: every check in its order, and every answer.</summary>
public sealed class RestartRequestTests
{
    private const string Soon = "2099-01-01T00:00:00+00:00";

    [Theory]
    [InlineData("""{"role":"master"}""", 400, "role has to be primary, standby_leader or replica")]
    [InlineData("""{"role":7,"postgres_version":"x"}""", 400, "role has to be primary, standby_leader or replica")]
    [InlineData("""{"postgres_version":"15"}""", 400, "postgres_version has to be X.Y or X.Y.Z, not '15'")]
    [InlineData("""{"postgres_version":"fifteen"}""", 400, "postgres_version has to be X.Y or X.Y.Z, not 'fifteen'")]
    [InlineData("""{"postgres_version":"9.5"}""", 400, "postgres_version has to be X.Y or X.Y.Z, not '9.5'")]
    [InlineData("""{"timeout":0}""", 400, "timeout has to be a number of seconds above 0")]
    [InlineData("""{"timeout":"5 apples"}""", 400, "timeout has to be a number of seconds above 0")]
    [InlineData("""{"timeout":{}}""", 400, "timeout has to be a number of seconds above 0")]
    [InlineData("""{"when":"now"}""", 400, "Unknown filter for the scheduled restart: when")]
    [InlineData(
        """{"schedule":"2099-01-01T00:00:00"}""", 400, "Timezone information is mandatory for the scheduled restart")]
    [InlineData("""{"schedule":"2009-01-01T00:00:00Z"}""", 422, "Cannot schedule restart in the past")]
    [InlineData("""{"schedule":"someday"}""", 422,
        "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601")]
    [InlineData("""{"schedule":null}""", 422,
        "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601")]
    public async Task A_request_that_cannot_be_used_is_told_why(string body, int code, string sentence)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        Assert.Equal((code, sentence), await host.SendAsync("POST", "/restart", body));
        Assert.Null(host.Orders.Open);
        Assert.Null(host.Orders.Scheduled);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("7")]
    public async Task A_body_that_is_no_object_is_400(string body)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        Assert.Equal(400, (await host.SendAsync("POST", "/restart", body)).Code);
    }

    [Theory]
    [InlineData(JobResult.Done, null, "", 200, "restarted successfully")]
    [InlineData(
        null, OrderRefusal.ConditionsNotMet, "its role is replica", 503, "restart conditions are not satisfied")]
    [InlineData(null, OrderRefusal.Busy, "rewinding", 503, "rewinding already in progress")]
    [InlineData(null, OrderRefusal.StillStarting, "", 503, "postgres is still starting")]
    [InlineData(JobResult.StillStarting, null, "", 503, "postgres is still starting")]
    [InlineData(JobResult.Failed, null, "a wrong setting", 503, "restart failed: a wrong setting")]
    [InlineData(JobResult.Cancelled, null, "it was cancelled", 503, "restart failed: it was cancelled")]
    [InlineData(null, OrderRefusal.Failed, "PostgreSQL is down", 503, "restart failed: PostgreSQL is down")]
    public async Task The_answer_is_that_of_its_end(
        JobResult? result, OrderRefusal? refusal, string detail, int code, string sentence)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer = host.SendAsync("POST", "/restart");
        var order = await OpenAsync(host);
        host.Orders.End(order.Id, new OrderEnd(result, refusal, detail));

        Assert.Equal((code, sentence), await answer);
        Assert.True(host.Wakes > 0);
    }

    [Fact]
    public async Task What_was_asked_for_reaches_the_loop()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer = host.SendAsync(
            "POST", "/restart",
            """{"role":"replica","postgres_version":"15.9","timeout":"2min","restart_pending":true}""");
        var order = Assert.IsType<RestartOrder>(await OpenAsync(host));
        host.Orders.End(order.Id, new OrderEnd(JobResult.Done, null, ""));
        await answer;

        Assert.Equal(new RestartFilter("replica", "15.9", true), order.Filter);
        Assert.Equal(TimeSpan.FromMinutes(2), order.Timeout);
    }

    [Fact]
    public async Task A_second_one_meanwhile_is_refused_with_the_name_of_the_first()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var first = host.SendAsync("POST", "/restart");
        var order = await OpenAsync(host);

        Assert.Equal((503, "restart already in progress"), await host.SendAsync("POST", "/restart"));
        Assert.Equal((503, "restart already in progress"), await host.SendAsync("POST", "/reinitialize"));
        host.Orders.Begin(order.Id);
        Assert.Null(host.Orders.Open);   // its job runs: what comes now is judged by the loop
        host.Orders.End(order.Id, new OrderEnd(JobResult.Done, null, ""));
        Assert.Equal(200, (await first).Code);
    }

    [Fact]
    public async Task One_that_nobody_waits_for_any_more_is_taken_back()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        using var patience = new CancellationTokenSource();

        var answer = host.Http.PostAsync("/restart", null, patience.Token);
        await OpenAsync(host);
        await patience.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        await WaitUntil.TrueAsync(() => host.Orders.Open is null, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_planned_restart_is_shown_and_can_be_taken_back()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var planned =
            await host.SendAsync("POST", "/restart", $$"""{"schedule":"{{Soon}}","role":"primary","timeout":30}""");
        var another = await host.SendAsync("POST", "/restart", $$"""{"schedule":"{{Soon}}"}""");
        var known = host.Orders.Scheduled!;
        host.Status = host.Status with { ScheduledRestart = known };
        var shown = (await host.JsonAsync("/patroni")).GetProperty("scheduled_restart");
        var deleted = await host.SendAsync("DELETE", "/restart");

        Assert.Equal((202, "Restart scheduled"), planned);
        Assert.Equal((409, "Another restart is already scheduled"), another);
        Assert.Equal(PostgresTime.Format(host.Status.Postgres.PostmasterStart!.Value), known.PostmasterStartTime);
        Assert.Equal(("primary", 30), (shown.GetProperty("role").GetString(), shown.GetProperty("timeout").GetInt32()));
        Assert.Equal(JsonValueKind.Undefined,
            shown.TryGetProperty("postmaster_start_time", out var none) ? none.ValueKind : default);
        Assert.Equal((200, "scheduled restart deleted"), deleted);
        Assert.Equal((404, "no restarts are scheduled"), await host.SendAsync("DELETE", "/restart"));
    }

    [Fact]
    public async Task In_a_pause_nothing_is_planned()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("config", """{"pause":true}""");

        Assert.Equal(
            (500, "Can't schedule restart in the paused state"),
            await host.SendAsync("POST", "/restart", $$"""{"schedule":"{{Soon}}"}"""));
    }

    [Fact]
    public void A_planned_restart_becomes_an_order_when_it_is_due_and_what_an_earlier_life_planned_counts_once()
    {
        var desk = new OrderDesk(() => { });
        var planned = new ScheduledRestart(DateTimeOffset.UnixEpoch, null, "replica", null, true, 5);

        desk.Recall(planned);
        desk.OrderScheduled();
        desk.Recall(planned);

        var order = Assert.IsType<RestartOrder>(desk.Open);
        Assert.Equal((new RestartFilter("replica", null, true), TimeSpan.FromSeconds(5)),
            (order.Filter, order.Timeout));
        Assert.Null(desk.Scheduled);
    }

    private static async Task<Order> OpenAsync(RestHost host)
    {
        await WaitUntil.TrueAsync(() => host.Orders.Open is not null, TimeSpan.FromSeconds(10));
        return host.Orders.Open!;
    }
}
