using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>A cluster that spans sites: it stays in the one that it was led from, and loses nothing by that.</summary>
public sealed class SiteTests
{
    private static readonly LocalPostgres s_standby = Every.Server(ServerState.Running, isPrimary: false);

    private static readonly string?[] s_sites = [null, "x", "y"];

    [Theory]
    [InlineData("x", "x", "y", "races")]             // b is elsewhere
    [InlineData("y", "x", "y", "other_site")]
    [InlineData("x", "y", "x", "other_site")]        // b stands where the leader stood
    [InlineData("x", null, "x", "other_site")]
    [InlineData("x", "y", "y", "races")]             // nobody does
    [InlineData(null, "y", "x", "races")]            // the leader had no site
    [InlineData("x", "x", "x", "races")]
    public void A_member_of_the_last_leaders_site_goes_first(string? last, string? own, string? other, string code) =>
        Assert.Equal(code, HaLoop.Decide(Race(own, ("b", other, 200)).LedFrom(last)).Code);

    /// <summary>Who lacks WAL does not go first wherever it stands: commits are worth more than distance.</summary>
    [Theory]
    [InlineData(199UL, "races")]
    [InlineData(200UL, "other_site")]
    [InlineData(201UL, "behind")]
    public void Sites_decide_among_equals_alone(ulong position, string code) =>
        Assert.Equal(code, HaLoop.Decide(Race("y", ("b", "x", position)).LedFrom("x")).Code);

