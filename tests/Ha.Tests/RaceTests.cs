using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>Nobody holds the leader key: who may take it, row by row.</summary>
public sealed class RaceTests
{
    private static readonly LocalPostgres s_standby = Every.Server(ServerState.Running, isPrimary: false);

    [Fact]
    public void A_standby_asks_the_others_first() =>
        Assert.Equal("asks_peers", HaLoop.Decide(Standby() with { Peers = null }).Code);

    [Fact]
    public void The_healthiest_standby_races()
    {
        var decision = HaLoop.Decide(Standby());

        Assert.Equal("races", decision.Code);
        Assert.IsType<HaAction.AcquireLeader>(Assert.Single(decision.Actions));
    }

    [Fact]
    public void A_member_whose_promotion_failed_a_moment_ago_stays_out() => Refuses("barred", o => o with
    {
        Memory = o.Memory with { BarredFromRaceUntil = o.Now + TimeSpan.FromSeconds(5) },
    });

    [Fact]
    public void A_paused_standby_does_not_race() => Refuses("paused", o => Configured(o, """{"pause":true}"""));

    [Fact]
    public void A_server_that_does_not_answer_does_not_race() =>
        Refuses("unresponsive", o => o with { Local = o.Local with { Server = ServerState.Unresponsive } });

    [Fact]
    public void A_standby_that_does_not_know_where_its_WAL_ends_does_not_race() =>
        Refuses("wal_unread", o => o with { Local = o.Local with { IsWalEndUnknown = true } });

    /// <summary>It may hold every acknowledged commit, and more than the candidate.</summary>
    [Fact]
    public void A_voter_that_tells_no_position_gives_no_vote() => Refuses("no_quorum", o =>
        Peer(Synced(Configured(o, """{"synchronous_mode":"quorum"}"""), "c", 1, "a", "b"), new PeerReport("b", true)));

    [Fact]
    public void A_member_that_has_not_read_its_WAL_is_asked_again_for_a_moment()
    {
        var o = Peer(Standby(), new PeerReport("b", true) { State = PostgresState.Running, Age = TimeSpan.Zero });

        Assert.Equal("asks_peers", HaLoop.Decide(o).Code);
        Races(
            seen => seen with { Peers = o.Peers,
                Memory = seen.Memory with { UnlockedSince = seen.Now - TimeSpan.FromSeconds(3) } });
    }

    /// <summary>A member that waited for the WAL of one that must not lead would wait for ever.</summary>
    [Fact]
    public void A_member_whose_data_are_marked_holds_nobody_up()
    {
        var ahead = new PeerReport("b", true, false, new Lsn(300), 1);

        Refuses("behind", o => Peer(o, ahead));
        Races(o => Peer(o, ahead with { Damage = "its history has diverged" }));
    }

    /// <summary>The cluster left timeline 1 at 0/12C (300), and stepped over timelines 2 and 3.</summary>
    /// <summary>
    /// The last leader, which has all that was acknowledged in its term, and a voter whose WAL went on where the
    /// cluster had left it.
    /// </summary>
    [Theory]
    [InlineData("a", 1u, "races")]
    [InlineData("c", 1u, "no_quorum")]   // another one owned the synchronous state
    [InlineData("a", 2u, "no_quorum")]   // more of the present history
    public void The_owner_of_the_quorum_waits_for_no_WAL_of_a_history_that_was_left(
        string owner, uint timeline, string code)
    {
        var o = Synced(Configured(Standby(), """{"synchronous_mode":"quorum"}"""), owner, 1, "a", "b", "c");
        o = OnTimeline(o with { Local = o.Local with { Timeline = 2, WalPosition = new Lsn(320) } }, 2, 1);
        o = Peer(Peer(o, new PeerReport("b", true, false, new Lsn(400), timeline)), new PeerReport("c", false));

        Assert.Equal(code, HaLoop.Decide(o).Code);
    }

    [Theory]
    [InlineData(2u, 310ul)]
    [InlineData(3u, 250ul)]
    public void A_timeline_that_was_stepped_over_is_no_part_of_the_history(uint timeline, ulong position)
    {
        var history = HistoryUpdate.Of(null, Every.Server(ServerState.Running, isPrimary: true) with
        {
            Timeline = 4,
            History = [new HistoryLine(1, new Lsn(300), "", "then", null)],
        }, "b", 0);

        Refuses("damaged", o => o with
        {
            Cluster = o.Cluster! with { History = history },
            Local = o.Local with { Timeline = timeline, WalPosition = new Lsn(position) },
        });
    }

