using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster;
using Routing.Ha.Slots;
using Xunit;

namespace Routing.Ha.Tests.Slots;

/// <summary>When a standby copies logical slots from its leader, which takes a restart.</summary>
public sealed class SlotCopiesTests
{
    private const string Logical =
        """{"slots":{"cdc":{"type":"logical","database":"app","plugin":"pgoutput"},"box":{"type":"physical"}}""";

    internal static readonly ReplicationSlot Cdc = new()
    {
        Name = "cdc", IsLogical = true, Database = "app", Plugin = "pgoutput", RestartLsn = new Lsn(100),
        ConfirmedFlushLsn = new Lsn(150),
    };

    private static readonly LogicalSlotReport s_broken = LogicalSlotReport.None with { Broken = ["cdc"] };

    [Fact]
    public void A_standby_copies_the_permanent_logical_slots_that_it_lacks()
    {
        var decision = HaLoop.Decide(Standby());

        var copy = Assert.IsType<HaAction.CopySlots>(Assert.Single(decision.Actions));
        Assert.Equal(("copies_slots", "b", "cdc"), (decision.Code, copy.Leader, Assert.Single(copy.Names)));
        Assert.True(copy.IsJob);
    }

    [Fact]
    public void One_that_is_here_is_copied_again_only_when_it_cannot_be_advanced()
    {
        var o = WithSlots(Standby(), Cdc);

        Assert.Empty(SlotCopies.Due(o));
        Assert.Equal(["cdc"], SlotCopies.Due(o with { LogicalSlots = s_broken }));
        Assert.Empty(SlotCopies.Due(WithSlots(o, Cdc with { Active = true }) with { LogicalSlots = s_broken }));
        // A slot of that name which is another one is dropped first.
        Assert.Empty(SlotCopies.Due(WithSlots(o, Cdc with { Plugin = "wal2json" }) with { LogicalSlots = s_broken }));
        Assert.Empty(SlotCopies.Due(WithSlots(o, new ReplicationSlot { Name = "cdc" })));
    }

    [Fact]
    public void A_slot_of_the_servers_own_synchronisation_is_not_copied()
    {
        var o = WithSlots(Standby(), Cdc with { Failover = true, Synced = true }) with { LogicalSlots = s_broken };

        Assert.Empty(SlotCopies.Due(o with { Local = o.Local with { ServerVersion = 170002 } }));
        Assert.Equal(["cdc"], SlotCopies.Due(o));   // the column means nothing before 17
    }

    public static TheoryData<string, string, Observation> NothingDue
    {
        get
        {
            var o = Standby();
            return new()
            {
                { "the leader has not published it", "", o with { Cluster =
                    o.Cluster! with { Status = LeaderStatus.None } } },
                { "another member leads that is no primary yet", "", WithLeader(o, Role.Replica) },
                { "it does not stream", "", o with { Local = o.Local with { IsStreaming = false } } },
                { "the cluster is paused", "\"pause\":true", o },
                { "slots are off", "\"postgresql\":{\"use_slots\":false}", o },
                { "it is ignored", "\"ignore_slots\":[{\"name\":\"cdc\"}]", o },
                { "the cluster follows another one", "\"standby_cluster\":{\"host\":\"far\"}", o },
                { "it never leads", "", Tagged(o, "nofailover", "true") },
                { "it replays from the archive", "", Tagged(o, "nostream", "true") },
                { "the DCS is silent", "", o with { IsDcsLive = false } },
                { "failsafe mode is active", "\"failsafe_mode\":true", o with { IsDcsLive = false, Failsafe =
                    new FailsafeView(default, null, "b", TimeSpan.FromSeconds(10)) { PingSlots =
                        o.Cluster!.Status.Slots } } },
            };
        }
    }

    [Theory(DisableDiscoveryEnumeration = true)]
    [MemberData(nameof(NothingDue))]
    public void Nothing_restarts_for_a_copy_when(string what, string config, Observation o)
    {
        Assert.NotEmpty(what);
        o = config.Length > 0 ? WithConfig(o, $"{Logical},{config}}}") : o;

        Assert.DoesNotContain(HaLoop.Decide(o).Actions, action => action is HaAction.CopySlots);
    }

