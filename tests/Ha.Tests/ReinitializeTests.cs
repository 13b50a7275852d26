using System.Text.Json;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>A new copy in place of the local data, because an operator asked for it.</summary>
public sealed class ReinitializeTests
{
    [Fact]
    public void A_standby_is_replaced_by_a_copy_of_the_leader()
    {
        var decision = HaLoop.Decide(Asked(Standby()));

        Assert.Equal("reinitializes", decision.Code);
        Assert.Equal(new HaAction.CopyMember("b") { Replaces = true, OrderId = 7 }, Assert.Single(decision.Actions));
    }

    [Fact]
    public void A_member_tagged_clonefrom_is_preferred_unless_it_has_to_be_the_leader()
    {
        var o = Asked(Standby());
        var tags = new MemberTags(MemberTags.Empty.Values.Add("clonefrom", JsonElement.Parse("true")));
        var c = o.Cluster!.Members["c"] with { Tags = tags };
        o = o with { Cluster = o.Cluster with { Members = o.Cluster.Members.SetItem("c", c) } };

        Assert.Equal("c", Copy(o).Source);
        var forced = Copy(o with { Order = new ReinitializeOrder(7, Force: false, FromLeader: true) });
        Assert.Equal(("b", true), (forced.Source, forced.FromLeader));
    }

    [Fact]
    public void Without_a_leader_there_is_nothing_to_copy()
    {
        var o = Asked(Standby());

        Refused(o with { Cluster = o.Cluster! with { Leader = null } }, OrderRefusal.NoLeader, "nobody leads");
    }

    [Fact]
    public void The_leader_is_never_replaced() =>
        Refused(Asked(Leader(), force: true), OrderRefusal.IsLeader, "it leads");

    [Fact]
    public void While_it_is_not_known_whether_it_leads_it_waits()
    {
        var o = Asked(Standby(), force: true) with
        {
            Lease = new LeaseView(false, default, TimeSpan.Zero, IsUncertain: true, TimeSpan.FromSeconds(30)),
        };

        Assert.DoesNotContain(
            HaLoop.Decide(o).Actions, action => action is HaAction.CopyMember or HaAction.RefuseOrder);
    }

    [Fact]
    public void Another_job_refuses_it_and_force_ends_that_job()
    {
        var busy = Asked(Standby()) with { Job = new JobView(JobKind.Reinitialize, Every.Now, "") };

        Refused(busy, OrderRefusal.Busy, "reinitialize");
        Assert.Equal([new HaAction.CancelJob()], HaLoop.Decide(Asked(busy, force: true)).Actions);
        Assert.Empty(HaLoop.Decide(Asked(busy, force: true) with
        {
            Job = new JobView(JobKind.Demote, Every.Now, "") { Demotion = DemoteMode.Graceful },
        }).Actions);
    }

    [Fact]
    public void Data_that_cannot_be_used_are_not_removed() => Refused(
        Asked(Standby()) with
        {
            Local = new LocalPostgres { Data = DataDirectory.Inaccessible, DataProblem = "it holds photographs" },
        },
        OrderRefusal.Failed, "photographs");

    [Fact]
    public void A_synchronous_standby_leaves_the_set_first() =>
        Assert.Equal("leaves_sync", HaLoop.Decide(Asked(Standby("""{"synchronous_mode":true}"""))).Code);

    [Theory]
    [InlineData(ServerState.Stopped, "{}")]
    [InlineData(ServerState.Running, "{}")]
    [InlineData(ServerState.Stopped, """{"pause":true}""")]
    public void What_was_begun_is_gone_on_with_by_the_mark(ServerState state, string config)
    {
        var o = Marked(Standby(config), state);

        Assert.Equal(new HaAction.CopyMember("b") { Replaces = true }, Assert.Single(HaLoop.Decide(o).Actions));
        Assert.True(Copy(o with { Memory = o.Memory with { CopiesLeader = true } }).FromLeader);
    }