    /// <summary>
    /// Patroni leaves the key to the candidate of a request, and so does the leader that was asked to step down, for as
    /// long as the request stands.
    /// </summary>
    [Theory]
    [InlineData("b", null, null, "races")]
    [InlineData("c", "a", null, "races")]
    [InlineData("c", null, null, "behind")]
    [InlineData("b", null, 1.0, "behind")]   // one of ours takes the key in its turn
    public void A_member_that_leaves_the_key_to_this_one_holds_it_up_for_one_ttl(
        string leader, string? candidate, double? age, string code)
    {
        var ahead = new PeerReport("b", true, false, new Lsn(300), 1)
        {
            Age = age is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        };
        Observation At(int sinceUnlocked, Observation o) => o with
        {
            Memory = o.Memory with { UnlockedSince = o.Now - TimeSpan.FromSeconds(sinceUnlocked) },
        };
        var o = Peer(Optime(Requested(Standby(), new FailoverRequest(leader, candidate, null, 70)), 300), ahead);

        Assert.Equal("behind", HaLoop.Decide(At(29, o)).Code);
        Assert.Equal(code, HaLoop.Decide(At(31, o)).Code);
    }

    /// <summary>
    /// One that runs Patroni could lead, and leaves the key to the candidate of a request, which lags too far.
    /// </summary>
    [Theory]
    [InlineData("b", "a", 5_000_000ul, null, 31, "request_refused")]
    [InlineData("b", null, 5_000_000ul, null, 31, "request_refused")]
    [InlineData("c", null, 5_000_000ul, null, 31, "lagging")]    // it is not held up
    [InlineData("b", "a", 5_000_000ul, null, 29, "lagging")]     // the request's turn is not over
    [InlineData("b", "a", 5_000_000ul, 1.0, 31, "lagging")]      // one of ours waits for nobody
    [InlineData("b", "a", 300ul, null, 31, "lagging")]           // it lags, too
    public void A_request_that_keeps_the_only_possible_leader_back_is_dropped(
        string leader, string? candidate, ulong position, double? age, int sinceUnlocked, string code)
    {
        var other = new PeerReport("b", true, false, new Lsn(position), 1)
        {
            Age = age is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
        };
        var o = Peer(Optime(Requested(Standby(), new FailoverRequest(leader, candidate, null, 70)), 5_000_000), other);
        o = o with
        {
            Memory = o.Memory with { UnlockedSince = o.Now - TimeSpan.FromSeconds(sinceUnlocked) },
        };

        var decision = HaLoop.Decide(o);

        Assert.Equal(code, decision.Code);
        Assert.Equal(code == "request_refused", decision.Actions.Contains(new HaAction.ClearFailover(70)));
    }

    [Theory]
    [InlineData("nofailover", "true")]
    [InlineData("failover_priority", "0")]
    public void A_member_that_must_not_lead_does_not_race(string tag, string value) =>
        Refuses("nofailover", o => o with { Options = o.Options with { Tags = Tags(tag, value) } });

    [Fact]
    public void A_member_whose_required_watchdog_is_unusable_does_not_race() =>
        Refuses("watchdog", o => o with { Options = o.Options with { WatchdogProblem = "has no watchdog" } });

    [Fact]
    public void A_member_outside_the_failsafe_list_does_not_race() => Refuses("not_failsafe_member", o =>
    {
        o = Configured(o, """{"failsafe_mode":true}""");
        return o with { Cluster = o.Cluster! with { Failsafe = Names("b", "c") } };
    });

    /// <summary>
    /// The last leader did not know it any more, so it may not lead; whoever waited for its WAL would wait for ever.
    /// </summary>
    [Fact]
    public void A_member_outside_the_failsafe_list_holds_nobody_up()
    {
        var o = Configured(Standby(), """{"failsafe_mode":true}""");
        o = o with { Peers = Every.Answers(5_000_000, isPrimary: false, reachable: true) };
        Assert.Equal("behind", HaLoop.Decide(o).Code);

        o = o with { Cluster = o.Cluster! with { Failsafe = Names("a") } };

        Assert.Equal("races", HaLoop.Decide(o).Code);
    }