    [Fact]
    public void Copies_that_follow_each_other_become_rarer()
    {
        var o = Standby();
        var pauses = new List<double>();
        for (var i = 0; i < 8; i++)
        {
            var end = new JobEnd(JobKind.CopySlots, JobResult.Failed, "no WAL", o.Now);
            var ended = HaLoop.Decide(o with { Ended = end });
            Assert.Empty(ended.Actions);
            var since = o.Now;
            o = o with { Memory = ended.Memory };
            while (HaLoop.Decide(o).Actions is not [HaAction.CopySlots])
            {
                o = o with { Now = o.Now + TimeSpan.FromSeconds(5), Memory = HaLoop.Decide(o).Memory };
            }
            pauses.Add((o.Now - since).TotalSeconds);
        }

        Assert.Equal([5, 10, 20, 40, 80, 160, 300, 300], pauses);
    }

    [Fact]
    public void After_a_calm_time_the_next_copy_is_the_first_again()
    {
        var o = Standby();
        o = o with { Memory = o.Memory with { SlotCopies = 9, SlotsCopiedAt = o.Now - TimeSpan.FromHours(1) },
            Ended = new JobEnd(JobKind.CopySlots, JobResult.Done, "copied", o.Now) };

        Assert.Equal(1, HaLoop.Decide(o).Memory.SlotCopies);
    }

    [Fact]
    public void A_synchronous_standby_leaves_the_set_first()
    {
        var o = WithConfig(Standby(), Logical + ",\"synchronous_mode\":true}");
        o = WithSync(o, "a");

        var asks = HaLoop.Decide(o);
        var waits = HaLoop.Decide(o with { Memory = asks.Memory, Now = o.Now + TimeSpan.FromMilliseconds(300) });

        Assert.Equal(("leaves_sync", o.Now), (asks.Code, asks.Memory.LeavingSince));
        Assert.Empty(asks.Actions);
        Assert.Equal(o.Now, waits.Memory.LeavingSince);   // the time counts on
        Assert.IsType<HaAction.CopySlots>(Assert.Single(HaLoop.Decide(WithSync(o, "c")).Actions));
    }

    [Fact]
    public void While_it_restarts_for_its_slots_the_member_says_so()
    {
        var busy = Standby() with { Job = new JobView(JobKind.CopySlots, Every.Now, "starts") { Source = "b" } };

        Assert.Equal(PostgresState.Running, Published.State(busy));
        Assert.Equal(PostgresState.Restarting,
            Published.State(busy with { Local = Every.Server(ServerState.Stopped, isPrimary: false) }));
        Assert.Equal("busy", HaLoop.Decide(busy).Code);
        var alone = busy with { Cluster = busy.Cluster! with { Leader = null } };
        Assert.Contains(new HaAction.CancelJob(), HaLoop.Decide(alone).Actions);   // it may have to race
    }

    internal static Observation Standby()
    {
        var local = Every.Server(ServerState.Running, isPrimary: false);
        var o = Every.Of(local, "b", default);
        return WithConfig(WithLeader(o, Role.Primary), Logical + "}") with
        {
            Local = local with { IsStreaming = true, Damage = DataDamage.None, ServerVersion = 150018,
                Following = new Upstream(new HostPort("b", 5432), "a"), Slots = [] },
        };
    }

    private static Observation WithLeader(Observation o, Role role) => o with
    {
        Cluster = o.Cluster! with
        {
            Members = o.Cluster.Members.SetItem("b", Every.Member("b", role)),
            Status = o.Cluster.Status with { Slots =
                ImmutableSortedDictionary<string, Lsn>.Empty.Add("b", new Lsn(200)).Add("cdc", new Lsn(150)) },
        },
    };

    private static Observation WithConfig(Observation o, string json)
    {
        var config = Every.Config(json);
        return o with { Config = config, Cluster = o.Cluster! with { Config = config } };
    }

    private static Observation WithSync(Observation o, string standby) => o with
    {
        Cluster = o.Cluster! with
        {
            Sync = SyncState.None with { Leader = "b", Standbys = SyncState.None.Standbys.Add(standby) },
        },
    };

    private static Observation WithSlots(Observation o, params ImmutableArray<ReplicationSlot> slots) =>
        o with { Local = o.Local with { Slots = slots } };

    private static Observation Tagged(Observation o, string name, string value) => o with
    {
        Options = o.Options with
        {
            Tags = new MemberTags(MemberTags.Empty.Values.Add(name, JsonElement.Parse(value))),
        },
    };
}