    [Fact]
    public void The_site_goes_before_the_priority_and_within_it_the_priority_counts()
    {
        var preferred = new PeerReport("b", true, false, new Lsn(200), 1, FailoverPriority: 5);

        Assert.Equal("races", HaLoop.Decide(Race("x", ("b", "y", 0)).LedFrom("x").Answers(preferred)).Code);
        Assert.Equal("lower_priority", HaLoop.Decide(Race("x", ("b", "x", 0)).LedFrom("x").Answers(preferred)).Code);
        Assert.Equal("lower_priority", HaLoop.Decide(Race("y", ("b", "y", 0)).LedFrom("x").Answers(preferred)).Code);
    }

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(true, true, false)]
    [InlineData(true, false, true)]
    public void A_member_that_cannot_lead_is_not_waited_for(bool reachable, bool noFailover, bool watchdogFailed) =>
        Assert.Equal("races", HaLoop.Decide(Race("y", ("b", "x", 0)).LedFrom("x").Answers(
            new PeerReport("b", reachable, false, new Lsn(200), 1, noFailover, WatchdogFailed: watchdogFailed))).Code);

    /// <summary>It may run an older Patroni, which knows no sites and waits for us.</summary>
    [Fact]
    public void After_one_ttl_a_leader_is_worth_more_than_its_place()
    {
        var o = Race("y", ("b", "x", 200)).LedFrom("x");

        Assert.Equal("other_site", HaLoop.Decide(o).Code);
        Assert.Equal("races", HaLoop.Decide(
            o with { Memory = o.Memory with { UnlockedSince = o.Now - o.Timing.Ttl } }).Code);
    }

    /// <summary>A leader with an older Patroni does not write it into the status.</summary>
    [Fact]
    public void The_last_leaders_own_key_tells_its_site_where_the_status_does_not()
    {
        var o = Race("y", ("b", "x", 200)).InSite("c", "x");
        var led = KnownMembers.None with { Leader = "c" };

        Assert.Equal("races", HaLoop.Decide(o).Code);
        Assert.Equal("other_site", HaLoop.Decide(o with { Memory = o.Memory with { Members = led } }).Code);
    }

    [Theory]
    [InlineData("y", "x", "races")]            // we are in the site that is wanted
    [InlineData("x", "y", "other_site")]
    [InlineData("z", "x", "races")]            // neither is: the last leader's site comes last
    [InlineData("x", "z", "other_site")]
    public void A_switchover_to_a_site_goes_there_or_at_least_away(string own, string other, string code) =>
        Assert.Equal(code, HaLoop.Decide(Race(own, ("b", other, 200)).LedFrom("x").Asked("y", "gone")).Code);

    [Fact]
    public void The_leader_steps_down_for_a_member_of_the_wanted_site_alone()
    {
        var o = Leader().InSite("b", "x").InSite("c", "y").Asked("y");

        var decision = HaLoop.Decide(o);

        Assert.Equal("steps_down", decision.Code);
        Assert.Contains("c can take over", decision.Reason, StringComparison.Ordinal);
        Assert.Equal(new HaAction.Demote(DemoteMode.Graceful, null, "y"), Assert.Single(decision.Actions));
        Assert.Contains(new HaAction.ClearFailover(70), HaLoop.Decide(Leader().InSite("b", "x").Asked("y")).Actions);
    }

    /// <summary>However sites and priorities are spread: of members with equal WAL one takes the key at once.</summary>
    [Fact]
    public void Some_member_always_goes_first()
    {
        string[] names = ["a", "b", "c"];
        foreach (var (sites, priorities, last, wanted) in
            from a in s_sites from b in s_sites from c in s_sites
            from pa in new[] { 1, 2 } from pb in new[] { 1, 2 } from pc in new[] { 1, 2 }
            from last in s_sites from wanted in s_sites
            select (new[] { a, b, c }, new[] { pa, pb, pc }, last, wanted))
        {
            var codes = names.Select((self, index) =>
            {
                var o = Every.Of(s_standby, null, default) with
                {
                    Self = self,
                    Options = MemberOptions.Default with
                    {
                        Site = sites[index],
                        Tags = new MemberTags(MemberTags.Empty.Values.SetItem(
                            "failover_priority", JsonElement.Parse($"{priorities[index]}"))),
                    },
                    Memory = new LoopMemory { UnlockedSince = Every.Now - TimeSpan.FromSeconds(3) },
                    Peers = Every.Answers(200, isPrimary: false) with
                    {
                        Reports = names.Where(name => name != self).ToImmutableSortedDictionary(
                            name => name,
                            name => new PeerReport(name, true, false, new Lsn(200), 1,
                                FailoverPriority: priorities[Array.IndexOf(names, name)]),
                            StringComparer.Ordinal),
                    },
                };
                for (var i = 0; i < names.Length; i++)
                {
                    o = o.InSite(names[i], sites[i]);
                }
                o = wanted is null ? o : o.Asked(wanted, leader: "gone");
                return HaLoop.Decide(o.LedFrom(last)).Code;
            }).ToArray();

            Assert.True(codes.Contains("races"),
                $"sites {string.Join(',', sites)}, priorities {string.Join(',', priorities)}, last {last}, wanted "
                    + $"{wanted}: {string.Join(' ', codes)}");
            Assert.All(codes, code => Assert.Contains(code, new[] { "races", "other_site", "lower_priority" }));
        }
    }

    [Theory]
    [InlineData("x", "x", "y", "c")]    // the leader stands here, the member that is meant for copies does not
    [InlineData("y", "x", "y", "b")]
    [InlineData("z", "x", "y", "b")]    // nobody stands here
    [InlineData(null, "x", "x", "b")]
    public void A_copy_comes_from_the_own_site_first(string? own, string leader, string other, string source)
    {
        var o = Every.Of(new LocalPostgres { Data = DataDirectory.Empty }, "c", default).InSite("c", leader)
            .InSite("b", other);
        o = o with
        {
            Options = o.Options with { Site = own },
            Cluster = o.Cluster! with
            {
                Members = o.Cluster.Members
                    .SetItem("b", o.Cluster.Members["b"] with
                    {
                        Tags = new MemberTags(MemberTags.Empty.Values.Add("clonefrom", JsonElement.Parse("true"))),
                    })
                    .SetItem("c", o.Cluster.Members["c"] with { Role = Role.Primary }),
            },
        };

        Assert.Equal(source, Source(o));
        // After a copy that failed the other one is tried, wherever it stands.
        Assert.NotEqual(source, Source(o with { Memory = o.Memory with { FailedClones = 1 } }));

        static string? Source(Observation o) =>
            Assert.IsType<HaAction.CopyMember>(Assert.Single(HaLoop.Decide(o).Actions), exactMatch: false).Source;
    }

    private static Observation Race(string? own, (string Name, string? Site, ulong Position) peer)
    {
        var o = Every.Of(s_standby, null, default) with
        {
            Options = MemberOptions.Default with { Site = own },
            Peers = Every.Answers(100, isPrimary: false),
            Memory = new LoopMemory { UnlockedSince = Every.Now - TimeSpan.FromSeconds(1) },
        };
        return o.InSite("a", own).InSite(peer.Name, peer.Site)
            .Answers(new PeerReport(peer.Name, true, false, new Lsn(peer.Position), 1));
    }

    private static Observation Leader() => Every.Of(
        Every.Server(ServerState.Running, isPrimary: true) with
        {
            Standbys = [.. new[] { "b", "c" }.Select(name => new StandbyRow(
                name, null, null, "streaming", "async", 0, new Lsn(200), new Lsn(200), new Lsn(200), new Lsn(200)))],
        },
        "a", new LeaseView(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30)),
        config: Every.Config("""{"switchover_grace":0}""")) with
    {
        Peers = Every.Answers(200, isPrimary: false),
        Memory = new LoopMemory { Request = (70, Every.Now - TimeSpan.FromSeconds(1)) },
    };
}

/// <summary>Small changes of an observation.</summary>
file static class Changes
{
    public static Observation InSite(this Observation o, string member, string? site) => o with
    {
        Cluster = o.Cluster! with
        {
            Members = o.Cluster.Members.SetItem(member, o.Cluster.Members[member] with { Site = site }),
        },
    };

    public static Observation LedFrom(this Observation o, string? site) => o with
    {
        Cluster = o.Cluster! with { Status = o.Cluster.Status with { CurrentSite = site } },
    };

    public static Observation Asked(this Observation o, string site, string leader = "a") => o with
    {
        Cluster = o.Cluster! with { Failover = new FailoverRequest(leader, null, null, 70) { Site = site } },
    };

    public static Observation Answers(this Observation o, PeerReport report) => o with
    {
        Peers = o.Peers! with { Reports = o.Peers.Reports.SetItem(report.Name, report) },
    };
}