    [Fact]
    public void A_member_that_hears_a_leader_without_the_DCS_does_not_race() => Refuses("failsafe", o =>
        Configured(o, """{"failsafe_mode":true}""")
            with { Failsafe = new FailsafeView(default, null, "b", TimeSpan.FromSeconds(3)) });

    /// <summary>A leader that is cut off does not hear of the change, and counts on the consent.</summary>
    [Fact]
    public void A_consent_binds_though_failsafe_mode_was_switched_off_since() => Refuses("failsafe", o =>
        o with { Failsafe = new FailsafeView(default, null, "b", TimeSpan.FromSeconds(3)) });

    [Fact]
    public void An_asynchronous_standby_does_not_race() => Refuses("not_synchronous", o =>
        Synced(Configured(o, """{"synchronous_mode":true}"""), "b", 0, "c"));

    [Fact]
    public void A_synchronous_standby_races() =>
        Races(o => Synced(Configured(o, """{"synchronous_mode":true}"""), "b", 0, "a"));

    [Fact]
    public void A_failover_by_name_may_go_to_an_asynchronous_standby() => Races(o =>
        Requested(Synced(Configured(o, """{"synchronous_mode":true}"""), "b", 0, "c"),
            new FailoverRequest(null, "a", null, 70)));

    [Fact]
    public void A_switchover_may_not() => Refuses("not_synchronous", o =>
        Requested(Synced(Configured(o, """{"synchronous_mode":true}"""), "b", 0, "c"),
            new FailoverRequest("b", "a", null, 70)));

    [Fact]
    public void A_standby_that_lags_too_far_does_not_race() => Refuses("lagging", o =>
        Optime(Configured(o, """{"maximum_lag_on_failover":10}"""), 211));

    [Fact]
    public void A_failover_by_hand_to_another_that_cannot_be_reached_lets_nobody_else_lag() => Refuses("lagging", o =>
        Requested(
            Peer(Optime(Configured(o, """{"maximum_lag_on_failover":10}"""), 211),
                PeerReport.Unreachable("b", "cut off")),
            new FailoverRequest(null, "b", null, 70)));

    /// <summary>A leader that ended in haste published less than it had published before.</summary>
    [Fact]
    public void The_highest_position_that_was_published_is_what_a_standby_may_lack() => Refuses("lagging", o =>
    {
        o = Configured(o, """{"maximum_lag_on_failover":10}""");
        return Optime(o, 50) with { Memory = HaLoop.Decide(Optime(o, 211)).Memory };
    });

    [Fact]
    public void A_new_leader_begins_where_its_history_forked_off()
    {
        var o = Configured(Standby(), """{"maximum_lag_on_failover":10}""");
        var memory = HaLoop.Decide(Optime(o, 900)).Memory;
        var led = Optime(o, 205) with { Memory = memory };
        led =
            led with { Cluster = led.Cluster! with { Leader = new LeaderKey("b", new Term(80), 80, 1),
                Status = led.Cluster.Status with { ModRevision = 90 } } };

        // Until the new leader has published anything, what stands there is of the one before.
        var before =
            led with { Cluster =
                led.Cluster with { Status = led.Cluster.Status with { ModRevision = 70, Optime = new Lsn(900) } } };
        Assert.Equal(new Lsn(900), HaLoop.Decide(before).Memory.Published.Highest);
        Assert.Equal(new Lsn(205), HaLoop.Decide(led).Memory.Published.Highest);
        Races(
            _ => Optime(o, 205) with { Memory =
                HaLoop.Decide(led).Memory with { UnlockedSince = Every.Now - TimeSpan.FromSeconds(1) } });
    }

    [Fact]
    public void A_standby_at_the_limit_of_lag_races() =>
        Races(o => Optime(Configured(o, """{"maximum_lag_on_failover":10}"""), 210));

    [Fact]
    public void A_standby_on_an_old_timeline_does_not_race_when_that_is_checked() => Refuses("stale_timeline", o =>
        OnTimeline(Configured(o, """{"check_timeline":true}"""), 2));

    [Fact]
    public void A_history_beyond_belief_bars_nobody() => Races(o =>
        OnTimeline(Configured(o, """{"check_timeline":true}"""), 4_000_000_000));

    [Fact]
    public void The_timeline_is_not_checked_by_default() => Races(o => OnTimeline(o, 2));

