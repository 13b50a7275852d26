using System.Text.Json;
using Routing.Cluster.Keys;

namespace Routing.Cluster.Tests;

public class DynamicConfigTests
{
    private static DynamicConfig Parse(string json) => DynamicConfigReader.Read(JsonElement.Parse(json), 12);

    [Fact]
    public void An_empty_object_gives_every_default_and_no_problem()
    {
        var config = Parse("{}");

        Assert.Equal(Timing.Default, config.Timing);
        Assert.Equal((1_048_576L, -1L), (config.MaximumLagOnFailoverBytes, config.MaximumLagOnSyncNodeBytes));
        Assert.Equal(TimeSpan.FromMinutes(5), config.PrimaryStartTimeout);
        Assert.Equal(TimeSpan.FromMinutes(30), config.MemberSlotsTtl);
        Assert.Equal((SynchronousMode.Off, 1), (config.SynchronousMode, config.SynchronousNodeCount));
        Assert.True(config.UseSlots);
        Assert.False(config.UseRewind || config.Pause || config.FailsafeMode || config.CheckTimeline
            || config.SynchronousModeStrict);
        Assert.Null(config.StandbyCluster);
        Assert.Equal(JsonValueKind.Undefined, config.Postgresql.ValueKind);
        Assert.Empty(config.Problems);
        Assert.Equal(12, config.ModRevision);
    }

    [Fact]
    public void Every_value_is_read_and_the_rest_is_kept()
    {
        var config = Parse(
            """
            {"ttl":45,"loop_wait":7,"retry_timeout":12,"maximum_lag_on_failover":4096,"maximum_lag_on_syncnode":0,"max_timelines_history":9,
             "primary_start_timeout":10,"primary_stop_timeout":20,"primary_race_backoff":3,"synchronous_mode":"quorum",
             "switchover_grace":"1500ms","switchover_strict":true,
             "synchronous_mode_strict":true,"synchronous_node_count":2,"failsafe_mode":true,"check_timeline":true,"pause":true,
             "member_slots_ttl":0,"ours":{"kept":1},
             "postgresql":{"use_slots":false,"use_pg_rewind":true,"parameters":{"work_mem":"8MB"}}}
            """);

        Assert.Equal(new Timing(TimeSpan.FromSeconds(45), TimeSpan.FromSeconds(7), TimeSpan.FromSeconds(12)),
            config.Timing);
        Assert.Equal((4096L, 0L), (config.MaximumLagOnFailoverBytes, config.MaximumLagOnSyncNodeBytes));
        Assert.Equal(9, config.MaximumHistoryLines);
        Assert.Equal((10, 20, 3), (config.PrimaryStartTimeout.Seconds, config.PrimaryStopTimeout.Seconds,
            config.PrimaryRaceBackoff.Seconds));
        Assert.Equal((2, true), (config.SwitchoverGrace.Seconds, config.SwitchoverStrict));
        Assert.Equal((SynchronousMode.Quorum, 2), (config.SynchronousMode, config.SynchronousNodeCount));
        Assert.True(config.SynchronousModeStrict && config.FailsafeMode && config.CheckTimeline && config.Pause
            && config.UseRewind);
        Assert.False(config.UseSlots);
        Assert.Equal(TimeSpan.Zero, config.MemberSlotsTtl);
        Assert.Equal(1, config.Raw.GetProperty("ours").GetProperty("kept").GetInt32());
        Assert.Equal("8MB", config.Postgresql.GetProperty("parameters").GetProperty("work_mem").GetString());
        Assert.Empty(config.Problems);
    }

    [Theory]
    [InlineData("\"on\"", SynchronousMode.Priority)]
    [InlineData("\"True\"", SynchronousMode.Priority)]
    [InlineData("1", SynchronousMode.Priority)]
    [InlineData("\"Quorum\"", SynchronousMode.Quorum)]
    [InlineData("false", SynchronousMode.Off)]
    [InlineData("\"no\"", SynchronousMode.Off)]
    [InlineData("null", SynchronousMode.Off)]
    public void The_synchronous_mode_has_many_spellings(string value, SynchronousMode mode)
    {
        var config = Parse($$"""{"synchronous_mode":{{value}}}""");

        Assert.Equal(mode, config.SynchronousMode);
        Assert.Empty(config.Problems);
    }

