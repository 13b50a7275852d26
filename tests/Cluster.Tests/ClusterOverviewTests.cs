using Routing.Cluster.Overview;

namespace Routing.Cluster.Tests;

public class ClusterOverviewTests
{
    private static ClusterSnapshot Snapshot(string config) => Keys.Read(
        ("leader", "n1"),
        ("config", config),
        ("status", """{"optime":83887000}"""),
        ("sync", """{"leader":"n1","quorum":0,"sync_standby":"n2"}"""),
        ("members/n1",
            """{"conn_url":"postgres://192.0.2.11:5432/postgres","api_url":"http://192.0.2.11:8008/patroni","state":"running","role":"primary","xlog_location":83887000,"timeline":3}"""),
        ("members/n2",
            """{"conn_url":"postgres://192.0.2.12:5433/postgres","api_url":"http://192.0.2.12:8008/patroni","state":"running","role":"replica","replication_state":"streaming","xlog_location":83887100,"receive_lsn":83887100,"replay_lsn":83886000,"timeline":3,"tags":{"zone":"a"},"pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"1","new_value":"2"}}}"""),
        ("members/n3", """{"conn_url":"nowhere","state":"starting","role":"replica"}"""));

    [Fact]
    public void The_cluster_document_has_the_fields_of_the_reference_in_its_order()
    {
        var overview = ClusterOverview.From(Snapshot("""{"synchronous_mode":true}"""));

        Assert.Equal(
            """{"members":[{"name":"n1","role":"leader","state":"running","api_url":"http://192.0.2.11:8008/patroni","host":"192.0.2.11","port":5432,"timeline":3},"""
            + """{"name":"n2","role":"sync_standby","state":"streaming","api_url":"http://192.0.2.12:8008/patroni","host":"192.0.2.12","port":5433,"timeline":3,"pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"1","new_value":"2"}},"tags":{"zone":"a"},"receive_lag":0,"receive_lsn":"0/50003FC","replay_lag":1000,"replay_lsn":"0/4FFFFB0","lag":0,"lsn":"0/50003FC"},"""
            + """{"name":"n3","role":"replica","state":"starting","api_url":null,"receive_lag":"unknown","receive_lsn":"unknown","replay_lag":"unknown","replay_lsn":"unknown","lag":"unknown","lsn":"unknown"}],"scope":"shop"}""",
            ClusterOverviewJson.Write(overview, "shop"));
    }

    [Theory]
    [InlineData("{}", "leader", "replica")]
    [InlineData("""{"synchronous_mode":"on"}""", "leader", "sync_standby")]
    [InlineData("""{"synchronous_mode":"quorum"}""", "leader", "quorum_standby")]
    [InlineData("""{"standby_cluster":{"host":"far"}}""", "standby_leader", "replica")]
    public void The_role_words_follow_from_the_configuration(string config, string leader, string standby)
    {
        var members = ClusterOverview.From(Snapshot(config)).Members;

        Assert.Equal([leader, standby, "replica"], members.Select(member => member.Role));
        Assert.True(members[0].IsLockHolder);
    }

    [Fact]
    public void Without_a_leader_everyone_is_a_replica_with_its_own_position()
    {
        var members = ClusterOverview.From(Snapshot("{}").Without("leader")).Members;

        Assert.All(members, member => Assert.Equal("replica", member.Role));
        Assert.Equal(0, members[0].LagBytes);
    }

    [Fact]
    public void A_lag_is_unknown_while_nobody_has_published_a_position()
    {
        var member = ClusterOverview.From(Snapshot("{}").Without("status")).Members[1];

        Assert.Equal(new Lsn(83887100), member.Lsn);
        Assert.Null(member.LagBytes);
    }