    [Theory]
    [InlineData(DataDamage.Diverged)]
    [InlineData(DataDamage.HalfRewound)]
    public void Damaged_data_never_race(DataDamage damage) =>
        Refuses("damaged", o => o with { Local = o.Local with { Damage = damage } });

    [Theory]
    [InlineData(DivergenceState.Diverged)]
    [InlineData(DivergenceState.RewindFailed)]
    public void Data_that_were_found_to_have_diverged_do_not_race(DivergenceState divergence) =>
        Refuses("damaged", o => o with { Memory = o.Memory with { Divergence = divergence } });

    /// <summary>
    /// Bytes of a branch that the cluster left are no progress: the lag to the last leader cannot be told by them.
    /// </summary>
    [Fact]
    public void A_standby_with_WAL_beyond_the_point_where_the_cluster_left_its_timeline_does_not_race()
    {
        Refuses("damaged", o => OnTimeline(o with { Local = o.Local with { WalPosition = new Lsn(301) } }, 2));
        // no line names timeline 3
        Refuses("damaged", o => OnTimeline(o with { Local = o.Local with { Timeline = 3 } }, 5, 2));
        Races(
            o => Requested(OnTimeline(o with { Local = o.Local with { WalPosition = new Lsn(301) } }, 2),
                new FailoverRequest(null, "a", null, 70)));
        Races(o => OnTimeline(o, 5, 4));   // lines of older timelines may have been dropped
    }

    [Fact]
    public void A_primary_that_answers_is_asked_again_and_again_for_it_may_be_about_to_end() =>
        Assert.Equal("asks_peers", HaLoop.Decide(Peer(Standby(), new PeerReport("b", true, IsPrimary: true))).Code);

    [Fact]
    public void A_primary_that_answers_blocks_the_race() =>
        Refuses("primary_alive", o => Peer(o, new PeerReport("b", true, IsPrimary: true)) with
    {
        Memory = o.Memory with { UnlockedSince = o.Now - TimeSpan.FromSeconds(3) },
    });

    [Fact]
    public void What_a_member_said_long_ago_does_not_block_a_race_that_asks_nobody() => Races(o =>
        Peer(Alone(Synced(Configured(o, """{"synchronous_mode":true}"""), "b", 0, "a")),
            new PeerReport("c", true, IsPrimary: true)));

    [Fact]
    public void A_peer_with_more_WAL_goes_first() =>
        Refuses("behind", o => Peer(o, new PeerReport("b", true, false, new Lsn(201), 1)));

    [Fact]
    public void A_peer_that_is_barred_by_its_old_timeline_is_not_waited_for_whatever_WAL_it_has()
    {
        Races(o => Left(Configured(o, """{"check_timeline":true}""")));
        Refuses("behind", o => OnTimeline(Left(o), 2));   // where timelines are not checked it may lead itself
        // not with what the cluster has left
        Races(o => Peer(OnTimeline(Left(o), 2), new PeerReport("b", true, false, new Lsn(301), 1)));
        Refuses("stale_timeline", o => Left(Configured(o, """{"check_timeline":true}""")) with { Local = o.Local });

        // A failover to a member that lagged opened timeline 2; the others kept more bytes of timeline 1.
        static Observation Left(Observation o) =>
            Peer(OnTimeline(o, 2), new PeerReport("b", true, false, new Lsn(201), 1)) with
        {
            Local = o.Local with { Timeline = 2 },
        };
    }

    [Fact]
    public void A_peer_at_the_same_position_does_not_stand_in_the_way() =>
        Races(o => Peer(o, new PeerReport("b", true, false, new Lsn(200), 1)));

    [Fact]
    public void A_peer_at_the_same_position_with_a_higher_priority_goes_first() =>
        Refuses("lower_priority", o => Peer(o, new PeerReport("b", true, false, new Lsn(200), 1, FailoverPriority: 2)));

    [Theory]
    [InlineData(false, false, false)]
    [InlineData(true, true, false)]
    [InlineData(true, false, true)]
    public void A_peer_that_cannot_lead_is_ignored(bool reachable, bool noFailover, bool watchdogFailed) =>
        Races(o => Peer(
        o, new PeerReport("b", reachable, false, new Lsn(900), 1, NoFailover: noFailover,
            WatchdogFailed: watchdogFailed)));

