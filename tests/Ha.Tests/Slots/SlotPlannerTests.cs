using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster;
using Routing.Ha.Slots;
using Xunit;

namespace Routing.Ha.Tests.Slots;

public sealed class SlotPlannerTests
{
    private static readonly DynamicConfig s_noRetention = DynamicConfig.Default with { MemberSlotsTtl = TimeSpan.Zero };

    private static readonly DynamicConfig s_logical = DynamicConfig.Default with
    {
        PermanentSlots =
            DynamicConfig.Default.PermanentSlots.Add("cdc", new PermanentSlot(true, "app", "pgoutput", null)),
    };

    private static readonly StandbyClusterConfig s_archive = new(null, null, "fetch %f %p", null, [], null, null);

    [Fact]
    public void Leader_has_a_slot_for_every_other_member()
    {
        Check(Leader("a", "b", "pg-c.x"), "create b; create pg_c_x");
        Check(Leader("a", "b", "c") with { Slots = [Physical("b", 5), Physical("c", 5)] }, "");
    }

    [Theory]
    [InlineData("nostream: true", "")]
    [InlineData("replicatefrom: \"c\"", "create b")]     // kept on every node, so that it can stream from any
    public void Slot_of_a_member_depends_on_its_tags(string tag, string actions) =>
        Check(With(Leader("a", "b"), "b", tag), actions);

    [Fact]
    public void Replica_keeps_slots_of_all_members_and_advances_those_that_stream_elsewhere()
    {
        var o = Replica("b", leader: "a", "a", "c") with { Slots = [Physical("a", 50), Physical("c", 50)] };

        Check(Publish(o, ("c", 80), ("a", 90)), "advance a 90; advance c 80");
        Check(Publish(o, ("c", 40), ("a", 300)), "advance a 100");     // never back, never beyond what was replayed
        Check(Publish(o, ("c", 80)) with { Slots = [Physical("a", 50), Physical("c", 50) with { Active = true }] }, "");
    }

    [Fact]
    public void Cascading_member_streams_from_its_own_upstream()
    {
        var o = With(Replica("b", leader: "a", "a", "c"), "c", "replicatefrom: \"b\"");

        Check(Publish(o with { Slots = [Physical("a", 50), Physical("c", 50)] }, ("c", 80)), "");
        Check(o with { Config = s_noRetention }, "create c");
        var leader = With(Leader("a", "b", "c"), "c", "replicatefrom: \"b\"");
        leader = leader with
        {
            Slots = [Physical("b", 50), Physical("c", 50)],
            Cluster =
                leader.Cluster with { Members = leader.Cluster.Members.SetItem(
                    "c", leader.Cluster.Members["c"] with { XlogLocation = new Lsn(70) }) },
        };
        Check(leader, "advance c 70");
        Check(leader with { Config = s_noRetention }, "drop c");
    }

    [Fact]
    public void Without_retention_a_replica_has_no_slots_of_its_siblings() =>
        Check(Replica("b", leader: "a", "a", "c") with { Config = s_noRetention, Slots = [Physical("c", 5)] },
            "drop c");

    [Fact]
    public void Member_that_never_leads_has_slots_for_its_followers_alone()
    {
        var o = Replica("b", leader: "a", "a", "c", "d") with { Tags = Tags("nofailover: true"), Config = s_logical };

        Check(With(o, "d", "replicatefrom: \"b\""), "create d");
    }

    [Fact]
    public void Slot_of_an_absent_member_is_kept_for_its_time_and_then_dropped()
    {
        var o = Leader("a", "b") with { Slots = [Physical("b", 5)] };
        var seen = SlotPlanner.Plan(o);
        Assert.Equal(["b"], seen.RetainSlots!);

        o = o with { Memory = seen.Memory, Cluster = Remove(o.Cluster, "b"), Now = o.Now + TimeSpan.FromMinutes(30) };
        var kept = SlotPlanner.Plan(o);
        Assert.Equal(["b"], kept.RetainSlots!);
        Assert.Empty(kept.Actions);

        o = o with { Memory = kept.Memory, Now = o.Now + TimeSpan.FromSeconds(1) };
        Assert.Empty(SlotPlanner.Plan(o).RetainSlots!);
        Check(o, "drop b");
    }