    [Fact]
    public void Texts_are_read_as_what_they_say()
    {
        var config = Parse(
            """
            {"ttl":" 40 ","pause":"on","failsafe_mode":"yes","synchronous_node_count":"2","maximum_lag_on_failover":"10MB",
             "primary_start_timeout":"5min","member_slots_ttl":"30min","postgresql":{"use_pg_rewind":"on","use_slots":"off"}}
            """);

        Assert.Equal(TimeSpan.FromSeconds(40), config.Timing.Ttl);
        Assert.True(config.Pause && config.FailsafeMode && config.UseRewind && !config.UseSlots);
        Assert.Equal((2, 10_485_760L), (config.SynchronousNodeCount, config.MaximumLagOnFailoverBytes));
        Assert.Equal((5, 30), (config.PrimaryStartTimeout.Minutes, config.MemberSlotsTtl.Minutes));
        Assert.Empty(config.Problems);
    }

    [Fact]
    public void Old_names_count_while_the_new_ones_are_missing()
    {
        Assert.Equal(11, Parse("""{"master_start_timeout":11}""").PrimaryStartTimeout.Seconds);
        Assert.Equal(12, Parse("""{"master_stop_timeout":12}""").PrimaryStopTimeout.Seconds);
        Assert.Equal(
            13, Parse("""{"master_start_timeout":11,"primary_start_timeout":13}""").PrimaryStartTimeout.Seconds);
        Assert.Contains("master_stop_timeout is", Assert.Single(Parse("""{"master_stop_timeout":-1}""").Problems));
    }

    [Theory]
    [InlineData("ttl", "\"1min\"", "ttl is \"1min\", but must be a whole number of seconds; 30 holds.")]
    [InlineData("loop_wait", "2.5", "loop_wait is 2.5, but must be a whole number of seconds; 10 holds.")]
    [InlineData("retry_timeout", "1e30", "retry_timeout is 1e30, but must be a whole number of seconds; 10 holds.")]
    [InlineData("maximum_lag_on_failover", "-1",
        "maximum_lag_on_failover is -1, but must be a number of bytes, 0 or more, such as 1048576 or \"1MB\"; 1048576 "
            + "holds.")]
    [InlineData("maximum_lag_on_syncnode", "-2",
        "maximum_lag_on_syncnode is -2, but must be a number of bytes, -1 or more, such as 1048576 or \"1MB\"; -1 "
            + "holds.")]
    [InlineData("member_slots_ttl", "\"soon\"",
        "member_slots_ttl is \"soon\", but must be a time of 0 s or more, such as 300 or \"5min\"; 1800 holds.")]
    [InlineData("primary_start_timeout", "99999999999999",
        "primary_start_timeout is 99999999999999, but must be a time of 0 s or more, such as 300 or \"5min\"; 300 "
            + "holds.")]
    [InlineData(
        "synchronous_mode", "\"strict\"", "synchronous_mode is \"strict\", but must be on, off or quorum; off holds.")]
    [InlineData("synchronous_node_count", "0",
        "synchronous_node_count is 0, but must be a number of standbys, 1 or more; 1 holds.")]
    [InlineData("pause", "\"maybe\"", "pause is \"maybe\", but must be on or off; off holds.")]
    [InlineData("postgresql", "[]", "postgresql is [], but must be an object; it is ignored.")]
    [InlineData("postgresql", "{\"use_slots\":7}", "postgresql.use_slots is 7, but must be on or off; on holds.")]
    public void A_wrong_value_is_named_with_what_is_allowed_and_its_default_holds(
        string name, string value, string problem)
    {
        var config = Parse($$"""{"{{name}}":{{value}},"max_timelines_history":5}""");

        Assert.Equal(problem, Assert.Single(config.Problems));
        Assert.Equal(5, config.MaximumHistoryLines);
        Assert.Equal(
            (Timing.Default, 1_048_576L, -1L, 300.0, SynchronousMode.Off, true),
            (config.Timing, config.MaximumLagOnFailoverBytes, config.MaximumLagOnSyncNodeBytes,
                config.PrimaryStartTimeout.TotalSeconds, config.SynchronousMode, config.UseSlots));
    }