    [Fact]
    public void An_announced_switchover_is_shown_and_read_back()
    {
        var leader = new Member
        {
            Name = "n1", Role = Role.Primary, State = PostgresState.Running, Timeline = 3,
            Address = new HostPort("10.0.0.1", 5432), ApiUrl = "http://10.0.0.1:8008/patroni",
        };
        var cluster = ClusterSnapshot.Empty with
        {
            Members = ClusterSnapshot.Empty.Members.Add("n1", leader),
            Leader = new LeaderKey("n1", new Term(50), 50, 1),
            Switchover = new SwitchoverIntent("7", "n1", "n2", 50, TimeSpan.FromSeconds(2)),
        };

        var text = ClusterOverviewJson.Write(ClusterOverview.From(cluster), "shop");

        Assert.Contains(
            """
            "switchover":{"id":"7","from":"n1","to":"n2","grace_ms":2000}
            """,
            text, StringComparison.Ordinal);
        Assert.True(ClusterOverviewReader.TryRead(text, 9, out var read, out _));
        Assert.Equal(("7", "n1", "n2", TimeSpan.FromSeconds(2)),
            (read.Intent!.Id, read.Intent.Leader, read.Intent.Candidate, read.Intent.Grace));
        Assert.DoesNotContain("switchover", ClusterOverviewJson.Write(
            ClusterOverview.From(cluster with { Leader = new LeaderKey("n1", new Term(51), 51, 1) }), "shop"),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Pause_and_a_scheduled_switchover_are_shown()
    {
        var snapshot = ClusterSnapshot.Empty
            .With("config", """{"pause":true}""")
            .With("failover", """{"leader":"n1","member":"n2","scheduled_at":"2026-12-01T03:00:00+01:00"}""");

        Assert.Equal(
            """{"members":[],"scope":"shop","pause":true,"scheduled_switchover":{"at":"2026-12-01T03:00:00+01:00","from":"n1","to":"n2"}}""",
            ClusterOverviewJson.Write(ClusterOverview.From(snapshot), "shop"));
        Assert.Null(ClusterOverview.From(snapshot.With("failover", """{"leader":"n1"}""")).ScheduledSwitchover);
    }

    [Fact]
    public void A_scheduled_restart_is_shown()
    {
        var snapshot =
            Keys.Read(
                ("members/a",
                    """{"state":"running","scheduled_restart":{"schedule":"2026-12-01T03:00:00+00:00","postmaster_start_time":"x"}}"""));

        Assert.Contains(
            "\"scheduled_restart\":{\"schedule\":\"2026-12-01T03:00:00+00:00\",\"postmaster_start_time\":\"x\"}",
            ClusterOverviewJson.Write(ClusterOverview.From(snapshot), "shop"));
    }

    [Fact]
    public void The_document_is_read_back_as_far_as_it_tells()
    {
        var written = Snapshot("{}");

        Assert.True(ClusterOverviewReader.TryRead(
            ClusterOverviewJson.Write(ClusterOverview.From(written), "shop"), 7, out var read, out _));

        Assert.Equal((7, "n1", new Term(3)), (read.Revision, read.Leader!.Holder, read.Leader.Term));
        Assert.Equal(new Lsn(83887000), read.Status.Optime);
        Assert.Equal(
            written.Members.Values.Select(
                member => (member.Name, member.Address, member.ApiUrl, member.Role, member.State, member.Timeline,
                    member.ReplayLsn)),
            read.Members.Values.Select(
                member => (member.Name, member.Address, member.ApiUrl, member.Role, member.State, member.Timeline,
                    member.ReplayLsn)));
        Assert.Equal("a", read.Members["n2"].Tags.Values["zone"].GetString());
        Assert.Equal("streaming", read.Members["n2"].ReplicationState);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"members":{}}""")]
    public void What_is_no_such_document_is_refused_with_a_reason(string text)
    {
        Assert.False(ClusterOverviewReader.TryRead(text, 1, out _, out var problem));
        Assert.NotEmpty(problem);
    }

    [Theory]
    [InlineData("sync_standby")]
    [InlineData("quorum_standby")]
    public void Who_is_synchronous_is_read_from_the_roles(string role)
    {
        Assert.True(ClusterOverviewReader.TryRead(
            $$"""{"members":[{"name":"a","role":"leader"},{"name":"b","role":"{{role}}"},{"name":"c","role":"replica"}]}""", 1, out var read, out _));

        Assert.Equal("a", read.Sync.Leader);
        Assert.Equal(["b"], read.Sync.Standbys);
        Assert.Equal(Role.Replica, read.Members["b"].Role);
    }

    [Fact]
    public void Members_that_make_no_sense_are_left_out()
    {
        Assert.True(ClusterOverviewReader.TryRead(
            """{"members":[1,{"role":"leader"},{"name":"a","role":7,"state":[],"host":"h","port":-1,"timeline":"x","tags":[]}]}""", 1, out var read, out _));

        var member = Assert.Single(read.Members.Values);
        Assert.Equal((Role.Unknown, PostgresState.Unknown, (HostPort?)null, (uint?)null),
            (member.Role, member.State, member.Address, member.Timeline));
        Assert.Null(read.Leader);
    }
}
