using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster.HostChoice;

namespace Routing.Cluster.Tests;

/// <summary>Who serves what, as tables. Each member is written "name role state lag tag".</summary>
public sealed class HostChooserTests
{
    private const long Position = 10_000;

    [Theory]
    // wanted, fallback, members, leader → tiers
    [InlineData(WantedRole.Primary, LeaderFallback.Never, "a=primary b=replica", "a", "a")]
    [InlineData(WantedRole.Primary, LeaderFallback.Never, "a=primary/starting b=replica", "a", "")]
    // holds the key, is not promoted yet
    [InlineData(WantedRole.Primary, LeaderFallback.Never, "a=replica b=replica", "a", "")]
    // the key decides, not the word
    [InlineData(WantedRole.Primary, LeaderFallback.Never, "a=primary b=primary", "b", "b")]
    [InlineData(WantedRole.Primary, LeaderFallback.Never, "a=primary b=replica", null, "")]
    [InlineData(WantedRole.Replica, LeaderFallback.Never, "a=primary b=replica c=replica", "a", "b,c")]
    [InlineData(WantedRole.Replica, LeaderFallback.Never, "a=primary b=replica/stopped c=replica", "a", "c")]
    [InlineData(WantedRole.Replica, LeaderFallback.Never, "a=primary", "a", "")]
    [InlineData(WantedRole.Replica, LeaderFallback.WhenEmpty, "a=primary b=replica", "a", "b a")]
    [InlineData(WantedRole.Replica, LeaderFallback.WhenEmpty, "a=primary", "a", "a")]
    [InlineData(WantedRole.Replica, LeaderFallback.Always, "a=primary b=replica", "a", "a,b")]
    // readers need no leader
    [InlineData(WantedRole.Replica, LeaderFallback.Never, "b=replica c=replica", null, "b,c")]
    [InlineData(WantedRole.PreferReplica, LeaderFallback.Never, "a=primary b=replica", "a", "b a")]
    [InlineData(WantedRole.PreferPrimary, LeaderFallback.Never, "a=primary b=replica", "a", "a b")]
    [InlineData(WantedRole.PreferPrimary, LeaderFallback.Never, "b=replica", null, "b")]
    [InlineData(WantedRole.Any, LeaderFallback.Never, "a=primary b=replica", "a", "a,b")]
    [InlineData(WantedRole.Synchronous, LeaderFallback.Never, "a=primary b=replica c=replica", "a", "b")]
    [InlineData(WantedRole.Replica, LeaderFallback.Never, "a=primary b=replica:2000 c=replica:500", "a", "c")]
    [InlineData(WantedRole.Replica, LeaderFallback.Never, "a=primary b=replica#noloadbalance c=replica", "a", "c")]
    // a standby cluster has no primary, and each of its members can be read from
    [InlineData(WantedRole.Primary, LeaderFallback.Never, "a=standby_leader b=replica", "a", "")]
    [InlineData(WantedRole.Replica, LeaderFallback.Never, "a=standby_leader b=replica", "a", "a,b")]
    [InlineData(WantedRole.Any, LeaderFallback.Always, "a=standby_leader b=replica", "a", "a,b")]
    [InlineData(WantedRole.PreferPrimary, LeaderFallback.Never, "a=standby_leader b=replica", "a", "a,b")]
    public void A_request_is_served_by(
        WantedRole role, LeaderFallback fallback, string members, string? leader, string tiers)
    {
        var set = HostChooser.Select(
            Cluster(members, leader), new Term(5),
            new HostRequest { Role = role, Fallback = fallback, MaximumLagBytes = 1000 });

        Assert.Equal(tiers, TiersOf(set));
        Assert.All(set.Verdicts, verdict => Assert.NotEmpty(verdict.Reason));
    }

    [Fact]
    public void A_leader_of_a_lower_term_than_one_that_was_seen_is_none() =>
        Assert.Equal("", TiersOf(
            HostChooser.Select(Cluster("a=primary", "a"), new Term(6), new HostRequest { Role = WantedRole.Primary })));

    [Fact]
    public void The_own_zone_comes_first_and_required_tags_exclude()
    {
        var cluster = Cluster("a=primary b=replica#zone=x c=replica#zone=y", "a");

        Assert.Equal("c b",
            TiersOf(HostChooser.Select(cluster, default, new HostRequest { Role = WantedRole.Replica, Zone = "y" })));
        Assert.Equal("b", TiersOf(HostChooser.Select(
            cluster, default,
            new HostRequest { Role = WantedRole.Replica, RequiredTags = [KeyValuePair.Create("zone", "x")] })));
    }

    [Fact]
    public void A_zone_is_the_site_of_a_member_that_has_no_such_tag()
    {
        var cluster = Cluster("a=primary b=replica#zone=x c=replica d=replica", "a");
        cluster = cluster with
        {
            Members = cluster.Members.SetItem("b", cluster.Members["b"] with { Site = "y" })
                .SetItem("d", cluster.Members["d"] with { Site = "y" }),
        };

        Assert.Equal("d b,c",
            TiersOf(HostChooser.Select(cluster, default, new HostRequest { Role = WantedRole.Replica, Zone = "y" })));
        Assert.Equal("b c,d",
            TiersOf(HostChooser.Select(cluster, default, new HostRequest { Role = WantedRole.Replica, Zone = "x" })));
    }

