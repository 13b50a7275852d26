using Routing.Cluster.Keys;

namespace Routing.Cluster.Tests;

public class SnapshotReaderTests
{
    private const string MemberJson = """{"conn_url":"postgres://h:5432/d","state":"running","role":"replica"}""";

    [Fact]
    public void The_leader_is_plain_text_and_its_term_the_create_revision()
    {
        var key = new RawKey("leader", "n1", CreateRevision: 5, ModRevision: 9, LeaseId: 77);

        var leader = SnapshotReader.Apply(ClusterSnapshot.Empty, 9, key).Leader;

        Assert.Equal(new LeaderKey("n1", new Term(5), 9, 77), leader);
    }

    [Fact]
    public void An_empty_or_missing_leader_key_means_that_nobody_leads()
    {
        var led = Keys.Read(("leader", "n1"), ("members/n1", MemberJson));

        Assert.Equal("n1", led.LeaderMember?.Name);
        Assert.Null(led.With("leader", "").Leader);
        Assert.Null(led.Without("leader").Leader);
    }

    [Theory]
    [InlineData("members/a", true)]
    [InlineData("members/a/b", false)]
    [InlineData("members/", false)]
    [InlineData("members", false)]
    [InlineData("x/members/a", false)]
    public void Only_keys_with_one_slash_below_members_are_members(string key, bool isMember) =>
        Assert.Equal(isMember ? 1 : 0, Keys.Read((key, MemberJson)).Members.Count);

    [Fact]
    public void Unknown_keys_are_ignored_and_ours_are_kept_as_they_are()
    {
        var snapshot = Keys.Read(("whatever", "{"), ("routing/intent", "{\"until\":1}"), ("routing/routers/r1", "x"));

        Assert.Empty(snapshot.Problems);
        Assert.Equal(["routing/intent", "routing/routers/r1"], snapshot.RoutingKeys.Keys);
        Assert.Equal(["routing/routers/r1"], snapshot.Without("routing/intent").RoutingKeys.Keys);
    }

    [Fact]
    public void An_announced_switchover_holds_for_the_term_that_it_names_alone()
    {
        var intent = new SwitchoverIntent("7", "a", "b", Term: 1, TimeSpan.FromSeconds(2));
        var led = Keys.Read(("leader", "a"), ("routing/switchover", KeyWriter.Switchover(intent)));

        Assert.Equal(intent, led.Switchover! with { ModRevision = 0 });
        Assert.NotNull((led with { Leader = led.Leader! with { Term = new Term(1) } }).Intent);
        Assert.Null((led with { Leader = led.Leader with { Term = new Term(2) } }).Intent);
        Assert.Null((led with { Leader = new LeaderKey("b", new Term(1), 1, 0) }).Intent);
        Assert.Null(led.Without("leader").Intent);
        var calledOff = led.With("routing/switchover", KeyWriter.Switchover(intent with { CalledOff = "b is gone" }));
        Assert.Equal("b is gone", calledOff.Switchover!.CalledOff);
        Assert.Null((calledOff with { Leader = led.Leader with { Term = new Term(1) } }).Intent);
        Assert.Null(led.Without("routing/switchover").Switchover);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("x")]
    [InlineData("{\"id\":\"1\"}")]
    public void An_announcement_that_cannot_be_read_is_none(string text)
    {
        var snapshot = Keys.Read(("routing/switchover", text));

        Assert.Null(snapshot.Switchover);
        Assert.Single(snapshot.Problems);
    }

    [Fact]
    public void A_router_is_ready_for_what_it_names()
    {
        var router = new RouterRecord("r1", "proxy", "7", 3);
        var snapshot = Keys.Read(("routing/routers/r1", KeyWriter.Router(router)), ("routing/routers/r2", "x"));

        Assert.Equal(router, snapshot.Routers["r1"]);
        Assert.Null(snapshot.Routers["r2"].Ready);
        Assert.Equal(["r2"], snapshot.Without("routing/routers/r1").Routers.Keys);
    }

