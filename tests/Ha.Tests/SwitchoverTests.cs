using Routing.Cluster;
using Xunit;

namespace Routing.Ha.Tests;

/// <summary>A switchover in phases, as the leader decides it.</summary>
public sealed class SwitchoverTests
{
    private static readonly FailoverRequest s_request = new("a", "b", null, 70);

    [Fact]
    public void A_checkpoint_comes_first_while_everything_runs()
    {
        var decision = HaLoop.Decide(Leader());

        Assert.Equal("prepares_switchover", decision.Code);
        Assert.IsType<HaAction.BeginCheckpoint>(Assert.Single(decision.Actions));
        Assert.Equal("prepares_switchover", After(Leader(), decision, TimeSpan.FromSeconds(60)).Code);
    }

    [Fact]
    public void A_checkpoint_that_takes_too_long_is_not_waited_for()
    {
        var decision = HaLoop.Decide(Leader());

        Assert.Equal("announces_switchover", After(Leader(), decision, TimeSpan.FromMinutes(5)).Code);
    }

    [Fact]
    public void A_scheduled_one_is_not_late_while_it_is_prepared()
    {
        var o = Leader(new FailoverRequest("a", "b", default(DateTimeOffset), 70)) with { Clock = default };

        Assert.Equal("prepares_switchover", After(
            o with { Clock = o.Clock.AddMinutes(1) }, HaLoop.Decide(o), TimeSpan.FromMinutes(1)).Code);
    }

    [Fact]
    public void Behind_it_the_switchover_is_announced_for_this_term_and_everybody_is_asked()
    {
        var decision = Announced(Leader(), out _);

        var intent = Assert.IsType<HaAction.WriteIntent>(decision.Actions[0]).Intent;
        Assert.Equal(("a", "b", 50, TimeSpan.FromSeconds(2)),
            (intent.Leader, intent.Candidate, intent.Term, intent.Grace));
        Assert.Contains(decision.Actions, action => action is HaAction.LookAtClients);
        Assert.Contains(decision.Actions, action => action is HaAction.ProbePeers);
    }

    [Fact]
    public void It_hands_over_when_no_client_is_in_a_transaction_and_every_router_is_ready()
    {
        var o = Quiet(transactions: 0, ready: true);

        var decision = HaLoop.Decide(o);

        Assert.Equal("steps_down", decision.Code);
        Assert.Equal(new HaAction.Demote(DemoteMode.Graceful, "b"), Assert.Single(decision.Actions));
    }