    [Fact]
    public void After_a_failure_it_is_tried_again_with_growing_pauses()
    {
        var o = Marked(Standby(), ServerState.Stopped) with
        {
            Ended = new JobEnd(JobKind.Reinitialize, JobResult.Failed, "", Every.Now),
        };

        var first = HaLoop.Decide(o);
        var second = HaLoop.Decide(o with
        {
            Ended = null, Memory = first.Memory, Now = Every.Now + TimeSpan.FromSeconds(2),
        });

        Assert.Equal(("clone_retry", "reinitializes"), (first.Code, second.Code));
    }

    [Fact]
    public void Marked_data_do_not_race()
    {
        var o = Marked(Standby(), ServerState.Stopped);
        var alone = o with { Cluster = o.Cluster! with { Leader = null } };

        Assert.Equal("damaged", HaLoop.Decide(alone).Code);
        Assert.Empty(HaLoop.Decide(alone).Actions);
    }

    [Fact]
    public void A_copy_that_runs_is_published_as_such()
    {
        var o = Standby() with { Job = new JobView(JobKind.Reinitialize, Every.Now, "") };

        Assert.Equal((PostgresState.CreatingReplica, Role.Uninitialized), (Published.State(o), Published.Role(o)));
    }

    [Theory]
    [InlineData(1 << 20, 4 << 20, 1 << 20, "1.0 MB of 4.0 MB (25 %), 1.0 MB/s, 3 s left")]
    [InlineData(512, 0, 0, "0.5 kB")]
    [InlineData(5L << 30, 4L << 30, 1, "5.0 GB of 4.0 GB (100 %), 0.0 kB/s, 0 s left")]
    public void Progress_reads_as_a_sentence(long bytes, long total, long rate, string expected) =>
        Assert.Equal(expected, new CopyProgress(bytes, total, rate).ToString());

    [Fact]
    public void Replay_tells_from_where_to_where_and_how_long_it_takes()
    {
        var noon = new DateTimeOffset(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);
        var wal = new ReplayedWal(new Lsn(0x1000000), new Lsn(0x3000000));
        var toPosition = new CopyProgress(32 << 20, 64 << 20, 16 << 20) { Wal = wal with { End = new Lsn(0x5000000) } };
        // An hour of the past takes ten seconds.
        var toMoment = new CopyProgress(32 << 20, 0, 16 << 20)
        {
            Wal = wal with
            {
                FromMoment = noon, AtMoment = noon.AddHours(1), EndMoment = noon.AddHours(3),
                Watched = TimeSpan.FromSeconds(10),
            },
        };

        Assert.Equal("32.0 MB of 64.0 MB (50 %), 16.0 MB/s, 2 s left: from 0/1000000 to 0/3000000, and on to 0/5000000",
            toPosition.ToString());
        Assert.Equal("32.0 MB, 16.0 MB/s, 20 s left: from 0/1000000 (2026-11-30 12:00:00+00:00) to 0/3000000 "
            + "(2026-11-30 13:00:00+00:00), and on to 2026-11-30 15:00:00+00:00", toMoment.ToString());
        Assert.Null(new CopyProgress(0, 0, 0) { Wal = wal }.Left);
    }

    private static HaAction.CopyMember Copy(Observation o) =>
        Assert.IsType<HaAction.CopyMember>(Assert.Single(HaLoop.Decide(o).Actions));

    private static void Refused(Observation o, OrderRefusal refusal, string detail)
    {
        var action = Assert.IsType<HaAction.RefuseOrder>(Assert.Single(HaLoop.Decide(o).Actions));
        Assert.Equal((7, refusal), (action.Id, action.Refusal));
        Assert.Contains(detail, action.Detail, StringComparison.Ordinal);
    }

    private static Observation Asked(Observation o, bool force = false) =>
        o with { Order = new ReinitializeOrder(7, force, FromLeader: false) };

    private static Observation Marked(Observation o, ServerState state) => o with
    {
        Local = Every.Server(state, isPrimary: false) with { Damage = DataDamage.ToBeReplaced },
    };

    private static Observation Leader() => Every.Of(
        Every.Server(ServerState.Running, isPrimary: true), "a",
        new LeaseView(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30)));

    private static Observation Standby(string config = "{}") => Every.Of(
        Every.Server(ServerState.Running, isPrimary: false, isStreaming: true), "b", default,
        config: Every.Config(config)) with
    {
        Memory = LoopMemory.Empty with { DivergenceTerm = new Term(50) },
    };
}
