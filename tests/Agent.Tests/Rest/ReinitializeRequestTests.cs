using Routing.Agent.Loop;
using Routing.Cluster;
using Routing.Ha;
using Routing.TestKit;

namespace Routing.Agent.Tests.Rest;

/// <summary>Asking for a new copy in place of a member's data: every answer, and what is told of it.</summary>
public sealed class ReinitializeRequestTests
{
    [Theory]
    [InlineData(null, "", 200, "reinitialize started")]
    [InlineData(OrderRefusal.NoLeader, "nobody leads", 503, "Cluster has no leader, can not reinitialize")]
    [InlineData(OrderRefusal.IsLeader, "it leads", 503, "I am the leader, can not reinitialize")]
    [InlineData(OrderRefusal.Busy, "restart", 503, "restart already in progress")]
    [InlineData(OrderRefusal.Failed, "it holds photographs", 503, "can not reinitialize: it holds photographs")]
    public async Task The_answer_is_that_of_the_decision(
        OrderRefusal? refusal, string detail, int code, string sentence)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer = host.SendAsync("POST", "/reinitialize");
        await WaitUntil.TrueAsync(() => host.Orders.Open is not null, TimeSpan.FromSeconds(10));
        host.Orders.End(host.Orders.Open!.Id, new OrderEnd(refusal is null ? JobResult.Done : null, refusal, detail));

        Assert.Equal((code, sentence), await answer);
    }

    [Theory]
    [InlineData("""{"force":true,"from_leader":"on"}""", true, true)]
    [InlineData("""{"force":"false","from_leader":1}""", false, true)]
    [InlineData("""{"force":null}""", false, false)]
    [InlineData("{}", false, false)]
    public async Task Its_flags_reach_the_loop(string body, bool force, bool fromLeader)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer = host.SendAsync("POST", "/reinitialize", body);
        await WaitUntil.TrueAsync(() => host.Orders.Open is not null, TimeSpan.FromSeconds(10));
        var order = Assert.IsType<ReinitializeOrder>(host.Orders.Open);
        host.Orders.End(order.Id, new OrderEnd(JobResult.Done, null, ""));
        await answer;

        Assert.Equal((force, fromLeader), (order.Force, order.FromLeader));
    }

    [Theory]
    [InlineData("""{"force":"perhaps"}""")]
    [InlineData("""{"from_leader":[]}""")]
    public async Task A_flag_that_is_none_is_400(string body)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        Assert.Equal(400, (await host.SendAsync("POST", "/reinitialize", body)).Code);
        Assert.Null(host.Orders.Open);
    }

    [Fact]
    public async Task The_status_tells_the_job_and_how_far_it_is()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Status = host.Status with
        {
            Job = new JobView(JobKind.Reinitialize, TimeSpan.Zero, "half of it")
            {
                Source = "pg-b", Copied = new CopyProgress(50, 100, 10),
            },
        };

        var job = (await host.JsonAsync("/patroni")).GetProperty("routing").GetProperty("job");

        Assert.Equal(
            """{"name":"reinitialize","progress":"half of it","source":"pg-b","bytes":50,"total":100,"""
                + "\"rate\":10,\"seconds_left\":5}",
            job.GetRawText());
    }

    [Fact]
    public async Task The_status_tells_from_where_to_where_WAL_is_replayed()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Status = host.Status with
        {
            Job = new JobView(JobKind.Restore, TimeSpan.Zero, "replays")
            {
                Copied = new CopyProgress(16, 32, 8)
                {
                    Wal = new ReplayedWal(new Lsn(16), new Lsn(32))
                    {
                        End = new Lsn(48), AtMoment = new DateTimeOffset(2026, 11, 30, 12, 0, 0, TimeSpan.Zero),
                    },
                },
            },
        };

        var job = (await host.JsonAsync("/patroni")).GetProperty("routing").GetProperty("job");

        Assert.Equal(
            """{"from":"0/10","at":"0/20","at_timestamp":"2026-11-30 12:00:00+00:00","end":"0/30"}""",
            job.GetProperty("replay").GetRawText());
        Assert.Equal(2, job.GetProperty("seconds_left").GetInt32());
    }
}