    [Fact]
    public void A_member_that_is_a_bare_url_is_understood()
    {
        const string value = "postgres://rep:pw@192.0.2.9:5433/postgres?application_name=http://192.0.2.9:8008/patroni";

        var member = Keys.Read(("members/old", value)).Members["old"];

        Assert.Equal(new HostPort("192.0.2.9", 5433), member.Address);
        Assert.Equal("http://192.0.2.9:8008/patroni", member.ApiUrl);
        Assert.Equal("postgres://rep:pw@192.0.2.9:5433/postgres", member.ConnUrl);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[1]")]
    [InlineData("")]
    [InlineData("null")]
    public void A_member_that_cannot_be_read_keeps_its_name_and_is_a_problem_until_it_is_written_anew(string broken)
    {
        var snapshot = Keys.Read(("members/a", MemberJson), ("leader", "a")).With("members/a", broken);

        Assert.Equal("members/a", Assert.Single(snapshot.Problems).Key);
        Assert.Null(snapshot.LeaderMember!.Address);
        Assert.Equal(PostgresState.Unknown, snapshot.LeaderMember.State);
        Assert.Empty(snapshot.With("members/a", MemberJson).Problems);
        Assert.Empty(snapshot.Without("members/a").Problems);
    }

    [Fact]
    public void A_wrong_field_of_a_member_does_not_spoil_the_others()
    {
        var snapshot = Keys.Read(
            ("members/a",
                """{"conn_url":5,"state":"running","role":["x"],"timeline":-1,"xlog_location":"1x","tags":7,"receive_lsn":3}"""));

        Assert.Equal(PostgresState.Running, snapshot.Members["a"].State);
        Assert.Equal(new Lsn(3), snapshot.Members["a"].ReceiveLsn);
        Assert.Equal(
            ["conn_url", "role", "tags", "timeline", "xlog_location"],
            snapshot.Problems.Select(p => p.Problem.Split(' ')[0]).Order(StringComparer.Ordinal));
        Assert.Contains(snapshot.Problems,
            p => p.Problem == "timeline is -1, but must be a timeline, 1 or more; 0 holds.");
    }

    [Fact]
    public void Writing_one_key_keeps_all_others()
    {
        var all = Keys.Read(
            ("leader", "a"), ("members/a", MemberJson), ("config", """{"ttl":40}"""),
            ("initialize", "7412345678901234567"),
            ("history", """[[1,2,"r"]]"""), ("failover", """{"member":"b"}"""),
            ("sync", """{"leader":"a","sync_standby":"b"}"""),
            ("status", """{"optime":9}"""), ("failsafe", """{"a":"u"}"""), ("routing/x", "1"), ("optime/leader", "8"));

        var changed = all.With("members/b", MemberJson).With("nobody/knows", "x");

        Assert.Equal(all with { Revision = changed.Revision, Members = changed.Members }, changed);
        Assert.Equal(["a", "b"], changed.Members.Keys);
        Assert.Equal(9, changed.Revision);
    }

    [Fact]
    public void Deleting_every_key_leaves_an_empty_cluster()
    {
        var keys = SnapshotReader.KnownKeys.Append("members/a").Append("routing/x");
        var snapshot = SnapshotReader.Read(1, keys.Select(key => Keys.Raw(key, "{}")));

        foreach (var key in keys)
        {
            snapshot = snapshot.Without(key);
        }

        Assert.Equal(
            ClusterSnapshot.Empty with { Revision = snapshot.Revision },
            snapshot with
            {
                Members = ClusterSnapshot.Empty.Members,   // collections compare by reference: looked at below
                RoutingKeys = ClusterSnapshot.Empty.RoutingKeys,
                Problems = ClusterSnapshot.Empty.Problems,
            });
        Assert.Empty(snapshot.Members);
        Assert.Empty(snapshot.RoutingKeys);
        Assert.Empty(snapshot.Problems);
    }

    [Theory]
    [InlineData(null, true, false, null)]
    [InlineData("", false, true, null)]
    [InlineData("7412345678901234567", false, false, "7412345678901234567")]
    [InlineData("123", false, false, null)]
    [InlineData("74123456789012345x", false, false, null)]
    public void The_initialize_key_is_missing_or_in_progress_or_a_system_identifier(
        string? value, bool isMissing, bool isInProgress, string? systemId)
    {
        var key = value is null ? Keys.Read().Initialize : Keys.Read(("initialize", value)).Initialize;

        Assert.Equal((isMissing, isInProgress, systemId), (key.IsMissing, key.IsInProgress, key.SystemId));
    }

    [Theory]
    [InlineData("[]", 1u)]
    [InlineData("""[["3","50331808","r"]]""", 4u)]
    [InlineData("""[[1,2,"r"],[2,3]]""", 0u)]
    [InlineData("""[[1,2,"r"],7]""", 0u)]
    [InlineData("""{"a":1}""", 0u)]
    [InlineData("x", 0u)]
    public void The_timeline_follows_from_the_history_and_is_unknown_when_that_is_broken(string value, uint timeline)
    {
        var snapshot = Keys.Read(("history", value));

        Assert.Equal(timeline, snapshot.Timeline);
        Assert.Equal(timeline == 0, snapshot.Problems.Length == 1);
    }

    [Theory]
    [InlineData("n1:n2", "n1", "n2")]
    [InlineData(" n1 : n2 ", "n1", "n2")]
    [InlineData("n1:", "n1", null)]
    [InlineData(":n2", null, "n2")]
    public void A_request_in_the_old_form_is_understood(string value, string? leader, string? candidate)
    {
        var request = Keys.Read(("failover", value)).Failover;

        Assert.Equal(new FailoverRequest(leader, candidate, null, 7), request);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("5")]
    [InlineData("""{"leader":"","member":null}""")]
    [InlineData("""{"scheduled_at":"2026-12-01T03:00:00+00:00"}""")]
    public void What_names_no_member_is_no_request(string value)
    {
        var snapshot = Keys.Read(("failover", """{"leader":"a"}""")).With("failover", value);

        Assert.Null(snapshot.Failover);
        Assert.Empty(snapshot.Problems);
    }

    [Theory]
    [InlineData("""{"leader":"a","scheduled_at":"tomorrow"}""")]
    [InlineData("""{"leader":"a","scheduled_at":17}""")]
    [InlineData("""{"leader":["a"],"member":"b"}""")]
    [InlineData("""{"leader":"a""")]
    [InlineData("garbage")]
    public void Half_a_request_is_a_problem_and_never_acted_upon(string value)
    {
        var snapshot = Keys.Read(("failover", value));

        Assert.Null(snapshot.Failover);
        Assert.Single(snapshot.Problems);
    }

    [Fact]
    public void The_synchronous_state_compares_names_without_case_and_tolerates_blanks()
    {
        var sync = Keys.Read(("sync", """{"leader":"PG-A","sync_standby":" pg-b , pg-c,","quorum":"1"}""")).Sync;

        Assert.True(sync.Includes("pg-a") && sync.Includes("PG-B") && sync.Includes("pg-c"));
        Assert.False(sync.Includes("pg-d"));
        Assert.Equal((1, 7), (sync.Quorum, sync.ModRevision));
    }

    [Theory]
    [InlineData("""{"leader":"","sync_standby":"b","quorum":2}""", 0)]
    [InlineData("""{"leader":null,"sync_standby":"b","quorum":"x"}""", 1)]
    [InlineData("{}", 0)]
    [InlineData("no", 1)]
    public void A_synchronous_state_without_a_leader_or_broken_is_not_active_but_keeps_its_revision(
        string value, int problems)
    {
        var snapshot = Keys.Read(("sync", value));

        Assert.False(snapshot.Sync.IsActive);
        Assert.Equal((0, 7), (snapshot.Sync.Quorum, snapshot.Sync.ModRevision));
        Assert.Equal(problems, snapshot.Problems.Length);
    }

    /// <summary>A record that was void would let members lead that lack acknowledged commits.</summary>
    [Theory]
    [InlineData("""{"leader":"a","sync_standby":"b,c","quorum":1,"cross_site":{"mode":"balanced"}}""", "a", "b,c", 1, 0)]
    [InlineData("""{"leader":"a","sync_standby":"b,c","quorum":1,"cross_site_mode":"later"}""", "a", "b,c", 1, 0)]
    [InlineData("""{"leader":"a","sync_standby":["b","c"],"quorum":1}""", "a", "b,c", 1, 0)]
    [InlineData("""{"leader":"a","sync_standby":"b,c","quorum":-1}""", "a", "b,c", 1, 1)]
    [InlineData("""{"leader":"a","sync_standby":"b,c,d","quorum":{"dc1":1}}""", "a", "b,c,d", 2, 1)]
    [InlineData("""{"leader":"a","sync_standby":5,"quorum":0}""", "a", "", 0, 1)]
    [InlineData("""{"leader":5,"sync_standby":"b"}""", "5", "b", 0, 1)]
    public void What_a_later_version_writes_into_the_synchronous_state_does_not_void_it(
        string value, string owner, string standbys, int quorum, int problems)
    {
        var snapshot = Keys.Read(("sync", value));

        Assert.True(snapshot.Sync.IsActive);
        Assert.Equal((owner, standbys, quorum, 7),
            (snapshot.Sync.Leader, string.Join(',', snapshot.Sync.Standbys), snapshot.Sync.Quorum,
                snapshot.Sync.ModRevision));
        Assert.Equal(problems, snapshot.Problems.Length);
    }

    [Theory]
    [InlineData("83887000")]
    [InlineData("\"83887000\"")]
    [InlineData("""{"optime":83887000}""")]
    [InlineData("""{"optime":"83887000","slots":null,"retain_slots":"null"}""")]
    public void The_position_of_the_leader_is_read_in_every_form(string value)
    {
        var snapshot = Keys.Read(("status", value));

        Assert.Equal(new Lsn(83887000), snapshot.Status.Optime);
        Assert.Empty(snapshot.Status.Slots);
        Assert.Empty(snapshot.Problems);
    }

    [Fact]
    public void Slots_may_be_json_inside_of_a_text()
    {
        var status = Keys.Read(
            ("status", """{"optime":1,"slots":"{\"n2\": \"5\", \"n3\": 6}","retain_slots":"[\"n2\"]"}""")).Status;

        Assert.Equal([new Lsn(5), new Lsn(6)], status.Slots.Values);
        Assert.Equal(["n2"], status.RetainSlots);
    }

    [Fact]
    public void A_wrong_slot_is_named_and_left_out()
    {
        var snapshot = Keys.Read(("status", """{"optime":1,"slots":{"n2":-1,"n3":6},"retain_slots":["a",5]}"""));

        Assert.Equal(["n3"], snapshot.Status.Slots.Keys);
        Assert.Equal(["a"], snapshot.Status.RetainSlots);
        Assert.Equal(["slots.n2", "retain_slots"], snapshot.Problems.Select(p => p.Problem.Split(' ')[0]));
    }

    [Fact]
    public void The_old_position_counts_only_while_there_is_no_status()
    {
        var snapshot = Keys.Read(("optime/leader", "100"));

        Assert.Equal(new Lsn(100), snapshot.Status.Optime);
        snapshot = snapshot.With("status", """{"optime":200}""").With("optime/leader", "150");
        Assert.Equal(new Lsn(200), snapshot.Status.Optime);
        snapshot = snapshot.Without("status");
        Assert.Equal(new Lsn(150), snapshot.Status.Optime);
        Assert.Equal(Lsn.Zero, snapshot.Without("optime/leader").Status.Optime);
    }

    [Fact]
    public void Failsafe_members_that_are_no_object_count_as_missing()
    {
        Assert.Null(Keys.Read(("failsafe", "[]")).Failsafe);
        Assert.Equal(["b"], Keys.Read(("failsafe", """{"a":1,"b":"u"}""")).Failsafe!.Keys);
        Assert.Empty(Keys.Read(("failsafe", "{}")).Failsafe!);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("\"x\"")]
    [InlineData("")]
    public void A_configuration_that_is_no_object_counts_as_missing(string value)
    {
        var snapshot = Keys.Read(("config", value));

        Assert.Null(snapshot.Config);
        Assert.Single(snapshot.Problems);
    }
}
