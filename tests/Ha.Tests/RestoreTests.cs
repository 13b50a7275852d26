using System.Collections.Immutable;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>The living cluster goes back in time: who may do what meanwhile.</summary>
public sealed class RestoreTests
{
    private const string Id = "20261130-140000";

    private static readonly LeaseView s_held =
        new(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30));

    private static readonly LeaseView s_ending =
        new(true, new Term(50), TimeSpan.FromSeconds(1), false, TimeSpan.FromSeconds(30));

    private static LocalPostgres Primary => Every.Server(ServerState.Running, isPrimary: true);

    private static LocalPostgres Standby => Every.Server(ServerState.Running, isPrimary: false);

    private static LocalPostgres StoppedPrimary =>
        Every.Server(ServerState.Stopped, isPrimary: true) with { IsPrimary = false };

    /// <summary>The restored data, replayed to the target, where they stand still.</summary>
    private static LocalPostgres AtTarget => Standby with
    {
        Damage = DataDamage.Restored, RestoreId = Id, ReplayPaused = true, HasRecoverySignal = true,
    };

    [Fact]
    public void A_leader_bars_the_others_before_it_touches_anything()
    {
        var decision = HaLoop.Decide(Of(Primary, "a", s_held, RestorePhase.Requested));

        var write = Assert.IsType<HaAction.WriteRestore>(Assert.Single(decision.Actions));
        Assert.Equal((RestorePhase.Restoring, 1u), (write.Request.Phase, write.Request.Timeline));
    }

    [Fact]
    public void It_restores_while_it_holds_the_key_for_certain_and_only_then()
    {
        Does<HaAction.Restore>(Of(Primary, "a", s_held, RestorePhase.Restoring));
        Does<HaAction.Restore>(Of(StoppedPrimary, "a", s_held, RestorePhase.Restoring));
        DoesNot<HaAction.Restore>(Of(StoppedPrimary, "a", s_ending, RestorePhase.Restoring));
    }

    [Fact]
    public void A_restorer_that_lost_its_key_takes_it_again_when_it_is_free_whatever_the_others_have()
    {
        var o = Of(StoppedPrimary, null, default, RestorePhase.Restoring) with
        {
            Peers = Every.Answers(300, isPrimary: false),
        };

        Does<HaAction.AcquireLeader>(o);
    }

    [Theory]
    [InlineData(RestorePhase.Restoring)]
    [InlineData(RestorePhase.Promoting)]
    public void Nobody_else_races_while_a_member_restores(RestorePhase phase)
    {
        var o = Of(Standby, null, default, phase, member: "b");

        Assert.Equal("restoring", HaLoop.Decide(o).Code);
        DoesNot<HaAction.AcquireLeader>(o);
        DoesNot<HaAction.AcquireLeader>(Of(Primary, null, default, phase, member: "b"));
    }

    [Theory]
    [InlineData(RestorePhase.Requested)]
    [InlineData(RestorePhase.Failed)]
    [InlineData(RestorePhase.Promoted)]
    public void Before_and_after_it_the_race_is_open(RestorePhase phase) =>
        Assert.NotEqual("restoring", HaLoop.Decide(Of(Standby, null, default, phase, member: "b")).Code);

    [Fact]
    public void What_stands_still_at_the_target_is_promoted_in_two_steps_and_only_with_the_key()
    {
        var reached = LoopMemory.Empty with { RestoreReached = Id };
        var restoring = Of(AtTarget, "a", s_held, RestorePhase.Restoring) with { Memory = reached };
        var write = Assert.IsType<HaAction.WriteRestore>(Assert.Single(HaLoop.Decide(restoring).Actions));
        Assert.Equal(RestorePhase.Promoting, write.Request.Phase);
        DoesNot<HaAction.Promote>(restoring);

        var promoting = Of(AtTarget, "a", s_held, RestorePhase.Promoting) with { Memory = reached };
        Does<HaAction.Promote>(promoting);
        DoesNot<HaAction.Promote>(promoting with { Lease = s_ending });
        DoesNot<HaAction.Promote>(
            promoting with { Cluster = promoting.Cluster! with { Leader = null }, Lease = default });
    }

    [Fact]
    public void A_replay_that_stands_still_for_another_reason_is_not_promoted()
    {
        // The agent was started again: that the target is reached is for the job to say.
        var o = Of(AtTarget, "a", s_held, RestorePhase.Promoting);

        DoesNot<HaAction.Promote>(o);
        Does<HaAction.Restore>(o);
    }

    [Fact]
    public void A_running_recovery_is_never_promoted_before_its_target()
    {
        var replaying = AtTarget with { ReplayPaused = false };

        foreach (var phase in Enum.GetValues<RestorePhase>())
        {
            DoesNot<HaAction.Promote>(Of(replaying, "a", s_held, phase) with
            {
                Memory = LoopMemory.Empty with { RestoreReached = Id },
            });
        }
    }

    [Fact]
    public void Restored_data_give_way_to_the_former_ones_when_the_restore_is_over()
    {
        Does<HaAction.PutBack>(Of(AtTarget, "a", s_held, RestorePhase.Failed));
        Does<HaAction.PutBack>(Of(AtTarget with { Server = ServerState.Stopped }, "b", default, RestorePhase.Failed));
        Does<HaAction.PutBack>(Without(Of(AtTarget, null, default, RestorePhase.Failed)));
        Does<HaAction.PutBack>(Of(AtTarget, "a", s_held, RestorePhase.Restoring, id: "another"));
        // Between the two renames nothing is in place: neither a clone nor a bootstrap begins.
        Does<HaAction.PutBack>(Without(Of(
            new LocalPostgres { Damage = DataDamage.Restored, RestoreId = Id }, "b", default, RestorePhase.Failed)));
        // Nothing is known while the DCS is silent.
        var silent = Of(AtTarget, "a", s_held, RestorePhase.Failed) with { IsDcsLive = false };
        Assert.Equal("restore_waits", HaLoop.Decide(silent).Code);
    }

    [Fact]
    public void Without_a_restore_the_former_leader_starts_its_data_again()
    {
        var failed = Of(StoppedPrimary, "a", s_held, RestorePhase.Failed) with
        {
            Memory = LoopMemory.Empty with { DownSince = Every.Now },
        };

        Does<HaAction.StartPrimary>(failed);
    }

    [Fact]
    public void A_former_leader_does_not_start_data_that_another_member_has_led_after()
    {
        // Its mark came late: another member had the key, died, and this one took the free key for its restore.
        var failed = Of(StoppedPrimary, "a", s_held, RestorePhase.Failed);
        var keys = failed.Cluster!.RoutingKeys.SetItem(ClusterKeys.Timeline, "2");
        var late = failed with { Cluster = failed.Cluster with { RoutingKeys = keys } };

        Does<HaAction.ReleaseLeader>(late);
        DoesNot<HaAction.StartPrimary>(late);
    }

    [Theory]
    [InlineData(RestorePhase.Requested)]
    [InlineData(RestorePhase.Restoring)]
    [InlineData(RestorePhase.Promoting)]
    public void A_request_that_came_back_with_the_store_is_carried_out_by_nobody(RestorePhase phase)
    {
        var life = new StoreLife(1, 90);
        foreach (var local in new[] { Primary, StoppedPrimary, Standby })
        {
            var o = Of(local, null, default, phase);
            var decision = HaLoop.Decide(o with { Cluster = o.Cluster! with { Life = life } });

            var write = Assert.IsType<HaAction.WriteRestore>(Assert.Single(decision.Actions));
            Assert.Equal(RestorePhase.Failed, write.Request.Phase);
            Assert.Contains("came back", write.Request.Problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_restore_goes_on_in_a_restored_store_when_its_data_stand_here()
    {
        var o = Of(AtTarget, "a", s_held, RestorePhase.Restoring);

        Does<HaAction.Restore>(o with { Cluster = o.Cluster! with { Life = new StoreLife(1, 90) } });
    }

    [Fact]
    public void A_job_that_failed_calls_the_restore_off_with_its_reason()
    {
        var o = Of(StoppedPrimary, "a", s_held, RestorePhase.Restoring) with
        {
            Memory = LoopMemory.Empty with { Restoring = Id },
            Ended = new JobEnd(JobKind.Restore, JobResult.Failed, "no repository", Every.Now),
        };

        var write = Assert.IsType<HaAction.WriteRestore>(Assert.Single(HaLoop.Decide(o).Actions));
        Assert.Equal((RestorePhase.Failed, "no repository"), (write.Request.Phase, write.Request.Problem));
    }

    [Fact]
    public void A_job_ends_when_the_restore_was_called_off_or_another_member_leads()
    {
        var job = new JobView(JobKind.Restore, Every.Now, "restores");

        Does<HaAction.CancelJob>(Of(StoppedPrimary, "a", s_held, RestorePhase.Failed) with { Job = job });
        Does<HaAction.CancelJob>(Without(Of(StoppedPrimary, "a", s_held, RestorePhase.Failed) with { Job = job }));
        Does<HaAction.CancelJob>(Of(StoppedPrimary, "b", default, RestorePhase.Restoring) with { Job = job });
        DoesNot<HaAction.CancelJob>(Of(StoppedPrimary, "a", s_held, RestorePhase.Restoring) with { Job = job });
        DoesNot<HaAction.ReleaseLeader>(Of(StoppedPrimary, "a", s_held, RestorePhase.Restoring) with { Job = job });
    }

    [Fact]
    public void Another_leader_drops_what_its_predecessor_was_asked_for()
    {
        Does<HaAction.DeleteRestore>(Of(Primary, "a", s_held, RestorePhase.Requested, member: "b"));
        DoesNot<HaAction.DeleteRestore>(Of(Primary, "a", s_held, RestorePhase.Promoted, member: "b"));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("b")]   // the restorer died after its promotion, and this member leads in its place
    public void Whoever_leads_ends_a_promoted_restore_when_every_member_follows(string restorer)
    {
        var o = Of(Primary with { Timeline = 3 }, "a", s_held, RestorePhase.Promoted, member: restorer);
        var following = o.Cluster!.Members.Values.Select(member => member with
        {
            State = PostgresState.Running, Role = Role.Replica, ReplicationState = "streaming", Timeline = 3,
        }).ToImmutableSortedDictionary(member => member.Name, member => member);
        var behind = following.SetItem("c", following["c"] with { ReplicationState = null });

        Does<HaAction.DeleteRestore>(o with { Cluster = o.Cluster with { Members = following } });
        DoesNot<HaAction.DeleteRestore>(o with { Cluster = o.Cluster with { Members = behind } });
    }

    [Fact]
    public void A_member_that_does_not_know_restores_could_take_the_key_so_nothing_begins()
    {
        var o = Of(Primary, "a", s_held, RestorePhase.Requested);
        var members = o.Cluster!.Members.SetItem("c", o.Cluster.Members["c"] with { Routing = null });
        var decision = HaLoop.Decide(o with { Cluster = o.Cluster with { Members = members } });

        var write = Assert.IsType<HaAction.WriteRestore>(Assert.Single(decision.Actions));
        Assert.Equal(RestorePhase.Failed, write.Request.Phase);
        Assert.Contains("c does not know restores", write.Request.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void The_others_may_lead_again_only_when_the_history_names_the_new_timeline()
    {
        var promoted = Primary with { Timeline = 2, WalPosition = new Lsn(90) };
        var o = Of(promoted, "a", s_held, RestorePhase.Promoting);
        Assert.DoesNotContain(
            HaLoop.Decide(o).Actions,
            action => action is HaAction.WriteRestore { Request.Phase: RestorePhase.Promoted });

        var history = new TimelineHistory([new HistoryLine(1, new Lsn(80), "before time", "2026-11-30", "a")]);
        var told = HaLoop.Decide(o with { Cluster = o.Cluster! with { History = history } });
        var write = Assert.IsType<HaAction.WriteRestore>(Assert.Single(told.Actions));
        Assert.Equal((RestorePhase.Promoted, 2u), (write.Request.Phase, write.Request.NewTimeline));
    }

    [Fact]
    public void Data_from_beyond_the_target_are_replaced_after_one_rewind_in_vain()
    {
        var diverged = Every.Server(ServerState.Stopped, isPrimary: false) with
        {
            RewindPossible = true, Damage = DataDamage.Diverged, HasRecoverySignal = true,
        };
        var memory = LoopMemory.Empty with { Divergence = DivergenceState.Diverged, DivergenceTerm = new Term(50) };
        var o = Of(diverged, "b", default, RestorePhase.Promoted, member: "b") with { Memory = memory };

        Does<HaAction.Rewind>(o);
        var again = o with { Memory = memory with { RewindFailures = 1 } };
        var copy = Assert.IsType<HaAction.CopyMember>(Assert.Single(HaLoop.Decide(again).Actions));
        Assert.Equal(("b", true), (copy.Source, copy.FromLeader));
    }

    [Fact]
    public void No_observation_promotes_or_takes_a_key_beside_a_member_that_restores()
    {
        foreach (var o in Every.Observation().Where((o, i) => i % 101 == 0 && o.Cluster is not null && !o.Paused))
        {
            var restoring = o with { Cluster = o.Cluster! with { Restore = Request(RestorePhase.Restoring, "b", Id) } };
            var actions = HaLoop.Decide(restoring).Actions;

            Assert.False(actions.Any(action => action is HaAction.AcquireLeader or HaAction.Restore), $"{restoring}");
        }
    }

    private static RestoreRequest Request(RestorePhase phase, string member, string id) =>
        new(id, member, new RestoreTarget("time", "2026-11-30 14:00:00+00"), phase)
        {
            ModRevision = 90, Timeline = phase == RestorePhase.Requested ? 0u : 1u,
        };

    private static Observation Without(Observation o) => o with { Cluster = o.Cluster! with { Restore = null } };

    private static Observation Of(
        LocalPostgres local, string? leader, LeaseView lease, RestorePhase phase, string member = "a", string id = Id)
    {
        var o = Every.Of(local, leader, lease, true, null, DynamicConfig.Default);
        var members = o.Cluster!.Members.ToDictionary(
            one => one.Key, one => one.Value with { Routing = new RoutingExtension("1", true) });
        return o with
        {
            Options = o.Options with { CanRestore = true },
            Cluster = o.Cluster with
            {
                Members = o.Cluster.Members.SetItems(members), Restore = Request(phase, member, id),
            },
        };
    }

    private static void Does<T>(Observation o) where T : HaAction
    {
        var decision = HaLoop.Decide(o);
        Assert.True(decision.Actions.Any(action => action is T), $"{decision.Code}: {decision.Reason}");
    }

    private static void DoesNot<T>(Observation o) where T : HaAction
    {
        var decision = HaLoop.Decide(o);
        Assert.False(decision.Actions.Any(action => action is T), $"{decision.Code}: {decision.Reason}");
    }
}
