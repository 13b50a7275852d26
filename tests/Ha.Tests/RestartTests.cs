using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>Restarts that an operator asks for, now or at a time.</summary>
public sealed class RestartTests
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(30);
    private static readonly LeaseView s_held = new(true, new Term(50), TimeSpan.FromSeconds(25), false, s_ttl);
    private static readonly DateTimeOffset s_started = new(2025, 12, 31, 6, 0, 0, 123, TimeSpan.Zero);

    [Fact]
    public void A_leader_restarts_in_place_and_keeps_the_key()
    {
        var decision = HaLoop.Decide(Asked(Leader()));

        Assert.Equal("restarts", decision.Code);
        var restart = Assert.IsType<HaAction.Restart>(Assert.Single(decision.Actions));
        Assert.Equal((true, null, TimeSpan.FromSeconds(300)), (restart.AsPrimary, restart.Upstream, restart.Timeout));
        Assert.Equal(Every.Now, decision.Memory.DownSince);
    }

    [Fact]
    public void A_standby_restarts_and_follows_the_leader()
    {
        var restart = Assert.IsType<HaAction.Restart>(
            Assert.Single(HaLoop.Decide(Asked(Standby(), TimeSpan.FromSeconds(7))).Actions));

        Assert.Equal((false, "b", TimeSpan.FromSeconds(7)),
            (restart.AsPrimary, restart.Upstream!.Address.Host, restart.Timeout));
    }

    [Fact]
    public void A_start_timeout_of_zero_gives_the_start_the_time_of_an_ordinary_one() =>
        Assert.Null(Assert.IsType<HaAction.Restart>(
        Assert.Single(HaLoop.Decide(Asked(Leader(config: """{"primary_start_timeout":0}"""))).Actions)).Timeout);

    [Theory]
    [InlineData("""{"primary_start_timeout":0}""", null, 5, true)]
    [InlineData("{}", null, 5, false)]
    [InlineData("{}", 4, 5, true)]
    [InlineData("{}", 6, 5, false)]
    [InlineData("""{"primary_start_timeout":0}""", 6, 5, false)]
    public void A_start_that_takes_too_long_after_a_restart_lets_another_member_take_over(
        string config, int? timeout, int elapsed, bool demotes)
    {
        var o = Leader(config: config) with { Peers = Every.Answers(200, isPrimary: false) };
        var decision = HaLoop.Decide(o with
        {
            Local = o.Local with { Server = ServerState.Starting, IsPrimary = false },
            Ended = new JobEnd(JobKind.Restart, JobResult.StillStarting, "", Every.Now),
            Memory = o.Memory with
            {
                DownSince = Every.Now - TimeSpan.FromSeconds(elapsed),
                StartLimit = timeout is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            },
        });

        Assert.Equal(demotes ? "start_timeout" : "starting", decision.Code);
    }

    [Fact]
    public void While_the_restart_runs_its_time_is_kept()
    {
        var o = Leader();
        var decision = HaLoop.Decide(o with
        {
            Job = new JobView(JobKind.Restart, Every.Now, "stops") { RestartsPrimary = true },
            Memory = o.Memory with { DownSince = TimeSpan.FromSeconds(1), StartLimit = TimeSpan.FromSeconds(9) },
        });

        Assert.Equal("busy", decision.Code);
        Assert.Equal((TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(9)),
            (decision.Memory.DownSince, decision.Memory.StartLimit));
    }

    [Fact]
    public void A_leader_whose_restart_failed_gives_the_key_up()
    {
        var o = Leader();
        var decision = HaLoop.Decide(o with
        {
            Local = Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false },
            Ended = new JobEnd(JobKind.Restart, JobResult.Failed, "a wrong setting", Every.Now),
        });

        Assert.Equal("releasing", decision.Code);
        Assert.Contains("a wrong setting", decision.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_restart_that_failed_is_published_until_the_server_runs()
    {
        var o = Standby(pause: true);
        var down = o with
        {
            Local = Every.Server(ServerState.Stopped, isPrimary: false),
            Ended = new JobEnd(JobKind.Restart, JobResult.Failed, "a wrong setting", Every.Now),
        };
        var memory = HaLoop.Decide(down).Memory;

        Assert.Equal(PostgresState.RestartFailed, Published.State(down with { Memory = memory }));
        Assert.False(HaLoop.Decide(o with { Memory = memory }).Memory.RestartFailed);
    }

    [Theory]
    [InlineData("replica", null, false, OrderRefusal.ConditionsNotMet)]
    [InlineData("primary", null, false, null)]
    [InlineData(null, "15.18", false, OrderRefusal.ConditionsNotMet)]
    [InlineData(null, "15.19", false, null)]
    [InlineData(null, null, true, OrderRefusal.ConditionsNotMet)]
    public void The_filters_are_looked_at_when_it_is_due(
        string? role, string? version, bool pending, OrderRefusal? refusal)
    {
        var o = Leader() with { Order = new RestartOrder(3, new RestartFilter(role, version, pending), null) };
        o = o with { Local = o.Local with { ServerVersion = 150018 } };

        Assert.Equal(refusal, (HaLoop.Decide(o).Actions[0] as HaAction.RefuseOrder)?.Refusal);
    }

    [Fact]
    public void A_pending_restart_meets_its_filter()
    {
        var o = Leader() with { Order = new RestartOrder(3, new RestartFilter(null, null, true), null) };
        o = o
            with { Local =
                o.Local with { PendingRestart =
                    o.Local.PendingRestart.Add("max_connections", new ParameterChange("1", "2")) } };

        Assert.IsType<HaAction.Restart>(Assert.Single(HaLoop.Decide(o).Actions));
    }

    [Fact]
    public void While_another_job_runs_it_is_refused_with_the_jobs_name()
    {
        var o = Asked(Standby()) with { Job = new JobView(JobKind.Rewind, Every.Now, "") };

        Refused(o, OrderRefusal.Busy, "rewinding");
    }

    [Fact]
    public void A_server_that_is_starting_is_left_to_start()
    {
        var o = Asked(Standby());

        Refused(o with { Local = o.Local with { Server = ServerState.Starting } }, OrderRefusal.StillStarting,
            "still starting");
    }

    [Fact]
    public void A_server_that_is_down_is_the_loops_own_work()
    {
        var o = Asked(Standby());

        Refused(o with { Local = Every.Server(ServerState.Stopped, isPrimary: false) }, OrderRefusal.Failed, "is down");
    }

    [Fact]
    public void A_leader_does_not_restart_while_the_DCS_is_silent() =>
        Refused(Asked(Leader()) with { IsDcsLive = false }, OrderRefusal.Failed, "not accessible");

    [Fact]
    public void Before_the_DCS_has_answered_nothing_restarts() =>
        Refused(Asked(Standby()) with { Cluster = null }, OrderRefusal.Failed, "has not answered");

    [Fact]
    public void An_agent_that_ends_refuses_it_and_ends()
    {
        var decision = HaLoop.Decide(Asked(Standby()) with { ShutdownRequested = true });

        Assert.IsType<HaAction.RefuseOrder>(decision.Actions[0]);
        Assert.IsType<HaAction.Demote>(decision.Actions[1]);
    }

    [Fact]
    public void Damaged_data_are_not_restarted()
    {
        var o = Asked(Standby());

        Refused(o with { Local = o.Local with { Damage = DataDamage.Diverged } }, OrderRefusal.Failed, "diverged");
    }

    [Fact]
    public void The_lease_ends_a_restart_of_the_leader()
    {
        var o = Leader() with
        {
            Lease = s_held with { LeaderLeft = TimeSpan.FromSeconds(1) },
            Job = new JobView(JobKind.Restart, Every.Now, "") { RestartsPrimary = true },
        };
        var stopped = o with { Local = Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false } };

        Assert.Equal([new HaAction.CancelJob(), new HaAction.Demote(DemoteMode.Offline)], HaLoop.Decide(o).Actions);
        Assert.Equal([new HaAction.CancelJob()], HaLoop.Decide(stopped).Actions);
        Assert.Empty(HaLoop.Decide(stopped with { Job = new JobView(JobKind.Restart, Every.Now, "") }).Actions);
    }

    [Fact]
    public void A_synchronous_standby_leaves_the_set_first()
    {
        var o = Asked(Standby(config: """{"synchronous_mode":true,"loop_wait":10}"""));

        var first = HaLoop.Decide(o);
        var later = HaLoop.Decide(o with
        {
            Memory = first.Memory, Cluster = o.Cluster! with { Sync = new SyncState("b", ["c"], 0, 61) },
        });
        var never = HaLoop.Decide(o with { Memory = first.Memory, Now = Every.Now + TimeSpan.FromSeconds(20) });

        Assert.Equal("leaves_sync", first.Code);
        Assert.Equal(Every.Now, first.Memory.LeavingSince);
        Assert.IsType<HaAction.Restart>(Assert.Single(later.Actions));
        Assert.IsType<HaAction.Restart>(Assert.Single(never.Actions));
        Assert.Null(HaLoop.Decide(o with { Order = null, Memory = first.Memory }).Memory.LeavingSince);
    }

    [Fact]
    public void In_a_pause_a_standby_that_is_down_is_started_by_it()
    {
        var o = Asked(Standby(pause: true));

        var restart = Assert.IsType<HaAction.Restart>(Assert.Single(HaLoop.Decide(
            o with { Local = Every.Server(ServerState.Stopped, isPrimary: false) }).Actions));

        Assert.False(restart.AsPrimary);
    }

    [Fact]
    public void In_a_pause_a_primary_that_is_down_starts_again_unless_another_leads()
    {
        var o = Asked(Standby(pause: true));
        o = o with { Local = Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false } };

        Refused(o, OrderRefusal.Failed, "b holds the leader key");
        Assert.True(Assert.IsType<HaAction.Restart>(Assert.Single(HaLoop.Decide(
            o with { Cluster = o.Cluster! with { Leader = null } }).Actions)).AsPrimary);
    }

    [Fact]
    public void In_a_pause_a_primary_that_was_demoted_starts_as_a_standby()
    {
        var o = Asked(Standby(pause: true));
        o = o with
        {
            Local = Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false },
            Cluster = o.Cluster! with { Leader = null },
            Memory = o.Memory with { Demoted = true },
        };

        Assert.False(Assert.IsType<HaAction.Restart>(Assert.Single(HaLoop.Decide(o).Actions)).AsPrimary);
    }

    [Theory]
    [InlineData(60, null, "follows", 0)]
    [InlineData(6, null, "follows", 6)]
    [InlineData(0, null, "restart_due", 0)]
    [InlineData(-14, null, "restart_due", 0)]
    [InlineData(-16, null, "restart_dropped", 0)]
    [InlineData(60, "2025-12-31 06:00:00.123000+00:00", "follows", 0)]
    [InlineData(60, "2025-12-31 06:00:00.124000+00:00", "restart_dropped", 0)]
    public void A_scheduled_restart_is_due_at_its_time(int left, string? meant, string code, int wake)
    {
        var o = Planned(Standby(), left, meant);
        var decision = HaLoop.Decide(o);

        Assert.Equal(code, decision.Code);
        Assert.Equal(code switch
        {
            "restart_due" => typeof(HaAction.OrderScheduledRestart),
            "restart_dropped" => typeof(HaAction.DropScheduledRestart),
            _ => null,
        }, decision.Actions.SingleOrDefault()?.GetType());
        if (wake > 0)
        {
            Assert.Equal(TimeSpan.FromSeconds(wake), decision.WakeIn);
        }
    }

    [Fact]
    public void A_scheduled_restart_does_not_run_in_a_pause_nor_beside_a_job()
    {
        Assert.Empty(HaLoop.Decide(Planned(Standby(pause: true), 0)).Actions);
        Assert.Equal("busy",
            HaLoop.Decide(Planned(Standby(), 0) with { Job = new JobView(JobKind.Follow, Every.Now, "") }).Code);
    }

    private static void Refused(Observation o, OrderRefusal refusal, string detail)
    {
        var action = Assert.IsType<HaAction.RefuseOrder>(Assert.Single(HaLoop.Decide(o).Actions));
        Assert.Equal((7, refusal), (action.Id, action.Refusal));
        Assert.Contains(detail, action.Detail, StringComparison.Ordinal);
    }

    private static Observation Asked(Observation o, TimeSpan? timeout = null) =>
        o with { Order = new RestartOrder(7, RestartFilter.None, timeout) };

    private static Observation Planned(Observation o, int left, string? meant = null) => o with
    {
        Local = o.Local with { PostmasterStart = s_started },
        ScheduledRestart = new ScheduledRestart(o.Clock.AddSeconds(left), meant, null, null, false, null),
    };

    private static Observation Leader(string config = "{}") => Remembering(
        Every.Of(Every.Server(ServerState.Running, isPrimary: true), "a", s_held, config: Every.Config(config)));

    private static Observation Standby(bool pause = false, string? config = null) => Remembering(Every.Of(
        Every.Server(ServerState.Running, isPrimary: false, isStreaming: true), "b", default(LeaseView),
        config: Every.Config(config ?? (pause ? """{"pause":true}""" : "{}"))));

    private static Observation Remembering(Observation o) =>
        o with { Memory = LoopMemory.Empty with { DivergenceTerm = new Term(50) } };
}
