using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>A standby cluster: a leader that follows a remote primary, and nobody that accepts a write.</summary>
public sealed class StandbyClusterTests
{
    private static readonly DynamicConfig s_config =
        Every.Config("""{"standby_cluster":{"host":"far","port":5433,"primary_slot_name":"here"}}""");

    private static readonly Upstream s_remote = new(new HostPort("far", 5433), "here");

    private static readonly LeaseView s_held =
        new(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));

    private static readonly LocalPostgres s_primary = Every.Server(ServerState.Running, isPrimary: true);

    private static readonly LocalPostgres s_standby =
        Every.Server(ServerState.Running, isPrimary: false, isStreaming: true) with { Following = s_remote };

    private static readonly LocalPostgres s_wasPrimary =
        Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false };

    [Fact]
    public void Its_leader_follows_the_remote_primary_and_says_so_by_its_role()
    {
        var o = Leader(s_standby);

        Decides(o, "leads_standby");
        Assert.Equal(Role.StandbyLeader, Published.Role(o));
        Assert.Equal(Role.Replica, Published.Role(o with { Config = Every.Config("{}") }));
    }

    [Fact]
    public void A_member_that_wins_the_race_turns_to_the_remote_primary() =>
        Decides(Leader(s_standby with { Following = new Upstream(new HostPort("b", 5432), "a") }), "follows_remote",
            new HaAction.Follow(s_remote));

    [Fact]
    public void With_several_hosts_each_is_an_address_of_the_upstream()
    {
        var o = Leader(s_standby with { Following = null },
            """{"standby_cluster":{"host":"far, farther","port":"5433,5434"}}""");

        Decides(o, "follows_remote", new HaAction.Follow(
            new Upstream(new HostPort("far", 5433), null) { Others = [new HostPort("farther", 5434)] }));
    }

    [Fact]
    public void With_an_archive_alone_it_follows_nobody()
    {
        const string config = """{"standby_cluster":{"restore_command":"fetch %f %p"}}""";

        Decides(Leader(s_standby, config), "follows_remote", new HaAction.Follow(null));
        Decides(Leader(s_standby with { Following = null, IsStreaming = false }, config), "leads_standby");
    }

    [Fact]
    public void Its_other_members_follow_the_leader()
    {
        var o = Every.Of(s_standby, "b", default, config: s_config);

        Decides(o, "follows_new", new HaAction.Follow(new Upstream(new HostPort("b", 5432), "a")));
        Assert.Equal(Role.Replica, Published.Role(o));
    }

    [Fact]
    public void Adding_the_section_stops_the_primary_and_keeps_the_key()
    {
        var decision = Decides(Leader(s_primary), "demotes_cluster", new HaAction.Demote(DemoteMode.ToStandby));

        Assert.True(decision.Memory.Demoted);
    }

    [Fact]
    public void A_pause_leaves_the_primary_alone() => Assert.DoesNotContain(
        HaLoop.Decide(Leader(s_primary, """{"pause":true,"standby_cluster":{"host":"far"}}""")).Actions,
        action => action.IsJob || action is HaAction.ReleaseLeader);

    [Fact]
    public void A_pause_does_not_take_the_key_from_the_standby_leader() => Decides(
        Leader(s_standby with { Following = new Upstream(new HostPort("far", 5432), null) },
            """{"pause":true,"standby_cluster":{"host":"far"}}"""), "leads_standby");

    [Fact]
    public void A_promotion_that_runs_is_cancelled() => Decides(
        Leader(s_standby) with { Job = new JobView(JobKind.Promote, Every.Now, "begins") }, "job_cancelled",
        new HaAction.CancelJob());

    [Fact]
    public void What_may_still_promote_itself_is_stopped() =>
        Decides(Leader(s_standby with { PromotionAsked = true }), "demotes_cluster",
            new HaAction.Demote(DemoteMode.ToStandby));

    [Fact]
    public void Removing_the_section_promotes_the_leader() =>
        Assert.Contains(HaLoop.Decide(Leader(s_standby, "{}")).Actions, action => action is HaAction.Promote);

    [Fact]
    public void Without_the_section_it_asks_the_remote_servers_before_it_is_promoted()
    {
        var o = Left(s_standby);
        Decides(o, "asks_remote", new HaAction.AskRemote(s_remote));
        Assert.Equal(Role.StandbyLeader, Published.Role(o));

        var free = o with { Ended = Asked(JobResult.Done, "no remote server that answers is a primary") };
        Assert.Contains(HaLoop.Decide(free).Actions, action => action is HaAction.Promote);
        var lost = o with { Ended = Asked(JobResult.CannotTell, "far:5433 does not answer") };
        Assert.Contains(HaLoop.Decide(lost).Actions, action => action is HaAction.Promote);
        Assert.Equal(Role.Replica, Published.Role(free with { Memory = HaLoop.Decide(free).Memory }));
    }

    [Fact]
    public void While_a_remote_server_is_a_primary_it_is_not_promoted_and_asks_again()
    {
        var held = Left(s_standby) with { Ended = Asked(JobResult.Failed, "far:5433 still is a primary") };

        var decision = Decides(held, "remote_primary");
        Assert.Contains("far:5433 still is a primary", decision.Reason, StringComparison.Ordinal);
        var later = held with { Ended = null, Memory = decision.Memory };
        Assert.Equal(Role.StandbyLeader, Published.Role(later));
        Decides(later with { Now = Every.Now + TimeSpan.FromSeconds(3) }, "asks_remote",
            new HaAction.AskRemote(s_remote));
        Decides(later with { Ended = Asked(JobResult.CannotTell, "far:5433 does not answer") }, "remote_primary");
        Decides(later with { Local = s_standby with { Following = new Upstream(new HostPort("b", 5432), "a") } },
            "follows_remote", new HaAction.Follow(s_remote));
    }

    [Fact]
    public void An_operator_may_say_that_two_primaries_are_meant() => Assert.Contains(
        HaLoop.Decide(Left(s_standby, """{"routing_promote_beside_remote":true}""")).Actions,
        action => action is HaAction.Promote);

    [Fact]
    public void A_former_primary_that_is_down_asks_too_before_it_starts_as_one()
    {
        Decides(Left(s_wasPrimary), "asks_remote", new HaAction.AskRemote(s_remote));
        Decides(Left(s_wasPrimary) with { Ended = Asked(JobResult.Failed, "far:5433 still is a primary") },
            "remote_primary");
        Decides(Left(s_wasPrimary with { HasRecoverySignal = true }), "starts_to_lead",
            new HaAction.StartStandby(s_remote));
    }

    [Fact]
    public void The_remote_cluster_is_known_until_a_member_of_this_one_is_a_primary()
    {
        var followed = HaLoop.Decide(Leader(s_standby)).Memory.Members;
        Assert.Equal(s_remote, followed.Remote);

        Assert.Equal(s_remote, After(s_standby, Role.Replica));
        Assert.Null(After(s_primary, Role.Primary));
        Assert.Null(After(s_standby, Role.Primary));

        Upstream? After(LocalPostgres local, Role leader)
        {
            var o = Every.Of(local, local.IsPrimary ? "a" : "b", local.IsPrimary ? s_held : default,
                config: Every.Config("{}"));
            var other = o.Cluster!.Members["b"] with { Role = leader };
            return HaLoop.Decide(o with
            {
                Memory = new LoopMemory { Members = followed, DivergenceTerm = new Term(50) },
                Cluster = o.Cluster with { Members = o.Cluster.Members.SetItem("b", other) },
            }).Memory.Members.Remote;
        }
    }

    [Fact]
    public void After_the_demotion_it_compares_once_and_starts_whether_the_remote_can_tell_or_not()
    {
        Decides(Leader(s_wasPrimary), "compares", new HaAction.CheckDivergence(null));

        var asked = Leader(s_wasPrimary) with
        {
            Ended = new JobEnd(JobKind.CheckDivergence, JobResult.CannotTell, "is not a primary yet", Every.Now),
        };
        Decides(asked, "starts_standby_leader", new HaAction.StartStandby(s_remote));
    }

    [Fact]
    public void Diverged_data_are_rewound_to_the_remote_primary_by_whoever_has_them()
    {
        var diverged = s_standby with { IsStreaming = false, Damage = DataDamage.HalfRewound };

        Decides(Leader(diverged), "rewinds", new HaAction.Rewind(null));
        Decides(Every.Of(diverged with { Following = new Upstream(new HostPort("b", 5432), "a") }, "b", default,
            config: s_config), "rewinds", new HaAction.Rewind(null));
        Decides(Every.Of(diverged, null, default, config: s_config), "rewinds", new HaAction.Rewind(null));
        Decides(Every.Of(s_wasPrimary with { Damage = DataDamage.HalfRewound }, null, default, config: s_config),
            "rewinds", new HaAction.Rewind(null));
    }

    [Fact]
    public void The_leader_keeps_the_key_while_it_compares_and_rewinds()
    {
        foreach (var kind in new[] { JobKind.CheckDivergence, JobKind.Rewind })
        {
            Decides(Leader(s_wasPrimary) with { Job = new JobView(kind, Every.Now, "goes on") }, "busy");
        }
    }

    [Fact]
    public void A_leader_that_can_neither_rewind_nor_follow_makes_room() => Decides(
        Leader(s_standby with { IsStreaming = false, Damage = DataDamage.HalfRewound, RewindPossible = false }),
        "releasing", new HaAction.ReleaseLeader(null));

    [Fact]
    public void A_leader_that_does_not_stream_is_compared_from_time_to_time()
    {
        var silent = Leader(s_standby with { IsStreaming = false });
        var since = Every.Now - TimeSpan.FromSeconds(5);
        silent = silent with { Memory = silent.Memory with { NotStreamingSince = since } };

        Decides(silent, "compares", new HaAction.CheckDivergence(null));
        Decides(silent with { Memory = silent.Memory with { DivergenceCheckedAt = Every.Now } }, "leads_standby");
    }

    [Fact]
    public void A_switchover_takes_no_restart_of_the_leader()
    {
        var o = Leader(s_standby with { Standbys =
            [new StandbyRow("b", null, null, "streaming", "async", 0, default, default, new Lsn(200), default)] })
            with { Peers = Every.Answers(200, isPrimary: false) };
        o = o with { Cluster = o.Cluster! with { Failover = new FailoverRequest("a", "b", null, 70) },
            Memory = o.Memory with { Request = (70, Every.Now - TimeSpan.FromSeconds(1)) } };

        Decides(o, "steps_down", new HaAction.ReleaseLeader(null));
    }

    [Fact]
    public void The_winner_of_a_switchover_clears_the_request()
    {
        var o = Leader(s_standby);
        o = o with { Cluster = o.Cluster! with { Failover = new FailoverRequest("b", "a", null, 70) } };

        Decides(o, "request_done", new HaAction.ClearFailover(70));
    }

    [Fact]
    public void The_synchronous_state_of_its_time_as_a_primary_is_removed()
    {
        var o = Leader(s_standby, """{"synchronous_mode":true,"standby_cluster":{"host":"far"}}""");

        Decides(o, "synchronous", new HaAction.DeleteSync(60));
    }

    /// <summary>The agent that has stopped it may have been killed since: the next one finds its data alone.</summary>
    [Fact]
    public void A_primary_that_has_ended_cleanly_tells_where_before_it_starts_to_follow()
    {
        var ended = Leader(s_wasPrimary with { ShutdownEnd = new Lsn(300) });
        var control = ended.Local.Control!;
        var publish = new HaAction.PublishEnd(new Lsn(300), control);

        Decides(ended, "compares", publish, new HaAction.CheckDivergence(null));
        var compared = ended with { Memory = ended.Memory with { DivergenceCheckedAt = ended.Now } };
        Decides(compared, "starts_standby_leader", publish, new HaAction.StartStandby(s_remote));
        Decides(Told(compared, "0/12C", control.Timeline), "starts_standby_leader",
            new HaAction.StartStandby(s_remote));
        Decides(Told(compared, "0/12C", control.Timeline + 1), "starts_standby_leader", publish,
            new HaAction.StartStandby(s_remote));
        Decides(compared with { Local = compared.Local with { HasRecoverySignal = true } }, "starts_standby_leader",
            new HaAction.StartStandby(s_remote));
    }

    private static Observation Told(Observation o, string lsn, uint timeline) => o with
    {
        Cluster = o.Cluster! with
        {
            RoutingKeys = o.Cluster.RoutingKeys.SetItem(ClusterKeys.Demotion,
                new CleanDemotion(Lsn.Parse(lsn), timeline, o.Local.Control!.SystemId, "a", "").Write()),
        },
    };

    [Fact]
    public void A_member_that_lacks_WAL_may_lead_as_the_remote_primary_has_it()
    {
        var o = Every.Of(s_standby with { WalPosition = new Lsn(100) }, null, default, config: s_config) with
        {
            Peers = Every.Answers(100, isPrimary: false),
        };
        o = o with
        {
            Memory = o.Memory with { UnlockedSince = Every.Now - TimeSpan.FromSeconds(1) },
            Cluster = o.Cluster! with { Status = LeaderStatus.None with { Optime = new Lsn(100_000_000) } },
        };

        Decides(o, "races", new HaAction.AcquireLeader());
    }

    [Fact]
    public void The_first_member_is_a_copy_of_the_remote_primary()
    {
        var o = Every.Of(new LocalPostgres(), null, default, config: s_config);
        o = o with { Memory = o.Memory with { InitializeRevision = 7 }, Cluster = o.Cluster! with
        {
            Initialize = new InitializeKey("") { ModRevision = 7 },
        } };
        Decides(o, "bootstraps", new HaAction.BootstrapStandby(s_remote));

        o = o with { Memory = o.Memory with { BootstrapDone = true }, Local = s_standby };
        Decides(o, "initializes", new HaAction.WriteInitialize("7000000000000000001", 7), new HaAction.AcquireLeader());
    }

    [Fact]
    public void An_empty_member_copies_the_remote_primary_while_nobody_leads() => Decides(
        Every.Of(new LocalPostgres(), null, default, config: s_config), "clones",
        new HaAction.CopyMember(null) { FromRemote = true });

    private static Decision Decides(Observation o, string code, params HaAction[] actions)
    {
        var decision = HaLoop.Decide(o);
        Assert.Equal((code, string.Join(", ", actions.AsEnumerable())),
            (decision.Code, string.Join(", ", decision.Actions)));
        return decision;
    }

    private static JobEnd Asked(JobResult result, string detail) => new(JobKind.AskRemote, result, detail, Every.Now);

    /// <summary>A leader whose configuration has no section any more.</summary>
    private static Observation Left(LocalPostgres local, string config = "{}")
    {
        var o = Leader(local, config);
        return o with { Memory = o.Memory with { Members = o.Memory.Members with { Remote = s_remote } } };
    }

    private static Observation Leader(LocalPostgres local, string? config = null) =>
        Every.Of(local, "a", s_held, config: config is null ? s_config : Every.Config(config)) with
        {
            Memory = new LoopMemory { DivergenceTerm = new Term(50) },
        };
}