    [Fact]
    public void New_leader_begins_the_time_of_absent_members_anew()
    {
        var o =
            Leader("a") with { Slots = [Physical("b", 5)], Memory = new SlotMemory(false, SlotMemory.Empty.LastSeen) };
        o = o with { Cluster = o.Cluster with { Status = LeaderStatus.None with { RetainSlots = ["b", "a"] } } };

        Assert.Equal(["b"], SlotPlanner.Plan(o).RetainSlots!);
    }

    [Fact]
    public void Replica_keeps_the_slots_that_the_leader_retains()
    {
        var o = Replica("b", leader: "a", "a");
        o = o with { Slots = [Physical("a", 5)],
            Cluster = o.Cluster with { Status = LeaderStatus.None with { RetainSlots = ["b", "gone"] } } };

        Check(o, "create gone");
        Assert.Null(SlotPlanner.Plan(o).RetainSlots);
        Assert.Null(SlotPlanner.Plan(o).PublishedSlots);
    }

    [Fact]
    public void Leader_publishes_its_slots_and_its_own_position()
    {
        var o = Leader("a", "b") with { Config = s_logical,
            Slots = [Physical("b", 50), Logical("cdc", 40), Physical("stray", 1)] };

        Assert.Equal("a=100 b=50 cdc=40", Print(SlotPlanner.Plan(o).PublishedSlots!));
        Assert.Equal("a=100 cdc=40", Print(
            SlotPlanner.Plan(o with { Config = s_logical with { MemberSlotsTtl = TimeSpan.Zero } }).PublishedSlots!));
        Assert.Empty(SlotPlanner.Plan(o with { Config = s_noRetention }).PublishedSlots!);
    }

    [Fact]
    public void Permanent_logical_slot_is_created_on_the_primary_and_advanced_on_replicas()
    {
        Check(Leader("a") with { Config = s_logical }, "create cdc app pgoutput");
        var replica = Replica("b", leader: "a", "a") with { Config = s_logical, Slots = [Physical("a", 100)] };
        Check(replica, "");                                    // the leader has not published it yet
        Check(Publish(replica, ("cdc", 40)), "");              // it has to be copied first: SlotCopiesTests
        Check(Publish(replica with { Slots = [Physical("a", 100), Logical("cdc", 30)] }, ("cdc", 40)),
            "advance cdc 40");
        Check(Publish(replica with { Slots = [Physical("a", 100), Logical("cdc", 30)], ReplayLsn = new Lsn(35) },
            ("cdc", 40)), "advance cdc 35");
        Check(Publish(replica with { Slots = [Physical("a", 100), Logical("cdc", 30)],
            Report = LogicalSlotReport.None with { Broken = ["cdc"] } }, ("cdc", 40)), "");
        Check(Publish(replica with { Slots = [Physical("a", 100), Logical("cdc", 30) with { Active = true }] },
            ("cdc", 40)), "");
        Check(Publish(replica with { DcsIsSilent = true, Slots = [Logical("cdc", 30)] }, ("cdc", 40)),
            "advance cdc 40");
        Assert.True(SlotPlanner.Plan(replica).NeedsHotStandbyFeedback);
        Assert.False(SlotPlanner.Plan(replica with { Config = DynamicConfig.Default }).NeedsHotStandbyFeedback);
        Assert.False(SlotPlanner.Plan(replica with { Tags = Tags("nostream: true") }).NeedsHotStandbyFeedback);
    }

    [Fact]
    public void Feedback_is_needed_where_a_copy_may_be_used_and_where_it_comes_through()
    {
        var barred = Replica("b", leader: "a", "a", "c") with { Config = s_logical, Tags = Tags("nofailover: true") };

        Assert.False(NeedsFeedback(barred));
        Assert.True(NeedsFeedback(With(barred, "c", "replicatefrom: \"b\"")));
        Assert.True(NeedsFeedback(Leader("a", "b") with { Config = s_logical }));   // it may be a standby next
        Assert.False(NeedsFeedback(Leader("a", "b") with { Config = s_logical with { UseSlots = false } }));
        Assert.False(NeedsFeedback(Leader("a", "b") with { Config = s_logical with { StandbyCluster = s_archive } }));

        static bool NeedsFeedback(SlotObservation o) => SlotPlanner.Plan(o).NeedsHotStandbyFeedback;
    }

