using System.Text.Json;
using Routing.Cluster.Keys;

namespace Routing.Cluster.Tests;

public class RoundTripTests
{
    [Theory]
    [InlineData(
        """{"conn_url":"postgres://192.0.2.12:5432/postgres","api_url":"http://192.0.2.12:8008/patroni","state":"running","role":"replica","version":"4.1.4","tags":{"dc":"north","failover_priority":3},"xlog_location":83886528,"replay_lsn":83886528,"receive_lsn":83886640,"replication_state":"streaming","timeline":2}""")]
    [InlineData(
        """{"conn_url":"postgres://192.0.2.11:5432/postgres","api_url":"http://192.0.2.11:8008/patroni","state":"running","role":"primary","version":"4.1.4","checkpoint_after_promote":false,"xlog_location":83887000,"timeline":3}""")]
    [InlineData(
        """{"conn_url":"postgres://[2001:db8::1]:6432/app","api_url":"https://[2001:db8::1]:8008/patroni","state":"starting after custom bootstrap","role":"standby_leader","version":"4.1.4","proxy_url":"postgres://192.0.2.1:6432/app"}""")]
    [InlineData(
        """{"conn_url":"postgres://h:1/d","api_url":"http://h:2/patroni","state":"running","role":"replica","version":"4.1.4","pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"},"wal_level":{"old_value":null,"new_value":"logical"}}}""")]
    [InlineData(
        """{"conn_url":"postgres://h:1/d","api_url":"http://h:2/patroni","state":"stopped","role":"uninitialized","version":"4.1.4","site":"dc1","scheduled_restart":{"schedule":"2026-11-30T04:05:06.700000+02:00","role":"replica","postgres_version":"17.2","restart_pending":true,"timeout":60,"postmaster_start_time":"2026-11-01 10:00:00.123+00:00"},"pause":true,"routing":{"version":"0.1.0","fence":true,"upstream":"b","copies_from":"c"}}""")]
    public void A_member_is_written_as_it_was_read(string json)
    {
        var snapshot = Keys.Read(("members/a", json));

        var written = KeyWriter.Member(snapshot.Members["a"]);

        Assert.Equal(json, written);
        Assert.Empty(snapshot.Problems);
    }

    [Fact]
    public void A_member_is_read_in_full()
    {
        var key = Keys.Raw(
            "members/pg-b",
            """
            { "conn_url": "postgres://192.0.2.12/postgres", "state": "running", "role": "master", "version": "3.3.1",
              "xlog_location": "83886528", "timeline": "4", "future": [1, {"x": null}],
              "tags": { "nofailover": true, "zone": "b" }, "pause": "on" }
            """,
            revision: 41,
            lease: 99);

        var member = SnapshotReader.Apply(ClusterSnapshot.Empty, 41, key).Members["pg-b"];

        Assert.Equal(new HostPort("192.0.2.12", 5432), member.Address);
        Assert.Equal((PostgresState.Running, Role.Primary), (member.State, member.Role));
        Assert.Equal(new Lsn(83886528), member.XlogLocation);
        Assert.Equal(4u, member.Timeline);
        Assert.True(member.Tags.NoFailover);
        Assert.True(member.Pause);
        Assert.Null(member.Routing);
        Assert.False(member.CheckpointAfterPromotePending);
        Assert.Equal((41, 99), (member.ModRevision, member.LeaseId));
    }

    [Theory]
    [InlineData("""{"leader":"n1","quorum":0,"sync_standby":"n2,n3"}""")]
    [InlineData("""{"leader":"n1","quorum":1,"sync_standby":"n2,n3,n4"}""")]
    [InlineData("""{"leader":"n1","quorum":0,"sync_standby":null}""")]
    [InlineData("""{"leader":null,"quorum":0,"sync_standby":null}""")]
    public void The_synchronous_state_is_written_as_it_was_read(string json)
    {
        var sync = Keys.Read(("sync", json)).Sync;

        Assert.Equal(json, KeyWriter.Sync(sync.Leader, sync.Standbys, sync.Quorum));
    }

    [Theory]
    [InlineData(
        """{"optime":83887000,"slots":{"app_cdc":83880000,"n1":83887000,"n2":83886528},"retain_slots":["n2","n3"]}""")]
    [InlineData("""{"optime":83887000}""")]
    [InlineData("""{"optime":18446744073,"retain_slots":["n2"],"current_site":"dc1"}""")]
    public void The_status_is_written_as_it_was_read(string json) =>
        Assert.Equal(json, KeyWriter.Status(Keys.Read(("status", json)).Status));

    [Theory]
    [InlineData("""{"leader":"n1","member":"n2","scheduled_at":"2026-12-01T03:00:00+00:00"}""")]
    [InlineData("""{"leader":"n1"}""")]
    [InlineData("""{"member":"n2"}""")]
    [InlineData("""{"leader":"n1","site":"dc2"}""")]
    public void A_request_is_written_as_it_was_read(string json)
    {
        var request = Keys.Read(("failover", json)).Failover!;

        Assert.Equal(json, KeyWriter.Failover(
            request.Leader, request.Candidate, request.ScheduledAt, request.Site));
    }

    [Theory]
    [InlineData(
        """[[1,25165984,"no recovery target specified","2026-11-20T10:15:00.5+01:00","n2"],[2,33554592,"no recovery target specified"]]""")]
    [InlineData("""[[1,25165984,"at restore point \"x\"","2026-11-20T10:15:00+01:00"]]""")]
    [InlineData("[]")]
    public void The_history_is_written_as_it_was_read(string json) =>
        Assert.Equal(json, KeyWriter.History(Keys.Read(("history", json)).History!));

    [Fact]
    public void The_failsafe_members_are_written_as_they_were_read()
    {
        const string json = """{"n1":"http://192.0.2.11:8008/patroni","n2":"http://192.0.2.12:8008/patroni"}""";

        Assert.Equal(json, KeyWriter.Failsafe(Keys.Read(("failsafe", json)).Failsafe!));
    }

    [Fact]
    public void What_is_written_holds_ascii_only_and_escapes_as_the_reference_does()
    {
        var json = KeyWriter.Failsafe([KeyValuePair.Create("bär\"\\\n<&'+/\u0001\U0001F600", "ü")]);

        Assert.Equal("""{"b\u00e4r\"\\\n<&'+/\u0001\ud83d\ude00":"\u00fc"}""", json);
        Assert.Equal("ü", JsonElement.Parse(json).GetProperty("bär\"\\\n<&'+/\u0001\U0001F600").GetString());
    }

    [Fact]
    public void Names_of_standbys_are_sorted_when_written() =>
        Assert.Equal("""{"leader":"n1","quorum":2,"sync_standby":"n2,n3,n4"}""",
            KeyWriter.Sync("n1", ["n4", "n2", "n3"], 2));

    [Fact]
    public void A_time_with_microseconds_is_written_with_six_digits() => Assert.Equal(
        """{"leader":"n1","scheduled_at":"2026-12-01T03:00:00.000125-05:00"}""",
        KeyWriter.Failover(
            "n1", null, new DateTimeOffset(2026, 12, 1, 3, 0, 0, TimeSpan.FromHours(-5)).AddMicroseconds(125)));

    [Fact]
    public void The_words_of_all_states_and_roles_come_back()
    {
        Assert.All(Enum.GetValues<PostgresState>(), state => Assert.Equal(state, WireNames.ParseState(state.ToWire())));
        Assert.All(Enum.GetValues<Role>(), role => Assert.Equal(role, WireNames.ParseRole(role.ToWire())));
    }
}