    [Fact]
    public void A_value_below_the_minimum_is_kept_because_the_correction_raises_it()
    {
        var config = Parse("""{"ttl":5,"loop_wait":-3}""");

        Assert.Empty(config.Problems);
        Assert.Equal(20, config.Timing.Corrected(Timing.CommonMinimum).Ttl.TotalSeconds);
    }

    [Fact]
    public void Permanent_slots_take_their_type_from_what_they_say()
    {
        var config = Parse(
            """
            {"slots":{"plain":null,"empty":{},"named":{"type":"physical","cluster_type":"standby"},
                      "cdc":{"type":"logical","database":"app","plugin":"pgoutput"},"implied":{"database":"app","plugin":"wal2json"}}}
            """);

        Assert.Equal(new PermanentSlot(false, null, null, null), config.PermanentSlots["plain"]);
        Assert.Equal(new PermanentSlot(false, null, null, null), config.PermanentSlots["empty"]);
        Assert.Equal(new PermanentSlot(false, null, null, "standby"), config.PermanentSlots["named"]);
        Assert.Equal(new PermanentSlot(true, "app", "pgoutput", null), config.PermanentSlots["cdc"]);
        Assert.Equal(new PermanentSlot(true, "app", "wal2json", null), config.PermanentSlots["implied"]);
        Assert.Empty(config.Problems);
    }

    [Fact]
    public void The_longest_name_of_the_slots_wins_unless_it_is_empty()
    {
        Assert.Equal(
            ["c"],
            Parse(
                """{"slots":{"a":{}},"permanent_slots":{"b":{}},"permanent_replication_slots":{"c":{}}}""").PermanentSlots.Keys);
        Assert.Equal(["b"], Parse(
            """{"slots":{"a":{}},"permanent_slots":{"b":{}},"permanent_replication_slots":{}}""").PermanentSlots.Keys);
        Assert.Equal(["a"], Parse("""{"slots":{"a":{}},"permanent_slots":null}""").PermanentSlots.Keys);
    }

    [Theory]
    [InlineData("\"yes\"")]
    [InlineData("{\"type\":\"logical\"}")]
    [InlineData("{\"type\":\"other\"}")]
    [InlineData("{\"type\":5}")]
    public void A_slot_that_is_not_understood_is_neither_created_nor_dropped(string value)
    {
        var config = Parse("{\"slots\":{\"s\":" + value + ",\"t\":{}}}");

        Assert.Equal(["t"], config.PermanentSlots.Keys);
        Assert.Equal("s", Assert.Single(config.IgnoreSlots).Name);
        Assert.StartsWith("slots.s", Assert.Single(config.Problems));
    }

    [Fact]
    public void A_name_that_no_slot_can_have_is_named()
    {
        var config = Parse("""{"slots":{"Not-A-Slot":{}},"ignore_slots":[]}""");

        Assert.Empty(config.PermanentSlots);
        Assert.Empty(config.IgnoreSlots);
        Assert.StartsWith("slots.Not-A-Slot is no slot name", Assert.Single(config.Problems));
    }

    [Fact]
    public void Slots_to_ignore_are_a_list_of_matchers()
    {
        var config =
            Parse(
                """{"ignore_slots":[{"name":"n","type":"logical","database":"d","plugin":"p"},{"plugin":"q"},7,{"name":3},{"name":3,"type":"physical"}]}""");

        Assert.Equal(
            [new SlotMatcher("n", "logical", "d", "p"), new SlotMatcher(null, null, null, "q"),
                new SlotMatcher(null, "physical", null, null)],
            config.IgnoreSlots);
        Assert.Equal(["ignore_slots[2]", "ignore_slots[3].name", "ignore_slots[4].name"],
            config.Problems.Select(p => p.Split(' ')[0]));
    }