    [Fact]
    public void A_new_primary_that_has_no_copy_says_that_the_consumers_must_be_set_up_anew()
    {
        var o = Publish(Leader("a") with { Config = s_logical }, ("cdc", 40));

        var made = Assert.Single(SlotPlanner.Plan(o).Actions);

        Assert.Contains("set up anew", made.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_slot_that_leaves_the_configuration_is_dropped_everywhere(bool leads)
    {
        var o = (leads ? Leader("a") : Replica("a", leader: "b", "b")) with { Slots = [Physical("b", 100)] };
        o = leads ? o with { Slots = [] } : o;

        Check(o with { Slots = o.Slots.Add(Logical("cdc", 1)) }, "drop cdc");
        Check(o with { Slots = o.Slots.Add(Logical("foreign", 1)),
            Config = DynamicConfig.Default with { IgnoreSlots = [new SlotMatcher("foreign", null, null, null)] } }, "");
    }

    [Theory]
    [InlineData(13, "")]
    [InlineData(16, "")]
    [InlineData(17, ", failover, synced")]
    [InlineData(18, ", failover, synced")]
    public void Only_a_server_with_slot_synchronisation_is_asked_for_it(int major, string columns)
    {
        Assert.Equal(columns, ServerFeatures.SyncColumns(major));
        Assert.Equal(columns.Length > 0, ServerFeatures.HasSlotSync(major));
    }

    [Fact]
    public void What_replays_from_an_archive_has_no_logical_slots()
    {
        Check(Leader("a") with { Config = s_logical with { StandbyCluster = s_archive }, IsPrimary = false }, "");
        Check(
            Publish(Replica("b", leader: "a", "a") with { Config = s_logical, Slots = [Physical("a", 1)],
                Tags = Tags("nostream: true") }, ("cdc", 1)), "");
    }

    [Theory]
    [InlineData("primary", "create x")]
    [InlineData("standby", "")]
    [InlineData(null, "create x")]
    public void Permanent_physical_slot_belongs_to_a_kind_of_cluster(string? type, string actions) =>
        Check(Leader("a") with { Config = WithPermanent("x", type) }, actions);

    [Fact]
    public void Permanent_slot_named_like_a_member_gives_way_and_own_name_is_skipped()
    {
        Check(Leader("a") with { Config = WithPermanent("a", null) }, "");
        var plan = SlotPlanner.Plan(Leader("a", "cdc") with { Config = s_logical, Slots = [Physical("cdc", 1)] });
        Assert.Empty(plan.Actions);
        Assert.Contains("cdc", Assert.Single(plan.Problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Members_whose_slot_names_collide_are_reported() =>
        Assert.Contains("pg-b", Assert.Single(SlotPlanner.Plan(Leader("a", "pg-b", "pg.b")).Problems),
            StringComparison.Ordinal);

    [Fact]
    public void Slot_that_nobody_needs_is_dropped_but_not_while_it_is_used()
    {
        var o = Leader("a") with { Slots = [Physical("old", 1)] };

        Check(o, "drop old");
        Check(o with { Config = DynamicConfig.Default with { Pause = true } }, "");
        Check(o with { DcsIsSilent = true }, "");
        Check(o with { Slots = [Physical("old", 1) with { Temporary = true }] }, "");
        var used = SlotPlanner.Plan(o with { Slots = [Physical("old", 1) with { Active = true }] });
        Assert.Empty(used.Actions);
        Assert.Single(used.Problems);
    }

    [Theory]
    [InlineData("cdc", null, null, null, true)]
    [InlineData(null, "logical", "app", "pgoutput", true)]
    [InlineData("cdc", "physical", null, null, false)]
    [InlineData("cdc", null, "other", null, false)]
    [InlineData(null, null, null, "wal2json", false)]
    public void Ignored_slot_is_left_alone_when_every_given_attribute_fits(
        string? name, string? type, string? database, string? plugin, bool ignored)
    {
        var o = Leader("a") with
        {
            Config = DynamicConfig.Default with { IgnoreSlots = [new SlotMatcher(name, type, database, plugin)] },
            Slots = [Logical("cdc", 1)],
        };

        Check(o, ignored ? "" : "drop cdc");
    }

    [Fact]
    public void Wrong_slots_are_dropped_first_and_created_by_the_next_run()
    {
        var o = Leader("a", "b");

        Check(o with { Slots = [Physical("b", 1) with { Lost = true }] }, "drop b");
        Check(o with { Slots = [Physical("b", 1) with { RestartLsn = null }] }, "drop b");
        Check(o with { Slots = [Logical("b", 1)] }, "drop b");
        Check(Leader("a") with { Config = s_logical, Slots = [Logical("cdc", 1) with { Plugin = "wal2json" }] },
            "drop cdc");
        Check(Leader("a") with { Config = s_logical, Slots = [Logical("cdc", 1) with { Database = "other" }] },
            "drop cdc");
    }

    [Fact]
    public void Slot_that_holds_back_vacuum_for_somebody_who_streams_elsewhere_is_dropped_while_a_primary_leads()
    {
        var o = Replica("b", leader: "a", "a",
            "c") with { Slots = [Physical("a", 100), Physical("c", 100) with { Xmin = 7 }] };

        Check(o, "drop c");
        Check(o with { Cluster = o.Cluster with { Leader = null } }, "");
        Check(With(o, "c", "replicatefrom: \"b\""), "");
        Check(Leader("a", "b") with { Slots = [Physical("b", 1) with { Xmin = 7 }] }, "");
    }

    [Fact]
    public void Primary_whose_agent_was_started_anew_keeps_the_slots_of_members_that_are_away()
    {
        var o = Leader("a", "b") with { IsLeader = false, Slots = [Physical("b", 1) with { Xmin = 7 }] };

        Check(o, "");
        Check(o with { IsPrimary = false }, "drop b");
    }

    [Fact]
    public void Failover_slots_of_PostgreSQL_17_are_its_own_affair()
    {
        var native = Logical("native", 1) with { Failover = true };

        Check(Leader("a") with { Slots = [native], ServerMajor = 17 }, "");
        Check(Leader("a") with { Slots = [native] }, "drop native");      // the column means nothing before 17
        Check(Replica("b", leader: "a", "a") with { Slots = [Physical("a", 100), native with { Synced = true }],
            ServerMajor = 17 }, "");
        Check(Replica("b", leader: "a", "a") with { Slots = [Physical("a", 100), native], ServerMajor = 17 },
            "drop native");
    }

    [Fact]
    public void With_use_slots_off_member_slots_go_and_the_operators_stay() =>
        Check(
            Leader("a", "b") with { Config = DynamicConfig.Default with { UseSlots = false },
                Slots = [Physical("b", 1), Physical("backup", 1)] },
            "drop b");

    [Fact]
    public void While_the_DCS_is_silent_slots_are_only_advanced() =>
        Check(
            Publish(Replica("b", leader: "a", "a", "c", "d") with { DcsIsSilent = true,
                Slots = [Physical("c", 50), Physical("stray", 1)] }, ("c", 60)),
            "advance c 60");

    [Fact]
    public void A_leader_without_the_DCS_drops_nothing_and_still_has_positions_to_tell()
    {
        var plan = SlotPlanner.Plan(Leader("a", "b") with
        {
            DcsIsSilent = true,
            Slots = [Physical("b", 60), Physical("stray", 1), Physical("lost", 1) with { Lost = true }],
        });

        Assert.Empty(plan.Actions);
        Assert.Equal("a=100 b=60", Print(plan.PublishedSlots!));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_time_of_an_absent_member_stands_still_while_the_DCS_is_silent(bool isSilent)
    {
        var o = Leader("a", "b") with { Slots = [Physical("b", 5)] };
        var ttl = o.Config.MemberSlotsTtl;
        var memory = SlotPlanner.Plan(o).Memory;
        o = o with { Cluster = Remove(o.Cluster, "b") };

        // Away for two thirds of its time, of which a part is silence that lasts longer than the whole of it.
        foreach (var step in Enumerable.Range(1, 30))
        {
            o = o with { Now = o.Now + (ttl / 10), DcsIsSilent = isSilent && step is > 3 and <= 27, Memory = memory };
            memory = SlotPlanner.Plan(o).Memory;
        }

        Check(o with { Memory = memory }, isSilent ? "" : "drop b");
        Check(o with { Memory = memory, Now = o.Now + (ttl / 2) }, "drop b");
    }

    private static void Check(SlotObservation o, string expected) =>
        Assert.Equal(expected, string.Join("; ", SlotPlanner.Plan(o).Actions.Select(action => action switch
        {
            SlotAction.CreatePhysical => $"create {action.Name}",
            SlotAction.CreateLogical create => $"create {create.Name} {create.Database} {create.Plugin}",
            SlotAction.Advance advance => $"advance {advance.Name} {advance.To.Value}",
            _ => $"drop {action.Name}",
        })));

    private static SlotObservation Leader(string self, params string[] others) => Observe(self, self, others);

    private static SlotObservation Replica(string self, string leader, params string[] others) =>
        Observe(self, leader, others);

    private static SlotObservation Observe(string self, string leader, string[] others) => new()
    {
        Self = self,
        Cluster = new ClusterSnapshot
        {
            Revision = 1,
            Leader = new LeaderKey(leader, new Term(1), 1, 1),
            Members = others.Append(self).ToImmutableSortedDictionary(
                name => name,
                name =>
                    new Member { Name = name, Version = "4.1.4", Role = name == leader ? Role.Primary : Role.Replica },
                StringComparer.Ordinal),
        },
        Config = DynamicConfig.Default,
        IsLeader = self == leader,
        IsPrimary = self == leader,
        ServerMajor = 15,
        Lsn = new Lsn(100),
        ReplayLsn = new Lsn(100),
        Now = TimeSpan.FromHours(1),
    };

    private static SlotObservation Publish(SlotObservation o, params (string Name, ulong Lsn)[] slots) => o with
    {
        Cluster = o.Cluster with
        {
            Status =
                LeaderStatus.None with { Slots = slots.ToImmutableSortedDictionary(
                    slot => slot.Name, slot => new Lsn(slot.Lsn), StringComparer.Ordinal) },
        },
    };

    private static SlotObservation With(SlotObservation o, string member, string tag) => o with
    {
        Cluster =
            o.Cluster with { Members =
                o.Cluster.Members.SetItem(member, o.Cluster.Members[member] with { Tags = Tags(tag) }) },
    };

    private static ClusterSnapshot Remove(ClusterSnapshot cluster, string member) =>
        cluster with { Members = cluster.Members.Remove(member) };

    private static DynamicConfig WithPermanent(string name, string? clusterType) => DynamicConfig.Default with
    {
        PermanentSlots =
            DynamicConfig.Default.PermanentSlots.Add(name, new PermanentSlot(false, null, null, clusterType)),
    };

    private static MemberTags Tags(string tag)
    {
        var colon = tag.IndexOf(':', StringComparison.Ordinal);
        return new MemberTags(MemberTags.Empty.Values.Add(tag[..colon], JsonElement.Parse(tag[(colon + 1)..])));
    }

    private static ReplicationSlot Physical(string name, ulong lsn) => new() { Name = name, RestartLsn = new Lsn(lsn) };

    private static ReplicationSlot Logical(string name, ulong lsn) => new()
    {
        Name = name, IsLogical = true, Database = "app", Plugin = "pgoutput", RestartLsn = new Lsn(1),
        ConfirmedFlushLsn = new Lsn(lsn),
    };

    private static string Print(ImmutableSortedDictionary<string, Lsn> slots) =>
        string.Join(' ', slots.Select(slot => $"{slot.Key}={slot.Value.Value}"));
}
