using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>What a paused cluster leaves to people, and what it looks at when the pause ends.</summary>
public sealed class PauseTests
{
    private const string OtherSystem = "8000000000000000008";

    private static readonly LeaseView s_held =
        new(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));

    private static LocalPostgres StoppedPrimary =>
        Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false };

    private static LocalPostgres Primary => Every.Server(ServerState.Running, isPrimary: true);

    private static LocalPostgres Standby => Every.Server(ServerState.Running, isPrimary: false);

    [Fact]
    public void A_stopped_leader_gives_the_key_up_and_stays_down()
    {
        Does<HaAction.ReleaseLeader>(Paused(StoppedPrimary, "a", s_held));
        DoesNothing(Paused(StoppedPrimary, "b"));
        DoesNothing(Paused(StoppedPrimary, null));
    }

    [Fact]
    public void A_leader_that_was_made_a_standby_by_hand_gives_the_key_up() =>
        Does<HaAction.ReleaseLeader>(Paused(Standby, "a", s_held));

    [Fact]
    public void A_primary_that_was_promoted_by_hand_takes_a_free_key_and_no_other()
    {
        var asked = Paused(Primary, null) with { Peers = Every.Answers(100, isPrimary: false) };

        Does<HaAction.AcquireLeader>(asked with
        {
            Memory = asked.Memory with { UnlockedSince = Every.Now - TimeSpan.FromSeconds(1) },
        });
        DoesNothing(Paused(Primary, "b"));
    }

    [Fact]
    public void A_standby_does_not_race_and_follows_a_new_leader()
    {
        DoesNothing(Paused(Standby, null));
        Does<HaAction.Follow>(Paused(Standby with { Following = new Upstream(new HostPort("c", 5432), "a") }, "b"));
    }

    [Fact]
    public void A_lost_key_demotes_nobody()
    {
        var expired = s_held with { LeaderLeft = TimeSpan.FromSeconds(-1) };

        DoesNothing(Paused(Primary, "b"));
        DoesNothing(Paused(Primary, "a", expired) with { IsDcsLive = false });
    }

    [Fact]
    public void An_empty_directory_is_not_filled() =>
        DoesNothing(Paused(new LocalPostgres { Data = DataDirectory.Empty }, "b"));

    [Fact]
    public void Data_of_another_cluster_are_only_told_of()
    {
        var foreign = Primary with { Control = Every.Control(OtherSystem) };

        Assert.Equal("foreign_data", HaLoop.Decide(Paused(foreign, "b")).Code);
        DoesNothing(Paused(foreign, "b"));
        Does<HaAction.ReleaseLeader>(Paused(foreign, "a", s_held));
    }

    [Fact]
    public void Its_end_makes_what_was_known_of_the_data_void()
    {
        var paused = Paused(StoppedPrimary, "b") with
        {
            Memory = LoopMemory.Empty with
            {
                DivergenceTerm = new Term(50),
                Divergence = DivergenceState.Fits,
                RewindFailures = 3,
                RetryAt = TimeSpan.FromHours(1),
            },
        };
        var before = HaLoop.Decide(paused).Memory;
        var after = HaLoop.Decide(Resumed(paused) with { Memory = before });

        Assert.Equal(DivergenceState.Fits, before.Divergence);
        Assert.Equal(DivergenceState.Unchecked, after.Memory.Divergence);
        Assert.Equal((0, null), (after.Memory.RewindFailures, after.Memory.RetryAt));
        Assert.Equal(new HaAction.CheckDivergence("b"), Assert.Single(after.Actions));
    }

    [Fact]
    public void At_its_end_a_second_primary_is_demoted_and_compared()
    {
        var paused = Paused(Primary, "b") with
        {
            Memory = LoopMemory.Empty with
            {
                DivergenceTerm = new Term(50), Divergence = DivergenceState.Fits, WasPaused = true,
            },
        };
        var resumed = HaLoop.Decide(Resumed(paused));
        var stopped = HaLoop.Decide(Resumed(paused) with { Local = StoppedPrimary, Memory = resumed.Memory });

        Assert.Equal([new HaAction.Demote(DemoteMode.ImmediateNoLock)], resumed.Actions);
        Assert.Equal(new HaAction.CheckDivergence("b"), Assert.Single(stopped.Actions));
    }

    [Fact]
    public void At_its_end_data_of_another_cluster_end_the_agent() => Assert.Equal(
        [new HaAction.Exit(1)],
        HaLoop.Decide(Resumed(Paused(Standby with { Control = Every.Control(OtherSystem) }, "b"))).Actions);

    private static void Does<T>(Observation o)
        where T : HaAction => Assert.IsType<T>(Assert.Single(HaLoop.Decide(o).Actions));

    private static void DoesNothing(Observation o) => Assert.Empty(HaLoop.Decide(o).Actions);

    private static Observation Paused(LocalPostgres local, string? leader, LeaseView lease = default) =>
        Every.Of(local, leader, lease, config: Every.Config("""{"pause":true}""")) with
        {
            Memory = LoopMemory.Empty with { DivergenceTerm = new Term(50) },
        };

    private static Observation Resumed(Observation o)
    {
        var config = Every.Config("{}");
        return o with { Config = config, Cluster = o.Cluster! with { Config = config } };
    }
}