    [Theory]
    [InlineData(1, true, "a transaction (session 1 of app)")]
    [InlineData(2, true, "2 transactions (session 1 of app)")]
    [InlineData(0, false, "a router (r1: 4 busy sessions)")]
    [InlineData(null, true, "PostgreSQL, which does not tell its clients' transactions")]
    public void It_waits_for_what_is_not_at_rest_and_names_it_at_the_end(int? transactions, bool ready, string who)
    {
        var o = Quiet(transactions, ready, """{"switchover_strict":true}""");
        var decision = HaLoop.Decide(o);

        Assert.Equal("awaits_quiet", decision.Code);
        Assert.IsType<HaAction.LookAtClients>(Assert.Single(decision.Actions));
        Assert.EndsWith($"waited for {who}", HaLoop.Decide(Late(o)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_server_said_before_the_announcement_does_not_count()
    {
        var o = Quiet(transactions: 0, ready: true);

        var decision = HaLoop.Decide(o with { Activity = o.Activity! with { AskedAt = Every.Now - s_second } });

        Assert.Equal("awaits_quiet", decision.Code);
    }

    [Fact]
    public void When_the_grace_is_over_it_hands_over_in_any_case() => Assert.Equal(
        "steps_down", HaLoop.Decide(Late(Quiet(transactions: 1, ready: false))).Code);

    [Fact]
    public void A_strict_one_is_called_off_then_and_tells_for_whom_it_waited()
    {
        var o = Late(Quiet(transactions: 1, ready: false, """{"switchover_strict":true}"""));

        var decision = HaLoop.Decide(o);

        Assert.Equal("switchover_called_off", decision.Code);
        var why = "after 2 s it still waited for a router (r1: 4 busy sessions) and a transaction (session 1 of app)";
        Assert.Equal(why, Assert.IsType<HaAction.WriteIntent>(decision.Actions[0]).Intent.CalledOff);
        Assert.Equal(new HaAction.ClearFailover(70), decision.Actions[1]);
        Assert.Null(decision.Memory.Switchover);
    }

    [Fact]
    public void A_candidate_that_is_lost_meanwhile_calls_it_off_at_once()
    {
        var o = Quiet(transactions: 1, ready: false);

        var decision = HaLoop.Decide(o with { Local = o.Local with { Standbys = [] } });

        Assert.Equal("request_refused", decision.Code);
        Assert.Equal("b does not stream from this member",
            Assert.IsType<HaAction.WriteIntent>(decision.Actions[0]).Intent.CalledOff);
        Assert.Contains(new HaAction.ClearFailover(70), decision.Actions);
    }

    [Fact]
    public void A_request_that_is_withdrawn_takes_the_announcement_with_it()
    {
        var o = Quiet(transactions: 1, ready: false);

        var decision = HaLoop.Decide(o with { Cluster = o.Cluster! with { Failover = null } });

        Assert.Equal(new HaAction.DeleteIntent(90), Assert.Single(decision.Actions));
    }

    [Fact]
    public void What_an_earlier_leader_has_left_is_deleted_and_what_was_called_off_stays_to_be_read()
    {
        var o = Leader();
        var left = new SwitchoverIntent("1", "b", "a", 40, TimeSpan.FromSeconds(2)) { ModRevision = 41 };

        Assert.Equal(new HaAction.DeleteIntent(41), Assert.Single(Decide(left).Actions));
        Assert.Empty(Decide(left with { Leader = "a", CalledOff = "not ready" }).Actions);

        Decision Decide(SwitchoverIntent intent) =>
            HaLoop.Decide(o with { Cluster = o.Cluster! with { Failover = null, Switchover = intent } });
    }

    [Fact]
    public void Neither_a_failover_nor_a_switchover_without_grace_waits()
    {
        Assert.Equal("steps_down", HaLoop.Decide(Leader(new FailoverRequest(null, "b", null, 70))).Code);
        Assert.Equal("steps_down", HaLoop.Decide(Leader(config: """{"switchover_grace":0}""")).Code);
    }

    [Fact]
    public void With_a_member_of_Patroni_that_could_take_over_it_goes_as_it_always_went()
    {
        Assert.Equal("steps_down", Of("b", "b").Code);
        Assert.Equal("prepares_switchover", Of("c", "b").Code);
        Assert.Equal("steps_down", Of("c", null).Code);

        static Decision Of(string patroni, string? candidate)
        {
            var o = Leader(new FailoverRequest("a", candidate, null, 70));
            var members = o.Cluster!.Members;
            return HaLoop.Decide(o with
            {
                Cluster = o.Cluster with
                {
                    Members = members.SetItem(patroni, members[patroni] with { Routing = null }),
                },
            });
        }
    }

    [Fact]
    public void A_standby_that_has_to_be_waited_for_is_dealt_with_meanwhile()
    {
        var o = Quiet(transactions: 1, ready: true, """{"synchronous_mode":true}""");
        o = o with
        {
            Cluster = o.Cluster! with { Sync = new SyncState("a", SyncState.None.Standbys.Add("b").Add("c"), 0, 60) },
            Local = o.Local with { SynchronousStandbyNames = "" },
        };

        var decision = HaLoop.Decide(o);

        Assert.Equal("synchronous", decision.Code);
        Assert.NotNull(decision.Memory.Switchover);
        Assert.True(decision.WakeIn <= TimeSpan.FromMilliseconds(20));
    }

    [Fact]
    public void A_leader_that_loses_its_lease_does_not_wait()
    {
        var o = Quiet(transactions: 1, ready: false);
        var lost = o with { Lease = o.Lease with { LeaderLeft = TimeSpan.Zero } };

        Assert.Equal("dcs_silent", HaLoop.Decide(lost).Code);
    }

    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    private static Observation Leader(FailoverRequest? request = null, string config = "{}") => Every.Of(
        Every.Server(ServerState.Running, isPrimary: true) with
        {
            Standbys = [Row("b"), Row("c")],
        },
        "a", new LeaseView(true, new Term(50), TimeSpan.FromSeconds(25), false, TimeSpan.FromSeconds(30)),
        request: request ?? s_request, config: Every.Config(config)) with
    {
        Peers = Every.Answers(200, isPrimary: false),
        Memory = new LoopMemory { Request = (70, Every.Now - s_second) },
    };

    private static StandbyRow Row(string name) => new(
        name, null, null, "streaming", "async", 0, new Lsn(200), new Lsn(200), new Lsn(200), new Lsn(200));

    private static Decision After(Observation o, Decision decision, TimeSpan time, TimeSpan? checkpointed = null) =>
        HaLoop.Decide(Heard(o with
        {
            Memory = decision.Memory, Now = o.Now + time, CheckpointedSince = checkpointed,
        }));

    /// <summary>The members have been asked a moment ago.</summary>
    private static Observation Heard(Observation o) => o with
    {
        Peers = o.Peers! with
        {
            AskedAt = o.Now - TimeSpan.FromMilliseconds(100), AnsweredAt = o.Now - TimeSpan.FromMilliseconds(90),
        },
    };

    private static Decision Announced(Observation o, out Observation then)
    {
        var prepares = HaLoop.Decide(o);
        then = o with { Memory = prepares.Memory, CheckpointedSince = o.Now };
        return HaLoop.Decide(then);
    }

    /// <summary>Announced half a second ago, and looked at since.</summary>
    private static Observation Quiet(int? transactions, bool ready, string config = "{}")
    {
        var announced = Announced(Leader(config: config), out var o);
        var intent = announced.Memory.Switchover!.Intent!;
        return o with
        {
            Memory = announced.Memory,
            Now = o.Now + TimeSpan.FromMilliseconds(500),
            Activity = new ClientActivity(
                o.Now + TimeSpan.FromMilliseconds(400), transactions,
                transactions > 0 ? ["session 1 of app"] : []),
            Cluster = o.Cluster! with
            {
                Switchover = intent with { ModRevision = 90 },
                Routers = o.Cluster.Routers.Add(
                    "r1", new RouterRecord("r1", "proxy", ready ? intent.Id : null, ready ? 0 : 4)),
            },
        };
    }

    private static Observation Late(Observation o) => Heard(o with { Now = o.Now + TimeSpan.FromSeconds(2) });
}
