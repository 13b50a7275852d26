using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Slots;
using Xunit;

namespace Routing.Ha.Tests.Slots;

/// <summary>When a copied logical slot is known to be safe, should its standby be promoted.</summary>
public sealed class SlotReadinessTests
{
    private static readonly DateTimeOffset s_started = DateTimeOffset.UnixEpoch.AddDays(20000);

    private static readonly SlotGround s_ground = new("b", new Term(50), s_started);

    [Fact]
    public void A_copy_is_asked_about_until_it_is_known_to_be_safe()
    {
        var o = Standby(copy: 100);

        var first = SlotPlanner.Plan(o);
        var safe = SlotPlanner.Plan(Answered(o with { Memory = first.Memory }, physical: 100, logical: 100));

        Assert.Equal(["cdc"], first.Unready);
        Assert.Equal(new HostPort("b", 5432), first.Question!.Address);
        Assert.Equal(("a", "cdc"), (first.Question.PhysicalSlot, Assert.Single(first.Question.Names)));
        Assert.Equal(s_ground, first.Question.Ground);
        Assert.Empty(safe.Unready);
        Assert.Null(safe.Question);
        Assert.Equal(["cdc"], safe.Memory.Ready);
    }

    [Theory]
    [InlineData(null, 100u, 100u, false)]               // no feedback has arrived
    [InlineData(90u, 100u, 90u, false)]                 // the leader may have removed rows that the copy needs
    [InlineData(100u, 100u, 90u, false)]                // it keeps less than the copy needs
    [InlineData(100u, 100u, 100u, true)]
    [InlineData(105u, 100u, 110u, true)]
    [InlineData(5u, 4294967290u, 7u, true)]             // the numbers have gone round
    [InlineData(4294967290u, 5u, 4294967290u, false)]
    public void It_is_safe_when_the_leader_has_kept_all_that_it_needs(
        uint? physical, uint logical, uint copy, bool isSafe) =>
        Assert.Equal(isSafe,
            SlotPlanner.Plan(Answered(Standby(copy), physical, logical)).Unready.IsEmpty);

    [Fact]
    public void What_counts_is_the_leaders_slot_when_its_feedback_was_first_seen()
    {
        var o = Standby(copy: 90);
        var seen = SlotPlanner.Plan(Answered(o, physical: 90, logical: 100));

        // The consumer goes on; the copy follows to where the leader's slot was then.
        o = Standby(copy: 101) with { Memory = seen.Memory };
        var after = SlotPlanner.Plan(Answered(o, physical: 101, logical: 150));

        Assert.Empty(seen.Question!.Names);
        Assert.Empty(after.Unready);
    }

    [Theory]
    [InlineData("leader")]
    [InlineData("term")]
    [InlineData("restart")]
    public void Another_leader_and_another_start_make_the_check_due_again(string what)
    {
        var o = Answered(Standby(copy: 100), physical: 100, logical: 100);
        var memory = SlotPlanner.Plan(o).Memory;
        o = what switch
        {
            "leader" => o with { Cluster = o.Cluster with { Leader = new LeaderKey("c", new Term(51), 1, 1) } },
            "term" => o with { Cluster = o.Cluster with { Leader = new LeaderKey("b", new Term(51), 1, 1) } },
            _ => o with { PostmasterStart = s_started.AddSeconds(1) },
        };

        var plan = SlotPlanner.Plan(o with { Memory = memory });

        Assert.Equal(["cdc"], plan.Unready);
        Assert.Equal(["cdc"], plan.Question!.Names);
    }

    [Fact]
    public void Without_the_DCS_nothing_is_asked_and_nothing_forgotten()
    {
        var memory = SlotPlanner.Plan(Answered(Standby(copy: 100), physical: 100, logical: 100)).Memory;

        var plan = SlotPlanner.Plan(Standby(copy: 100) with { DcsIsSilent = true, Memory = memory });

        Assert.Empty(plan.Unready);
        Assert.Null(SlotPlanner.Plan(Standby(copy: 100) with { DcsIsSilent = true }).Question);
    }

    [Fact]
    public void The_winner_of_a_race_still_knows_what_is_not_safe_and_a_primary_needs_no_check()
    {
        var winner = Standby(copy: 100) with { IsLeader = true };
        winner = winner with { Cluster = winner.Cluster with { Leader = new LeaderKey("a", new Term(51), 1, 1) } };

        Assert.Equal(["cdc"], SlotPlanner.Plan(winner).Unready);
        Assert.Null(SlotPlanner.Plan(winner).Question);
        Assert.Empty(SlotPlanner.Plan(winner with { IsPrimary = true }).Unready);
    }

    [Fact]
    public void A_cascading_standbys_feedback_arrives_at_its_upstreams_slot()
    {
        var o = Standby(copy: 100) with { Tags = ReplicatesFrom("c") };

        Assert.Equal("c", SlotPlanner.Plan(o).Question!.PhysicalSlot);
        Assert.Equal("a", SlotPlanner.Plan(o with { Tags = ReplicatesFrom("b") }).Question!.PhysicalSlot);
        Assert.Equal("a", SlotPlanner.Plan(o with { Tags = ReplicatesFrom("gone") }).Question!.PhysicalSlot);
    }

    [Fact]
    public void The_servers_own_slot_synchronisation_answers_for_its_slots()
    {
        var o = Standby(copy: 100) with { ServerMajor = 17 };
        o = o with { Slots = [o.Slots[0] with { Failover = true, Synced = true }] };

        Assert.Empty(SlotPlanner.Plan(o).Unready);
    }

    private static MemberTags ReplicatesFrom(string name) => new(MemberTags.Empty.Values.Add(
        "replicatefrom", System.Text.Json.JsonElement.Parse($"\"{name}\"")));

    private static SlotObservation Answered(SlotObservation o, uint? physical, uint logical) => o with
    {
        Report = LogicalSlotReport.None with
        {
            Answer = new LeaderSlotAnswer(s_ground, true, physical,
                ImmutableSortedDictionary<string, uint>.Empty.Add("cdc", logical)),
        },
    };

    private static SlotObservation Standby(uint copy)
    {
        var o = SlotCopiesTests.Standby();
        return SlotBasis.Of(o)!.Observe(o, SlotMemory.Empty) with
        {
            PostmasterStart = s_started,
            Slots = [SlotCopiesTests.Cdc with { CatalogXmin = copy }],
        };
    }
}