    [Fact]
    public void A_standby_cluster_is_read_in_full()
    {
        var standby = Parse(
            """
            {"standby_cluster":{"host":"far","port":"5433","restore_command":"cp %f %p","primary_slot_name":"s","create_replica_methods":["m","basebackup"],
             "archive_cleanup_command":"clean %r","recovery_min_apply_delay":5000}}
            """).StandbyCluster!;

        Assert.Equal(("far", 5433, "cp %f %p", "s"),
            (standby.Host, standby.Port, standby.RestoreCommand, standby.PrimarySlotName));
        Assert.Equal(["m", "basebackup"], standby.CreateReplicaMethods);
        Assert.Equal(("clean %r", "5000"), (standby.ArchiveCleanupCommand, standby.RecoveryMinApplyDelay));
    }

    [Theory]
    [InlineData("{}", false, 0)]
    [InlineData("null", false, 0)]
    [InlineData("{\"primary_slot_name\":\"s\"}", false, 0)]
    [InlineData("{\"host\":\"\",\"port\":null}", false, 0)]
    [InlineData("{\"port\":5432}", true, 0)]
    [InlineData("{\"restore_command\":\"x\"}", true, 0)]
    [InlineData("{\"port\":99999}", true, 1)]
    [InlineData("{\"host\":[\"a\"]}", true, 1)]
    public void A_typing_error_never_turns_a_standby_cluster_into_an_ordinary_one(
        string value, bool isStandby, int problems)
    {
        var config = Parse($$"""{"standby_cluster":{{value}}}""");

        Assert.Equal(isStandby, config.StandbyCluster is not null);
        Assert.Equal(problems, config.Problems.Length);
    }

    [Fact]
    public void The_configuration_outlives_the_document_that_it_came_from()
    {
        DynamicConfig config;
        using (var document = JsonDocument.Parse("""{"postgresql":{"parameters":{"a":1}}}"""))
        {
            config = DynamicConfigReader.Read(document.RootElement, 1);
        }

        Assert.Equal(1, config.Postgresql.GetProperty("parameters").GetProperty("a").GetInt32());
        Assert.Equal(JsonValueKind.Object, config.Raw.ValueKind);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("7")]
    [InlineData("null")]
    public void What_is_no_object_gives_every_default_and_a_problem(string json)
    {
        Assert.Single(Parse(json).Problems);
        Assert.Single(DynamicConfigReader.Read(default, 1).Problems);
    }

    [Theory]
    [InlineData("""{"synchronous_mode":"quorum"}""", """{"synchronous_mode":"qourum","ttl":40}""",
        """{"synchronous_mode":"quorum","ttl":40}""")]
    [InlineData("""{"pause":true}""", """{"pause":"tru"}""", """{"pause":true}""")]
    [InlineData("{}", """{"synchronous_mode":[],"ttl":40}""", """{"ttl":40}""")]
    [InlineData("""{"synchronous_mode":"quorum"}""", """{"ttl":40}""", """{"ttl":40}""")]
    [InlineData("""{"ttl":50}""", """{"ttl":40}""", """{"ttl":40}""")]
    public void A_wrong_value_leaves_the_one_before_in_force(string before, string written, string inForce)
    {
        var config = DynamicConfigReader.Read(JsonElement.Parse(written), 7);

        var after = config.After(DynamicConfigReader.Read(JsonElement.Parse(before), 6));
        var expected = DynamicConfigReader.Read(JsonElement.Parse(inForce), 7);

        Assert.Equal((expected.SynchronousMode, expected.Pause, expected.Timing, 7),
            (after.SynchronousMode, after.Pause, after.Timing, after.ModRevision));
        Assert.Equal(config.Problems, after.Problems.Take(config.Problems.Length));
    }
}
