using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Slots;
using Xunit;

namespace Routing.Ha.Tests.Slots;

/// <summary>
/// Permanent logical slots of a standby cluster: its leader copies those of the remote primary, the others its copies.
/// </summary>
public sealed class StandbyClusterSlotsTests
{
    private const string Remote = """{"host":"far","port":5433,"primary_slot_name":"here"}""";

    private static readonly Upstream s_remote = new(new HostPort("far", 5433), "here");

    private static readonly LeaseView s_held =
        new(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));

    private static readonly SlotGround s_ground =
        new("the remote primary far:5433 on timeline 3", default, PostmasterStart: null);

    [Fact]
    public void The_leader_copies_what_the_remote_primary_has_and_asks_it_on_and_on()
    {
        var asks = Plan(Leader());
        var copies = HaLoop.Decide(Told(Leader(), ("cdc", 150)));

        Assert.Equal((s_ground, new HostPort("far", 5433), "here", "cdc"), (asks.Question!.Ground,
            asks.Question.Address, asks.Question.PhysicalSlot, Assert.Single(asks.Question.Names)));
        Assert.Equal("leads_standby", HaLoop.Decide(Leader()).Code);   // it has not been told yet
        var copy = Assert.IsType<HaAction.CopySlots>(Assert.Single(copies.Actions));
        Assert.Equal(("copies_slots", null, "cdc", s_remote),
            (copies.Code, copy.Leader, Assert.Single(copy.Names), copy.Upstream));
        Assert.Equal("leads_standby", HaLoop.Decide(Told(Leader())).Code);
        var safe = Plan(Told(Leader(Cdc(150)), ("cdc", 150)));
        Assert.Empty(safe.Unready);
        Assert.NotNull(safe.Question);   // nobody else tells it how far the consumer is
    }

    [Fact]
    public void The_leader_moves_its_copy_to_what_the_consumer_has_confirmed_and_publishes_it()
    {
        var o = Told(Leader(Cdc(100)), ("cdc", 150));

        var move = Assert.IsType<SlotAction.Advance>(Assert.Single(Plan(o).Actions));

        Assert.Equal((new Lsn(150), "app"), (move.To, move.Database));
        Assert.Equal(new Lsn(100), Plan(o).PublishedSlots!["cdc"]);
        Assert.Equal(new Lsn(120), Assert.IsType<SlotAction.Advance>(Assert.Single(
            Plan(o with { Local = o.Local with { ReplayedLsn = new Lsn(120) } }).Actions)).To);
        Assert.True(Plan(o).NeedsHotStandbyFeedback);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_another_remote_server_has_told_counts_no_more(bool isNewServer)
    {
        var o = Told(Leader(Cdc(100)), ("cdc", 150));
        o = o with
        {
            Local = isNewServer ? o.Local with { Sender = new HostPort("farther", 5433) }
                : o.Local with { Timeline = 4 },
        };

        Assert.Empty(Plan(o).Actions);
        Assert.Equal(["cdc"], Plan(o).Unready);
        Assert.NotEqual(s_ground, Plan(o).Question!.Ground);
    }

    [Fact]
    public void Without_a_stream_the_leader_asks_nobody_and_leaves_its_copies_alone()
    {
        var o = Told(Leader(Cdc(100)), ("cdc", 150));
        o = o with { Local = o.Local with { IsStreaming = false } };

        Assert.Empty(Plan(o).Actions);
        Assert.Null(Plan(o).Question);
        Assert.DoesNotContain(HaLoop.Decide(o).Actions, action => action is HaAction.CopySlots);
    }

    [Fact]
    public void The_others_copy_the_leaders_copy_and_follow_it()
    {
        var lacks = HaLoop.Decide(Member());
        var plan = Plan(Member(Cdc(100)));

        Assert.Equal("b", Assert.IsType<HaAction.CopySlots>(Assert.Single(lacks.Actions)).Leader);
        Assert.Equal(new Lsn(150), Assert.IsType<SlotAction.Advance>(Assert.Single(plan.Actions)).To);
        Assert.Equal(["cdc"], plan.Unready);   // whoever will lead asks the remote primary then
        Assert.Null(plan.Question);
        Assert.True(plan.NeedsHotStandbyFeedback);
        var unsure = Member();
        unsure = unsure with { Cluster = unsure.Cluster! with { Members =
            unsure.Cluster.Members.SetItem("b", Every.Member("b", Role.Replica)) } };
        Assert.DoesNotContain(HaLoop.Decide(unsure).Actions, action => action is HaAction.CopySlots);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_copy_whose_slot_is_gone_at_its_source_goes_after_a_while(bool leads)
    {
        var o = leads ? Told(Leader(Cdc(100))) : Member(Cdc(100));
        o = leads ? o : o with { Cluster = o.Cluster! with { Status = LeaderStatus.None } };
        var first = Plan(o);
        var later = o with { Now = o.Now + o.Config.MemberSlotsTtl };
        var back = leads ? Told(later, ("cdc", 100)) : later with { Cluster = Member().Cluster };

        Assert.Empty(first.Actions);
        Assert.IsType<SlotAction.Drop>(Assert.Single(Plan(later, first.Memory).Actions));
        Assert.DoesNotContain(Plan(back, first.Memory).Actions, action => action is SlotAction.Drop);
        Assert.Empty(Plan(back, first.Memory).Memory.Lacking);
        // A leader that does not stream, and one that does not run, have told nothing.
        var silent = leads ? later with { Local = later.Local with { IsStreaming = false } }
            : later with { Cluster = later.Cluster! with { Members = later.Cluster.Members.Remove("b") } };
        Assert.Empty(Plan(silent).Memory.Lacking);
    }

    [Fact]
    public void A_primary_that_is_to_follow_keeps_its_slots_and_makes_none()
    {
        var o = Leader() with { Local = Every.Server(ServerState.Running, isPrimary: true) };

        Assert.Empty(Plan(o).Actions);
        Assert.Empty(Plan(o with { Local = o.Local with { Slots = [Cdc(100)] } }).Actions);
    }

    [Fact]
    public void A_leader_that_is_to_be_promoted_still_knows_which_copies_are_safe()
    {
        var o = Told(Leader(Cdc(150)), ("cdc", 150));
        var known = Plan(o).Memory;
        var config = Every.Config(Text("null"));

        Assert.Equal(["cdc"], known.Ready);
        Assert.Empty(Plan(o with { Config = config }, known).Unready);
        Assert.Equal(["cdc"], Plan(o with { Config = config }).Unready);
    }

    [Fact]
    public void From_an_archive_alone_no_slot_can_follow()
    {
        var config = Every.Config(Text("""{"restore_command":"fetch %f %p"}"""));
        var o = Leader(Cdc(100)) with { Config = config };

        Assert.IsType<SlotAction.Drop>(Assert.Single(Plan(o).Actions));
        Assert.False(Plan(o).NeedsHotStandbyFeedback);
    }

    [Fact]
    public void What_the_other_side_asked_for_before_a_switch_does_not_hold_back_vacuum_for_ever()
    {
        const string slots = "\"slots\":{\"other_side\":{\"type\":\"physical\"}}";
        var config = Every.Config($"{{\"standby_cluster\":{Remote},{slots}}}");
        var left = Physical("other_side") with { CatalogXmin = 700, RestartLsn = new Lsn(1 << 30) };
        var leader = Demoted(Leader(left) with { Config = config });
        var member = Member(left) with { Config = config };
        var led = Member();
        led = led with { Local = led.Local with { Slots = [Physical("b") with { Xmin = 7 }] } };

        Assert.IsType<SlotAction.Drop>(Assert.Single(Plan(leader).Actions));   // the next run makes it anew
        Assert.Empty(Plan(With(leader, left with { Active = true })).Actions);
        Assert.Empty(Plan(With(leader, Physical("other_side"))).Actions);
        // Its consumer was away at the switch, and needs the WAL since then.
        Assert.Empty(Plan(With(leader, left with { RestartLsn = new Lsn(1 << 29) })).Actions);
        Assert.Empty(Plan(Leader(left) with { Config = config }).Actions);
        // A primary may get its standby cluster back: what that needs stays.
        Assert.DoesNotContain(Plan(leader with { Config = Every.Config($"{{{slots}}}"), Local =
            leader.Local with { IsPrimary = true } }).Actions, action => action is SlotAction.Drop);
        // On the others it is made anew, and so is the slot of whoever led before.
        Assert.Equal("other_side", Assert.IsType<SlotAction.Drop>(Assert.Single(Plan(member).Actions)).Name);
        Assert.Equal("b", Assert.IsType<SlotAction.Drop>(Assert.Single(Plan(led).Actions)).Name);
    }

    private static Observation Demoted(Observation o) => o with
    {
        Cluster = o.Cluster! with
        {
            RoutingKeys = o.Cluster.RoutingKeys.SetItem(ClusterKeys.Demotion,
                new CleanDemotion(new Lsn((1 << 30) + 112), 2, "7", "a", "").Write()),
        },
    };

    private static Observation With(Observation o, params ImmutableArray<ReplicationSlot> slots) =>
        o with { Local = o.Local with { Slots = slots } };

    private static string Text(string standby) =>
        $$"""{"standby_cluster":{{standby}},""" + """ "slots":{"cdc":{"type":"logical","database":"app","plugin":"pgoutput"}}}""";

    private static ReplicationSlot Cdc(ulong confirmed) =>
        SlotCopiesTests.Cdc with { ConfirmedFlushLsn = new Lsn(confirmed), CatalogXmin = 700 };

    private static SlotPlan Plan(Observation o, SlotMemory? memory = null) =>
        SlotPlanner.Plan(SlotBasis.Of(o)!.Observe(o, memory ?? SlotMemory.Empty));

    private static Observation Leader(params ImmutableArray<ReplicationSlot> slots)
    {
        var o = Every.Of(Local(s_remote, slots), "a", s_held, config: Every.Config(Text(Remote)));
        return o with
        {
            Memory = new LoopMemory { DivergenceTerm = new Term(50) },
            Cluster = o.Cluster! with
            {
                Members = o.Cluster.Members.Clear().Add("a", Every.Member("a", Role.StandbyLeader)),
            },
        };
    }

    /// <summary>A member that streams from the leader, b, which has published its copy.</summary>
    private static Observation Member(params ImmutableArray<ReplicationSlot> slots)
    {
        var o = Every.Of(Local(new Upstream(new HostPort("b", 5432), "a"), slots.Add(Physical("b"))), "b", default,
            config: Every.Config(Text(Remote)));
        return o with
        {
            Cluster = o.Cluster! with
            {
                Members = o.Cluster.Members.Clear().Add("b", Every.Member("b", Role.StandbyLeader)),
                Status = LeaderStatus.None with { Slots = LeaderStatus.None.Slots.Add("cdc", new Lsn(150)) },
            },
        };
    }

    private static LocalPostgres Local(Upstream upstream, ImmutableArray<ReplicationSlot> slots) =>
        Every.Server(ServerState.Running, isPrimary: false, isStreaming: true) with
        {
            Following = upstream, Sender = upstream.Address, Slots = slots, Timeline = 3, Damage = DataDamage.None,
            ServerVersion = 150018, ReplayedLsn = new Lsn(1000),
        };

    private static ReplicationSlot Physical(string name) => new() { Name = name, RestartLsn = new Lsn(1000) };

    /// <summary>The remote primary has answered: it keeps all rows, and has these logical slots.</summary>
    private static Observation Told(Observation o, params (string Name, ulong Confirmed)[] slots) => o with
    {
        LogicalSlots = LogicalSlotReport.None with
        {
            Answer = new LeaderSlotAnswer(s_ground, true, 700,
                slots.ToImmutableSortedDictionary(slot => slot.Name, _ => 700u, StringComparer.Ordinal))
            {
                Confirmed = slots.ToImmutableSortedDictionary(
                    slot => slot.Name, slot => new Lsn(slot.Confirmed), StringComparer.Ordinal),
            },
        },
    };
}
