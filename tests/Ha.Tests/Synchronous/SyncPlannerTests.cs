using System.Collections.Immutable;
using System.Text.Json;
using Routing.Cluster;
using Routing.Ha.Synchronous;
using Xunit;

namespace Routing.Ha.Tests.Synchronous;

public sealed class SyncPlannerTests
{
    private static readonly DynamicConfig s_priority =
        DynamicConfig.Default with { SynchronousMode = SynchronousMode.Priority };
    private static readonly DynamicConfig s_quorum =
        DynamicConfig.Default with { SynchronousMode = SynchronousMode.Quorum };

    [Fact]
    public void Priority_mode_switches_on_in_the_order_key_parameter_key()
    {
        var o = Observe(s_priority, Row("b", "async", 90));

        o = Perform(o, "key a||0", out _);
        o = Perform(o, "names b", out _) with { FlushLsn = new Lsn(100) };
        o = Perform(o, "wait 0.1", out _);
        o = Later(o, 0.1) with { Senders = [Row("b", "sync", 90)] };
        o = Perform(o, "wait 1", out _);                       // 90 is before the mark
        o = Later(o, 1) with { Senders = [Row("b", "sync", 100)] };
        o = Perform(o, "key a|b|0", out _);
        Perform(o, "none", out var reason);

        Assert.Equal("keeps b synchronous", reason);
    }

    [Fact]
    public void Priority_mode_takes_a_name_out_of_the_key_before_the_parameter()
    {
        var o = Observe(s_priority, Row("c", "async", 100)) with { Sync = Key("a", 0, "b"), StandbyNames = "b" };

        o = Perform(o, "key a||0", out _);
        Perform(o, "names c", out _);
    }

    [Fact]
    public void Priority_mode_waits_no_longer_than_two_seconds_before_it_publishes_those_it_has()
    {
        var o = Observe(s_priority with { SynchronousNodeCount = 2 }, Row("b", "sync", 100), Row("c", "sync", 10)) with
        {
            Sync = Key("a", 0), StandbyNames = "2 (b,c)",
        };

        o = Later(Perform(o, "wait 0.1", out _), 0.1);
        o = Later(Perform(o, "wait 1", out _), 1.9);
        o = Perform(o, "key a|b|0", out _);
        o = Perform(o, "wait 1", out var reason);
        Assert.Equal("waits until c caught up", reason);
        Perform(o with { Senders = [Row("b", "sync", 100), Row("c", "sync", 100)] }, "key a|b,c|0", out _);
    }

