using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Tests.Rest;

/// <summary><c>GET /members</c>, and the history of the lags that it tells.</summary>
public sealed class MemberDetailsTests
{
    private static readonly DateTimeOffset s_begin = new(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Each_member_has_its_upstream_its_lease_and_its_lags()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        var cancellationToken = TestContext.Current.CancellationToken;
        var (own, other) = (await host.Link.GrantLeaseAsync(TimeSpan.FromHours(1), cancellationToken),
            await host.Link.GrantLeaseAsync(TimeSpan.FromHours(2), cancellationToken));
        await host.Link.PutAsync("leader", "pg-a", WriteCondition.Always, own.Id, cancellationToken);
        host.Dcs.Put("status", """{"optime":2000}""");
        await host.Link.PutAsync(
            "members/pg-b", """{"xlog_location":1500,"routing":{"version":"1","fence":true,"upstream":"pg-a"}}""",
            WriteCondition.Always, other.Id, cancellationToken);
        host.Dcs.Put("members/pg-c", """{"role":"replica"}""");
        host.Status = host.Status with
        {
            Lags = LagHistory.Empty.With(host.Time.GetUtcNow().AddMinutes(-1), host.Dcs.Snapshot),
        };

        var json = await host.JsonAsync("/members");

        Assert.Equal("pg-a", json.GetProperty("member").GetString());
        Assert.InRange(json.GetProperty("leader_lease_left_ms").GetInt64(), 3_000_000, 3_600_000);
        var (b, c) = (json.GetProperty("members")[0], json.GetProperty("members")[1]);
        Assert.Equal(("pg-b", "pg-a"), (b.GetProperty("name").GetString(), b.GetProperty("upstream").GetString()));
        Assert.InRange(b.GetProperty("lease_left_ms").GetInt64(), 6_000_000, 7_200_000);
        var sample = Assert.Single(b.GetProperty("lags").EnumerateArray().ToList());
        Assert.InRange(sample[0].GetInt64(), 60_000, 240_000);
        Assert.Equal(500, sample[1].GetInt64());
        Assert.Equal(JsonValueKind.Null, c.GetProperty("upstream").ValueKind);
        Assert.Equal(JsonValueKind.Null, c.GetProperty("lease_left_ms").ValueKind);
        Assert.Empty(c.GetProperty("lags").EnumerateArray().ToList());
    }

    [Fact]
    public async Task While_the_DCS_is_silent_the_last_view_is_told_without_leases()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("leader", "pg-a");
        host.Dcs.Put("members/pg-b", """{"routing":{"version":"1","fence":true,"upstream":"pg-a"}}""");
        host.Status = host.Status with { Cluster = host.Dcs.Snapshot };
        host.Link.IsCutOff = true;

        var json = await host.JsonAsync("/members");

        Assert.Equal(JsonValueKind.Null, json.GetProperty("leader_lease_left_ms").ValueKind);
        Assert.Equal("pg-a", json.GetProperty("members")[0].GetProperty("upstream").GetString());
    }

    [Fact]
    public void The_history_keeps_five_minutes_and_one_sample_in_two_seconds()
    {
        var time = new FakeTimeProvider(s_begin);
        var history = LagHistory.Empty;

        for (var i = 0; i < 4000; i++)
        {
            history = history.With(time.GetUtcNow(), Cluster(100 + (ulong)i));
            time.Advance(TimeSpan.FromMilliseconds(250));
        }

        Assert.Equal(150, history.Samples.Length);
        Assert.All(history.Samples.Zip(history.Samples.Skip(1)),
            pair => Assert.Equal(LagHistory.Distance, pair.Second.At - pair.First.At));
        Assert.Equal(3992, history.Samples[^1].Bytes["b"]);
        Assert.False(history.Samples[^1].Bytes.ContainsKey("unknown"));
    }

    [Fact]
    public void A_clock_that_is_set_back_costs_the_samples_of_its_future_alone()
    {
        var history = LagHistory.Empty.With(s_begin, Cluster(200)).With(s_begin.AddMinutes(2), Cluster(300));

        history = history.With(s_begin.AddMinutes(1), Cluster(400));

        Assert.Equal([s_begin, s_begin.AddMinutes(1)], history.Samples.Select(sample => sample.At));
    }

    [Fact]
    public void A_sample_has_a_bounded_number_of_members()
    {
        var cluster = Cluster(200);
        cluster = cluster with
        {
            Members = cluster.Members.AddRange(Enumerable.Range(0, 200).Select(i => KeyValuePair.Create(
                $"m{i:D3}", new Member { Name = $"m{i:D3}", XlogLocation = new Lsn(1) }))),
        };

        Assert.InRange(Assert.Single(LagHistory.Empty.With(s_begin, cluster).Samples).Bytes.Count, 1, 64);
    }

    private static ClusterSnapshot Cluster(ulong optime) => ClusterSnapshot.Empty with
    {
        Leader = new LeaderKey("a", new Term(1), 1, 1),
        Status = LeaderStatus.None with { Optime = new Lsn(optime) },
        Members = ClusterSnapshot.Empty.Members
            .Add("a", new Member { Name = "a" })
            .Add("b", new Member { Name = "b", XlogLocation = new Lsn(100) })
            .Add("unknown", new Member { Name = "unknown" }),
    };
}