    [Fact]
    public void The_former_synchronous_leader_may_be_ahead() => Races(o => Peer(
        Synced(Configured(o, """{"synchronous_mode":true}"""), "b", 0, "a"),
        new PeerReport("b", true, false, new Lsn(900), 1)));

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public void A_quorum_needs_its_votes(int quorum, bool wins)
    {
        var o = Synced(Configured(Standby(), """{"synchronous_mode":"quorum"}"""), "x", quorum, "a", "b", "c");
        o = Peer(o, PeerReport.Unreachable("c", "no answer"));

        Assert.Equal(wins ? "races" : "no_quorum", HaLoop.Decide(o).Code);
    }

    /// <summary>It holds what was acknowledged as any other voter does, and is not waited for.</summary>
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void A_voter_that_may_not_lead_votes(bool noFailover, bool watchdogFailed)
    {
        var o = Synced(Configured(Standby(), """{"synchronous_mode":"quorum"}"""), "x", 1, "a", "b");
        o = Peer(o, PeerReport.Unreachable("c", "no answer"));
        var voter = new PeerReport("b", true, false, new Lsn(200), 1, noFailover, noFailover ? 0 : 2, watchdogFailed);

        Assert.Equal("races", HaLoop.Decide(Peer(o, voter)).Code);
        Assert.Equal("no_quorum", HaLoop.Decide(Peer(o, voter with { Position = new Lsn(201) })).Code);
    }

    [Fact]
    public void A_position_from_before_the_leader_was_gone_is_asked_for_again() =>
        Assert.Equal("asks_peers", HaLoop.Decide(Peer(
        Standby(), new PeerReport("b", true, false, new Lsn(100), 1) { Age = TimeSpan.FromSeconds(9) })).Code);

    [Fact]
    public void The_race_does_not_wait_for_ever_for_a_new_position() => Races(o =>
        Peer(o, new PeerReport("b", true, false, new Lsn(100), 1) { Age = TimeSpan.FromSeconds(9) }) with
        {
            Memory = o.Memory with { UnlockedSince = o.Now - TimeSpan.FromSeconds(3) },
        });

    [Fact]
    public void Answers_from_before_a_term_that_was_not_seen_do_not_count()
    {
        var raced = Standby();
        Assert.Equal("races", HaLoop.Decide(raced).Code);

        // Another member led meanwhile, and is gone again: it has taken the synchronous state over.
        var later = raced with
        {
            Memory = HaLoop.Decide(raced).Memory,
            Cluster = raced.Cluster! with { Sync = SyncState.None with { ModRevision = 77 } },
        };

        Assert.Equal("asks_peers", HaLoop.Decide(later).Code);
    }

    [Fact]
    public void An_old_position_is_no_vote()
    {
        var o = Synced(Configured(Standby(), """{"synchronous_mode":"quorum"}"""), "x", 1, "a", "b");
        o = Peer(o, new PeerReport("b", true, false, new Lsn(100), 1) { Age = TimeSpan.FromSeconds(9) });
        o = o with { Memory = o.Memory with { UnlockedSince = o.Now - TimeSpan.FromSeconds(3) } };

        Assert.Equal("no_quorum", HaLoop.Decide(o).Code);
    }

    [Theory]
    [InlineData(-1, true)]       // it is due, and the leader has stepped down for it
    [InlineData(1, true)]        // by the leader's clock it was
    [InlineData(3600, false)]    // for later: the leader went for another reason
    public void A_scheduled_switchover_gives_its_candidate_the_first_turn_once_it_is_due(double inSeconds, bool waits)
    {
        FailoverRequest Scheduled(Observation o) => new("x", "b", o.Clock.AddSeconds(inSeconds), 70);
        Func<Observation, Observation> situation = o =>
            Peer(Requested(o, Scheduled(o)), new PeerReport("b", true, false, new Lsn(200), 1));

        if (waits)
        {
            Refuses("candidate_first", situation);
        }
        else
        {
            Races(situation);
        }
    }

    [Fact]
    public void The_others_leave_the_key_to_the_candidate() => Refuses("candidate_first", o =>
        Peer(Requested(o, new FailoverRequest("x", "b", null, 70)), new PeerReport("b", true, false, new Lsn(200), 1)));

    [Fact]
    public void A_candidate_that_lacks_what_the_leader_published_is_passed_over() => Races(o =>
        Peer(Requested(o, new FailoverRequest("x", "b", null, 70)), new PeerReport("b", true, false, new Lsn(199), 1)));

