using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Rest;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Ha;

namespace Routing.Agent.Tests.Rest;

/// <summary>The finer rules of the health checks: lag, filters, liveness, readiness.</summary>
public sealed class HealthCheckTests
{
    [Theory]
    [InlineData("/replica", true)]
    [InlineData("/replica?lag=1000", true)]
    [InlineData("/replica?lag=999", false)]
    [InlineData("/replica?lag=1kB", true)]
    [InlineData("/replica?lag=nonsense", true)]
    [InlineData("/read-only?lag=0", false)]
    [InlineData("/async?lag=0", false)]
    [InlineData("/health?lag=0", true)]
    [InlineData("/replica?replication_state=streaming", true)]
    [InlineData("/replica?replication_state=in%20archive%20recovery", false)]
    [InlineData("/replica?tag_dc=west", true)]
    [InlineData("/replica?tag_dc=east", false)]
    [InlineData("/replica?tag_dc=west&tag_rack=7", false)]
    [InlineData("/replica?tag_weight=1.5&tag_fast=true", true)]
    [InlineData("/health?tag_dc=east", false)]
    [InlineData("/my-replica-of-choice", true)]
    [InlineData("/asynchronous-something", false)]
    public void A_replica_is_filtered_by_lag_state_and_tags(string request, bool expected)
    {
        var status = Nodes.Replica with { Tags = Nodes.Tags(("dc", "\"west\""), ("weight", "1.5"), ("fast", "true")) };

        Assert.Equal(expected, Passes(status, request));
    }

    [Theory]
    [InlineData("/primary?tag_dc=nowhere")]
    [InlineData("/leader?tag_dc=nowhere")]
    [InlineData("/?lag=0&tag_dc=nowhere")]
    public void Tags_do_not_hide_the_leader(string request) => Assert.True(Passes(Nodes.Primary, request));

    [Fact]
    public void A_leader_that_wants_no_load_still_answers_as_read_only() =>
        Assert.True(Passes(Nodes.Primary with { Tags = Nodes.Tags(("noloadbalance", "true")) }, "/read-only"));

    [Fact]
    public void Without_any_position_nobody_lags()
    {
        var status = Nodes.Replica with
        {
            Cluster = Nodes.Replica.Cluster! with { Status = LeaderStatus.None },
            Postgres = Nodes.Replica.Postgres with { LatestEndLsn = Lsn.Zero },
        };

        Assert.True(Passes(status, "/replica?lag=0"));
    }

    [Fact]
    public void With_a_silent_DCS_the_lag_counts_by_the_own_WAL_receiver()
    {
        var status = Nodes.Silent(Nodes.Replica) with
        {
            Cluster =
                Nodes.Replica.Cluster! with { Status = LeaderStatus.None with { Optime = new Lsn(ulong.MaxValue) } },
        };

        Assert.True(Passes(status, "/replica?lag=1000"));
        Assert.False(Passes(status, "/replica?lag=999"));
    }

    [Fact]
    public void The_belief_ends_at_its_deadline_and_the_view_of_the_cluster_after_one_ttl()
    {
        var time = new FakeTimeProvider();
        var start = time.GetTimestamp();
        var status = Nodes.Primary with
        {
            Timing = Timing.Default,
            ClusterConfirmedAt = start,
            LeaderUntil = start + (28 * time.TimestampFrequency),
        };

        time.Advance(TimeSpan.FromSeconds(27.9));
        Assert.True(new HealthView(status, time).IsLeader);
        time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.False(new HealthView(status, time).IsLeader);
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.NotNull(new HealthView(status, time).Cluster);
        time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Null(new HealthView(status, time).Cluster);
    }

    [Theory]
    [InlineData(true, 29, true)]
    [InlineData(true, 31, false)]
    [InlineData(false, 59, true)]
    [InlineData(false, 61, false)]
    public void The_loop_is_alive_for_one_ttl_on_a_primary_and_two_elsewhere(
        bool primary, int secondsLate, bool expected)
    {
        var time = new FakeTimeProvider();
        var status = (primary ? Nodes.Primary : Nodes.Replica) with { Timing = Timing.Default,
            NextRunAt = time.GetTimestamp() };

        time.Advance(TimeSpan.FromSeconds(secondsLate));

        Assert.Equal(expected, new HealthView(status, time).IsAlive);
        Assert.True(new HealthView(Nodes.Paused(status), time).IsAlive);
    }

    [Theory]
    [InlineData("", 1000, true)]
    [InlineData("", 999, false)]
    [InlineData("?mode=write", 0, true)]
    [InlineData("?lag=1kB", 0, true)]
    [InlineData("?lag=10", 5000, false)]
    public void Ready_is_a_standby_that_streams_and_keeps_up(string query, long maximumLag, bool expected)
    {
        var status =
            Nodes.Replica with { Config = DynamicConfig.Default with { MaximumLagOnFailoverBytes = maximumLag } };

        Assert.Equal(expected, IsReady(status, query));
    }

    [Fact]
    public void Ready_without_any_view_of_the_cluster_is_who_follows_a_leader_in_failsafe()
    {
        var blind =
            Nodes.Silent(Nodes.Replica) with { Postgres = Nodes.Replica.Postgres with { LatestEndLsn = Lsn.Zero } };

        Assert.False(IsReady(blind, ""));
        Assert.True(
            IsReady(
                blind with { Failsafe =
                    new FailsafeNotice("pg-a", "postgres://a", "http://a", null, Nodes.In(TimeSpan.Zero)) }, ""));
    }

    [Fact]
    public void Not_ready_is_who_does_not_stream_or_does_not_run()
    {
        Assert.False(
            IsReady(Nodes.Replica with { Postgres = Nodes.Replica.Postgres with { IsStreaming = false } }, ""));
        Assert.False(
            IsReady(Nodes.Replica with { State = PostgresState.Starting,
                Postgres = Nodes.Replica.Postgres with { Server = ServerState.Starting } }, ""));
    }

    private static bool Passes(AgentStatus status, string request)
    {
        var question = request.IndexOf('?', StringComparison.Ordinal);
        return HealthCheck.Passes(
            new HealthView(status, TimeProvider.System),
            question < 0 ? request : request[..question],
            new QueryCollection(QueryHelpers.ParseQuery(question < 0 ? "" : request[question..])));
    }

    private static bool IsReady(AgentStatus status, string query) =>
        HealthCheck.IsReady(new HealthView(status, TimeProvider.System),
            new QueryCollection(QueryHelpers.ParseQuery(query)));
}