    [Fact]
    public void A_causal_read_needs_what_was_replayed() =>
        Assert.Equal("c", TiersOf(HostChooser.Select(
            Cluster("a=primary b=replica:100 c=replica:10", "a"), default,
            new HostRequest { Role = WantedRole.Replica, MinimumReplayed = new Lsn((ulong)(Position - 50)) })));

    [Fact]
    public void Every_small_situation_gives_the_least_busy_usable_member_of_the_first_tier_with_one()
    {
        var set = new HostSet { Members = [Named("a"), Named("b"), Named("c")], TierEnds = [2, 3] };
        int[] busy = [0, 1, 2];
        foreach (var (a, b, c) in from a in busy from b in busy from c in busy select (a, b, c))
        {
            for (var flags = 0; flags < 64; flags++)
            {
                var loads = new Loads([Load(a, flags), Load(b, flags >> 2), Load(c, flags >> 4)]);
                for (var turn = 0U; turn < 3; turn++)
                {
                    var picked = set.Pick(HostPolicy.LeastConnections, loads, turn, 0);
                    Check(set, loads, picked);
                    Check(set, loads, set.Pick(HostPolicy.RoundRobin, loads, turn, 0), leastBusy: false);
                    Check(set, loads, set.Pick(HostPolicy.RandomOfTwo, loads, turn, (turn << 16) | (uint)flags),
                        leastBusy: false);
                }
            }
        }

        static HostLoad Load(int busy, int flags) => new(busy, (flags & 1) != 0, (flags & 2) != 0);
    }

    [Fact]
    public void Equals_take_turns_and_one_that_warms_up_gets_less()
    {
        var set = new HostSet { Members = [Named("a"), Named("b")], TierEnds = [2] };

        var turns =
            Enumerable.Range(0, 6).Select(
                turn => set.Pick(HostPolicy.LeastConnections, new Loads([new(0, false, false), new(0, false, false)]),
                    (uint)turn, 0));
        Assert.Equal([0, 1, 0, 1, 0, 1], turns);
        Assert.Equal(0,
            set.Pick(HostPolicy.LeastConnections, new Loads([new(5, false, false), new(1, false, false, 0.1)]), 0, 0));
    }

    private static void Check(HostSet set, Loads loads, int picked, bool leastBusy = true)
    {
        int[] usable = [.. Enumerable.Range(0, 3).Where(at => !loads[at].IsRefused)];
        int[] good = [.. usable.Where(at => !loads[at].IsOut)];
        int[] first = good.Where(at => at < set.TierEnds[0]).ToArray() is { Length: > 0 } near ? near : good;
        int[] allowed = first.Length > 0 ? first : usable;
        Assert.True(allowed.Length == 0 ? picked == -1 : allowed.Contains(picked));
        if (leastBusy && picked >= 0)
        {
            Assert.Equal(allowed.Min(at => loads[at].Busy), loads[picked].Busy);
        }
    }

    private static string TiersOf(HostSet set)
    {
        var tiers = new List<string>();
        var start = 0;
        foreach (var end in set.TierEnds)
        {
            tiers.Add(string.Join(',', set.Members[start..end].Select(one => one.Name)));
            start = end;
        }
        return string.Join(' ', tiers);
    }

    private static Member Named(string name) => new() { Name = name };

    private static ClusterSnapshot Cluster(string members, string? leader)
    {
        var all = ImmutableSortedDictionary.CreateBuilder<string, Member>(StringComparer.Ordinal);
        foreach (var text in members.Split(' '))
        {
            var name = text[..1];
            var words = text[2..].Split('#', 2);
            var roleStateLag = words[0].Split(':', 2);
            var roleState = roleStateLag[0].Split('/', 2);
            var tag = words.Length > 1 ? words[1].Split('=', 2) : [];
            var tags = ImmutableSortedDictionary<string, JsonElement>.Empty;
            if (tag.Length > 0)
            {
                tags = tags.Add(tag[0], JsonElement.Parse(tag.Length > 1 ? $"\"{tag[1]}\"" : "true"));
            }
            all[name] = new Member
            {
                Name = name,
                Address = new HostPort("10.0.0.1", 5432),
                Role = roleState[0] switch
                {
                    "primary" => Role.Primary,
                    "standby_leader" => Role.StandbyLeader,
                    _ => Role.Replica,
                },
                State = roleState.Length == 1
                    ? PostgresState.Running
                    : Enum.Parse<PostgresState>(roleState[1], ignoreCase: true),
                ReplayLsn =
                    new Lsn((ulong)(Position - (roleStateLag.Length > 1 ? long.Parse(roleStateLag[1], null) : 0))),
                Tags = new MemberTags(tags),
            };
        }
        return new ClusterSnapshot
        {
            Revision = 9,
            Leader = leader is null ? null : new LeaderKey(leader, new Term(5), 5, 1),
            Members = all.ToImmutable(),
            Status = LeaderStatus.None with { Optime = new Lsn(Position) },
            Sync = new SyncState("a", ImmutableSortedSet.Create<string>(StringComparer.OrdinalIgnoreCase, "b"), 0, 1),
        };
    }

    private readonly struct Loads(HostLoad[] loads) : IHostLoads
    {
        public HostLoad this[int index] => loads[index];
    }
}