    [Fact]
    public void An_unreachable_candidate_is_passed_over() => Races(o =>
        Peer(Requested(o, new FailoverRequest("x", "b", null, 70)), PeerReport.Unreachable("b", "no answer")));

    [Fact]
    public void The_leader_that_was_asked_to_step_down_leaves_the_key_to_the_others() =>
        Refuses("stepped_down", o => Requested(o, new FailoverRequest("a", null, null, 70)));

    [Fact]
    public void The_race_is_postponed_while_WAL_still_arrives() => Refuses("race_backoff", o =>
        Configured(o, """{"primary_race_backoff":30}""") with
        {
            Local = o.Local with { IsStreaming = true },
            Memory = o.Memory with { PreviousPosition = new Lsn(150) },
        });

    [Fact]
    public void A_stale_primary_does_not_take_the_key_back()
    {
        var o = OnTimeline(Standby(), 2) with { Local = Every.Server(ServerState.Running, isPrimary: true) };

        Assert.Contains(HaLoop.Decide(o).Actions, a => a is HaAction.Demote { Mode: DemoteMode.ImmediateNoLock });
    }

    [Fact]
    public void The_only_primary_takes_the_key_at_once()
    {
        var o = Standby() with { Local = Every.Server(ServerState.Running, isPrimary: true) };

        Assert.Equal("reacquires", HaLoop.Decide(o).Code);
    }

    [Fact]
    public void A_paused_primary_keeps_running_while_the_DCS_is_silent()
    {
        var o = Configured(Standby(), """{"pause":true}""")
            with { Local = Every.Server(ServerState.Running, isPrimary: true), IsDcsLive = false };

        Assert.Empty(HaLoop.Decide(o).Actions);
    }

    private static Observation Standby() => Every.Of(s_standby, null, default) with
    {
        Peers = Every.Answers(100, isPrimary: false),
        Memory = new LoopMemory { UnlockedSince = Every.Now - TimeSpan.FromSeconds(1) },
    };

    private static void Refuses(string code, Func<Observation, Observation> change)
    {
        var decision = HaLoop.Decide(change(Standby()));

        Assert.Equal(code, decision.Code);
        Assert.Empty(decision.Actions);
    }

    private static void Races(Func<Observation, Observation> change) =>
        Assert.Equal("races", HaLoop.Decide(change(Standby())).Code);

    private static MemberTags Tags(string name, string value) =>
        new(MemberTags.Empty.Values.SetItem(name, JsonElement.Parse(value)));

    private static Observation Configured(Observation o, string json)
    {
        var config = Every.Config(json);
        return o with { Config = config, Cluster = o.Cluster! with { Config = config } };
    }

    private static Observation Synced(Observation o, string leader, int quorum, params string[] standbys) => o with
    {
        Cluster = o.Cluster! with { Sync = new SyncState(leader, SyncState.None.Standbys.Union(standbys), quorum, 60) },
    };

    private static Observation Requested(Observation o, FailoverRequest request) =>
        o with { Cluster = o.Cluster! with { Failover = request } };

    private static Observation Optime(Observation o, ulong optime) => o with
    {
        Cluster = o.Cluster! with { Status = LeaderStatus.None with { Optime = new Lsn(optime) } },
    };

    /// <summary>The cluster is on this timeline, and left those before it at 0/12C (300).</summary>
    private static Observation OnTimeline(Observation o, uint timeline, params uint[] before) => o with
    {
        Cluster = o.Cluster! with
        {
            History = new TimelineHistory(
                [.. before.Where(earlier => earlier < timeline - 1).Append(timeline - 1)
                    .Select(ended => new HistoryLine(ended, new Lsn(300), "", null, "b"))]),
        },
    };

    /// <summary>The other members' keys have gone with their leases, as the frozen leader's does.</summary>
    private static Observation Alone(Observation o) => o with
    {
        Cluster =
            o.Cluster! with { Members = o.Cluster.Members.Where(pair => pair.Key is "a" or "c")
                .ToImmutableSortedDictionary(StringComparer.Ordinal) },
    };

    private static Observation Peer(Observation o, PeerReport report) => o with
    {
        Peers = o.Peers! with { Reports = o.Peers.Reports.SetItem(report.Name, report) },
    };

    private static ImmutableSortedDictionary<string, string> Names(params string[] names) =>
        names.ToImmutableSortedDictionary(name => name, name => $"http://{name}:8008/patroni", StringComparer.Ordinal);
}