    [Fact]
    public void Strict_priority_mode_keeps_waiting_for_the_published_standby_when_it_is_gone()
    {
        var o = Observe(s_priority with { SynchronousModeStrict = true }) with { Sync = Key("a", 0, "b"),
            StandbyNames = "b" };

        Perform(o, "none", out var reason);

        Assert.Contains("strict", reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(SynchronousMode.Priority, "names " + SyncStandbyNames.Placeholder)]
    [InlineData(SynchronousMode.Quorum, "names ANY 1 (" + SyncStandbyNames.Placeholder + ")")]
    public void Strict_mode_without_any_standby_waits_for_one_that_does_not_exist(SynchronousMode mode, string step)
    {
        var config = DynamicConfig.Default with { SynchronousMode = mode, SynchronousModeStrict = true };

        var o = Perform(Observe(config) with { Sync = Key("a", 0) }, step, out _);
        Perform(o, "none", out _);
    }

    [Fact]
    public void Without_strictness_a_lost_standby_is_let_go()
    {
        var o = Observe(s_priority) with { Sync = Key("a", 0, "b"), StandbyNames = "b" };

        o = Perform(o, "key a||0", out _);
        o = Perform(o, "names -", out _);
        Perform(o, "none", out _);
    }

    [Fact]
    public void Quorum_mode_switches_on_once_a_standby_holds_all_that_was_acknowledged_before()
    {
        var o = Observe(s_quorum, Row("b", "async", 90), Row("c", "async", 90));

        o = Perform(o, "key a||0", out _);
        o = Perform(o, "names ANY 1 (b,c)", out _);
        o = Later(Perform(o, "wait 0.1", out _), 0.1);
        o = Perform(o with { Senders = [Row("b", "quorum", 99), Row("c", "quorum", 99)] }, "wait 1", out _);
        o = Perform(o with { Senders = [Row("b", "quorum", 100), Row("c", "quorum", 99)] }, "key a|b,c|1", out _);
        Perform(o, "none", out _);
    }

    [Fact]
    public void Quorum_is_lowered_only_after_standbys_hold_what_fewer_had_acknowledged()
    {
        var rows = (ulong lsn) =>
            ImmutableArray.Create(Row("b", "quorum", lsn), Row("c", "quorum", lsn), Row("d", "quorum", lsn));
        var o = Observe(s_quorum with { SynchronousNodeCount = 2 }) with
        {
            Sync = Key("a", 2, "b", "c", "d"), StandbyNames = "ANY 1 (b,c,d)", Senders = rows(90),
        };

        o = Perform(o, "names ANY 2 (b,c,d)", out _);
        o = Later(Perform(o, "none", out _), 0.1);              // nothing to write yet: 2 stays true
        o = Perform(o, "none", out _);
        Perform(o with { Senders = rows(100) }, "key a|b,c,d|1", out _);
    }

    [Fact]
    public void New_leader_gives_standbys_one_loop_to_connect_before_they_lose_their_vote()
    {
        var promotion = SyncPlanner.BeforePromotion("a", s_quorum, Key("b", 1, "a", "c"));
        Assert.Equal("ANY 1 (b,c)", promotion.StandbyNames);
        Assert.True(promotion.SetStandbyNames);
        Assert.Equal("a|b,c|1", Print(promotion.Write!));
        var o = Observe(s_quorum) with { Sync = promotion.Write!, StandbyNames = promotion.StandbyNames!,
            Memory = promotion.Memory };

        o = Later(Perform(o, "wait 0.1", out _), 9);
        o = Later(Perform(o, "wait 1", out _), 2);
        o = Perform(o, "key a||0", out _);
        Perform(o, "names -", out _);
    }

    [Fact]
    public void Change_of_parameter_that_is_not_in_force_yet_is_waited_for_and_not_repeated()
    {
        var o = Observe(s_priority, Row("b", "async", 90)) with { Sync = Key("a", 0) };
        var decision = SyncPlanner.Next(o);

        o = o with { Memory = decision.Memory };
        o = Later(Perform(o, "wait 0.1", out _), 2);
        o = Later(Perform(o, "wait 8", out _), 8);
        Perform(o, "names b", out _);
    }

    /// <summary>
    /// The key may name standbys by now: whoever lets commits go without them loses what is acknowledged then.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_write_that_is_not_seen_is_repeated_and_nothing_else_is_done(bool isQuorum)
    {
        var o = Observe(isQuorum ? s_quorum : s_priority, Row("b", isQuorum ? "quorum" : "sync", 100)) with
        {
            Sync = Key("a", 0), StandbyNames = isQuorum ? "ANY 1 (b)" : "b", FlushLsn = new Lsn(90),
        };
        o = Later(Perform(o, "wait 0.1", out _), 1);
        o = Later(Perform(o, "key a|b|0", out _), 1);
        var written = o.Sync;

        o = o with { Sync = Key("a", 0), Senders = [] };   // no answer, and an old view; and the standby goes
        Perform(o, "key a|b|0", out var reason);
        Assert.Contains("not known whether", reason, StringComparison.Ordinal);
        o = Later(Perform(o, "key a|b|0", out _) with { Sync = Key("a", 0) }, 5);

        o = o with { Sync = written };   // it was written
        // from here on as always: nobody may take over first, then nobody is waited for
        Perform(o, "key a||0", out _);
    }

    [Theory]
    [InlineData("nosync: true", "")]
    [InlineData("sync_priority: 0", "")]
    [InlineData("replicatefrom: \"c\"", "")]
    [InlineData("replicatefrom: \"gone\"", "b")]
    [InlineData("", "b")]
    public void Member_that_must_not_be_synchronous_is_not(string tag, string picked)
    {
        var o = Observe(s_priority, Row("b", "async", 90)) with { Sync = Key("a", 0) };
        o = o with
        {
            Members = o.Members.SetItem("b", Running("b", tag)).SetItem("c", Running("c", "nosync: true")),
            Senders = o.Senders.Add(Row("c", "async", 90)),
        };

        Perform(o, picked.Length == 0 ? "none" : $"names {picked}", out _);
    }

    [Fact]
    public void Higher_sync_priority_wins_then_the_present_one_then_the_most_WAL_and_nofailover_comes_last()
    {
        var o = Observe(s_priority, Row("b", "async", 90), Row("c", "async", 99), Row("d", "potential", 80),
            Row("e", "sync", 100));
        o = o with { Sync = Key("a", 0), Members = o.Members.SetItem("e", Running("e", "nofailover: true")) };

        Perform(o, "names d", out _);
        Perform(o with { Members = o.Members.SetItem("b", Running("b", "sync_priority: 2")) }, "names b", out _);
        Perform(o with { Senders = [Row("b", "async", 90), Row("c", "async", 99), Row("e", "sync", 100)] }, "names c",
            out _);
        Perform(o with { Senders = [Row("e", "async", 100)] }, "names e", out _);
        Perform(o with { Config = s_quorum }, "names ANY 1 (b,c,d)", out _);
    }

    [Fact]
    public void Standby_that_lags_too_far_is_passed_over()
    {
        var o = Observe(s_priority with { MaximumLagOnSyncNodeBytes = 5 }, Row("b", "sync", 90),
            Row("c", "async", 96)) with { Sync = Key("a", 0) };

        Perform(o, "names c", out _);
        Perform(o with { Senders = [Row("b", "sync", 90)], FlushLsn = new Lsn(100) }, "none", out _);
        Perform(o with { Senders = [Row("b", "sync", 95)], FlushLsn = new Lsn(100) }, "names b", out _);
    }

    [Theory]
    [InlineData("remote_apply", "3")]
    [InlineData("remote_write", "1")]
    [InlineData("on", "2")]
    [InlineData("local", "2")]
    public void Position_that_counts_is_the_one_commits_wait_for(string level, string lsn) =>
        Assert.Equal(ulong.Parse(lsn), new WalSender(
            "b", "streaming", "sync", new Lsn(1), new Lsn(2), new Lsn(3)).AcknowledgedLsn(level)!.Value.Value);

    [Fact]
    public void Mode_off_deletes_the_key_and_gives_the_operators_own_value_back()
    {
        var o = Observe(DynamicConfig.Default) with { Sync = Key("a", 0, "b"), StandbyNames = "b",
            UserStandbyNames = "archiver" };

        o = Perform(o, "delete", out _);
        o = Perform(o, "names archiver", out _);
        Perform(o, "none", out _);
    }

    [Fact]
    public void Mode_off_leaves_a_foreign_value_alone() =>
        Perform(Observe(DynamicConfig.Default) with { StandbyNames = "archiver" }, "none", out _);

    [Fact]
    public void Standby_cluster_has_no_synchronous_standbys() =>
        Perform(
            Observe(s_quorum with { StandbyCluster = new StandbyClusterConfig("h", null, null, null, [], null, null) },
                Row("b", "async", 1)),
            "none", out _);

    [Theory]
    [InlineData(SynchronousMode.Priority, false, 0, "b", null, "b||0")]
    [InlineData(SynchronousMode.Priority, true, 0, "b", "2 (a,c)", "b|a,c|0")]
    [InlineData(SynchronousMode.Priority, true, 1, "b", "2 (a,c)", "b||0")]                // voters are not certain
    [InlineData(SynchronousMode.Quorum, false, 1, "b", "ANY 1 (a,c)", "b|a,c|1")]
    [InlineData(SynchronousMode.Quorum, false, 1, "d", "ANY 2 (a,b,c)", "d|a,b,c|1")]      // an outsider
    [InlineData(SynchronousMode.Quorum, false, 1, "a", "ANY 1 (b,c)", null)]               // the owner itself
    public void Promotion_is_prepared_so_that_no_race_after_it_can_lose_a_commit(
        SynchronousMode mode, bool strict, int quorum, string winner, string? names, string? key)
    {
        var config = DynamicConfig.Default with { SynchronousMode = mode, SynchronousModeStrict = strict };
        var decision = SyncPlanner.BeforePromotion(winner, config, Key("a", quorum, "b", "c"));

        Assert.True(decision.SetStandbyNames);
        Assert.Equal(names, decision.StandbyNames);
        Assert.Equal(key, decision.Write is { } write ? Print(write) : null);
    }

    [Fact]
    public void Preparing_a_promotion_twice_changes_nothing_more()
    {
        foreach (var config in (DynamicConfig[])[s_priority, s_quorum,
            s_priority with { SynchronousModeStrict = true }])
        {
            var first = SyncPlanner.BeforePromotion("b", config, Key("a", 0, "b", "c"));
            var second = SyncPlanner.BeforePromotion("b", config, first.Write!);

            Assert.Equal(first.StandbyNames, second.StandbyNames);
            Assert.Equal(Print(first.Write!), Print(second.Write ?? first.Write!));
        }
    }

    [Fact]
    public void Standby_leaves_the_set_before_it_stops_but_waits_two_loops_at_most()
    {
        var sync = Key("a", 0, "b");

        Assert.False(LeaveSet.Decide("b", sync, TimeSpan.FromSeconds(19), Timing.Default).MayStop);
        Assert.True(LeaveSet.Decide("b", sync, TimeSpan.FromSeconds(20), Timing.Default).MayStop);
        Assert.True(LeaveSet.Decide("c", sync, TimeSpan.Zero, Timing.Default).MayStop);
        Assert.True(LeaveSet.Publish(Running("b", "sync_priority: 5").Tags).NoSync);
    }

    private static SyncObservation Observe(DynamicConfig config, params WalSender[] rows) => new()
    {
        Self = "a",
        Config = config,
        Sync = SyncState.None,
        Members = "abcde".Select(c => Running(c.ToString(), "")).ToImmutableSortedDictionary(m => m.Name, m => m),
        Senders = [.. rows],
        FlushLsn = new Lsn(100),
        Now = TimeSpan.FromHours(1),
    };

    /// <summary>Checks the step, performs it, and returns what the next run sees.</summary>
    private static SyncObservation Perform(SyncObservation o, string expected, out string reason)
    {
        var decision = SyncPlanner.Next(o);
        reason = decision.Reason;
        Assert.Equal(expected, decision.Step switch
        {
            SyncStep.WriteSync write => $"key {Print(write.Content)}",
            SyncStep.DeleteSync => "delete",
            SyncStep.SetStandbyNames set => $"names {set.Text ?? "-"}",
            SyncStep.Wait wait => FormattableString.Invariant($"wait {wait.For.TotalSeconds}"),
            _ => "none",
        });
        o = o with { Memory = decision.Memory };
        return decision.Step switch
        {
            SyncStep.WriteSync write => o with { Sync = write.Content with { ModRevision = o.Sync.ModRevision + 1 } },
            SyncStep.DeleteSync => o with { Sync = SyncState.None },
            SyncStep.SetStandbyNames set => o with { StandbyNames = set.Text ?? "" },
            _ => o,
        };
    }

    private static SyncObservation Later(SyncObservation o, double seconds) =>
        o with { Now = o.Now + TimeSpan.FromSeconds(seconds) };

    private static WalSender Row(string name, string state, ulong lsn) =>
        new(name, "streaming", state, new Lsn(lsn), new Lsn(lsn), new Lsn(lsn));

    private static Member Running(string name, string tag)
    {
        var colon = tag.IndexOf(':', StringComparison.Ordinal);
        return new Member
        {
            Name = name,
            State = PostgresState.Running,
            Tags = colon < 0
                ? MemberTags.Empty
                : new MemberTags(MemberTags.Empty.Values.Add(tag[..colon], JsonElement.Parse(tag[(colon + 1)..]))),
        };
    }

    private static SyncState Key(string leader, int quorum, params string[] names) =>
        new(leader, ImmutableSortedSet.CreateRange(StringComparer.OrdinalIgnoreCase, names), quorum, 5);

    private static string Print(SyncState sync) => $"{sync.Leader}|{string.Join(',', sync.Standbys)}|{sync.Quorum}";
}
