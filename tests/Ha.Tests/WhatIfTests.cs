using System.Text.Json;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>What a member would decide if the leader were gone: the rules of the race, asked without a race.</summary>
public sealed class WhatIfTests
{
    [Fact]
    public void A_standby_that_has_everything_would_race() => Says("races", Follower());

    [Fact]
    public void One_with_less_than_another_names_it_and_both_positions()
    {
        var o = Follower();
        var decision = HaLoop.IfLeaderless(o with { Cluster = WithPosition(o.Cluster!, "c", 300) });

        Assert.Equal(
            ("behind", "does not race: c has more WAL (0/12C against 0/C8)"), (decision.Code, decision.Reason));
    }

    [Fact]
    public void The_leader_itself_is_taken_to_be_gone()
    {
        var o = Follower();

        Says("races", o with { Cluster = WithPosition(o.Cluster!, "b", 300) });
    }

    [Fact]
    public void A_tag_decides_before_any_position()
    {
        var tags = new MemberTags(MemberTags.Empty.Values.SetItem("nofailover", JsonElement.Parse("true")));

        Says("nofailover", Follower() with { Options = MemberOptions.Default with { Tags = tags } });
    }

    [Fact]
    public void A_lag_beyond_the_limit_decides()
    {
        var o = Follower();

        Says("lagging", o with
        {
            Config = Every.Config("""{"maximum_lag_on_failover":10}"""),
            Memory = o.Memory with { Published = new PublishedPosition(new Lsn(500), new Term(50)) },
        });
    }

    [Fact]
    public void A_backoff_is_no_reason_why_another_wins() =>
        Says("races", Follower() with { Config = Every.Config("""{"primary_race_backoff":30}""") });

    /// <summary>It is asked at any moment, whatever the member is doing.</summary>
    [Fact]
    public void Every_situation_has_an_answer()
    {
        foreach (var o in Every.Observation().Where((_, index) => index % 37 == 0))
        {
            Assert.NotEmpty(HaLoop.IfLeaderless(o).Code);
        }
    }

    private static Observation Follower()
    {
        var o = Every.Of(Every.Server(ServerState.Running, isPrimary: false, isStreaming: true), "b", default);
        return o with { Cluster = WithPosition(o.Cluster!, "c", 200) };
    }

    private static ClusterSnapshot WithPosition(ClusterSnapshot cluster, string name, ulong position) => cluster with
    {
        Members = cluster.Members.SetItem(
            name, cluster.Members[name] with { XlogLocation = new Lsn(position), Timeline = 1 }),
    };

    private static void Says(string code, Observation o) => Assert.Equal(code, HaLoop.IfLeaderless(o).Code);
}
