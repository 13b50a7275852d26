using System.Text.Json;
using Routing.TestKit;

namespace Routing.Agent.Tests.Rest;

/// <summary>Asking for another leader: every check in its order, and the result.</summary>
public sealed class LeaderChangeTests
{
    private const string Soon = "2099-01-01T00:00:00+00:00";

    [Theory]
    // 1 to 8: what is wrong with the request itself
    [InlineData("failover", """{"leader":"pg-a","scheduled_at":"x"}""", 400,
        "Failover could be performed only to a specific candidate")]
    [InlineData("switchover", """{"candidate":"pg-b","scheduled_at":"x"}""", 400,
        "Switchover could be performed only from a specific leader")]
    [InlineData("failover", """{"candidate":"pg-b","scheduled_at":"x"}""", 400, "Failover can't be scheduled")]
    [InlineData("switchover", """{"leader":"pg-a","scheduled_at":"someday"}""", 422,
        "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601")]
    [InlineData("switchover", """{"leader":"pg-a","scheduled_at":"2099-01-01T00:00:00"}""", 400,
        "Timezone information is mandatory for the scheduled switchover")]
    [InlineData("switchover", """{"leader":"pg-a","scheduled_at":"2009-01-01T00:00:00Z"}""", 422,
        "Cannot schedule switchover in the past")]
    [InlineData(
        "switchover", """{"leader":"pg-b","candidate":"pg-b"}""", 400, "Switchover target and source are the same")]
    [InlineData(
        "failover", """{"leader":"pg-b","candidate":"pg-b"}""", 400, "Switchover target and source are the same")]
    [InlineData("switchover", """{"leader":"pg-a","scheduled_at":{}}""", 400, "scheduled_at has to be a text")]
    [InlineData("switchover", """{"leader":"pg-a","candidate":[]}""", 400, "candidate has to be a text")]
    [InlineData("failover", """{"member":true}""", 400, "member has to be a text")]
    [InlineData("switchover", """{"leader":"pg-a","site":[]}""", 400, "site has to be a text")]
    [InlineData("switchover", """{"leader":"pg-a","site":"dc9"}""", 412,
        "switchover is not possible: cluster does not have members except leader in site dc9")]
    // 9: what the cluster says to it
    [InlineData("switchover", """{"leader":"pg-z","candidate":"pg-nobody"}""", 412, "leader name does not match")]
    [InlineData("switchover", """{"leader":"pg-a","candidate":"pg-nobody"}""", 412, "candidate does not exists")]
    [InlineData("failover", """{"candidate":"pg-nobody"}""", 412, "candidate does not exists")]
    [InlineData("switchover", """{"leader":"pg-a","candidate":"pg-gone"}""", 412,
        "switchover is not possible: no good candidates have been found")]
    [InlineData(
        "failover", """{"member":"pg-gone"}""", 412, "failover is not possible: no good candidates have been found")]
    [InlineData("failover", """{"leader":"pg-a","candidate":"pg-gone"}""", 412,
        "switchover is not possible: no good candidates have been found")]
    public async Task A_request_that_cannot_be_met_is_told_why(string action, string body, int code, string sentence)
    {
        await using var host = await StartAsync();

        Assert.Equal((code, sentence), await host.SendAsync("POST", $"/{action}", body));
        Assert.Null(host.Dcs.Snapshot.Failover);
    }

    [Theory]
    [InlineData("""{"leader":"pg-a","scheduled_at":"x"}""", "Can't schedule switchover in the paused state")]
    [InlineData("""{"leader":"pg-a"}""", "Switchover is possible only to a specific candidate in a paused state")]
    public async Task In_a_pause_less_is_possible(string body, string sentence)
    {
        await using var host = await StartAsync(config: """{"pause":true}""");

        Assert.Equal((400, sentence), await host.SendAsync("POST", "/switchover", body));
    }

    [Theory]
    [InlineData(
        "switchover", """{"leader":"pg-a","candidate":"pg-b"}""", "candidate name does not match with sync_standby")]
    [InlineData("switchover", """{"leader":"pg-a"}""", "switchover is not possible: can not find sync_standby")]
    public async Task In_synchronous_mode_only_a_synchronous_standby_takes_over(
        string action, string body, string sentence)
    {
        await using var host = await StartAsync(config: """{"synchronous_mode":true}""");

        Assert.Equal((412, sentence), await host.SendAsync("POST", $"/{action}", body));
    }

    [Fact]
    public async Task A_leader_alone_has_nobody_to_hand_over_to()
    {
        await using var host = await StartAsync();
        host.Dcs.Delete("members/pg-b");
        host.Dcs.Delete("members/pg-gone");

        Assert.Equal(
            (412, "switchover is not possible: cluster does not have members except leader"),
            await host.SendAsync("POST", "/switchover", """{"leader":"pg-a"}"""));
    }

    [Theory]
    [InlineData("switchover", """{"leader":"pg-a","candidate":"pg-b"}""", "pg-b",
        "Successfully switched over to \"pg-b\"", """{"leader":"pg-a","member":"pg-b"}""")]
    [InlineData("switchover", """{"leader":"pg-a"}""", "pg-b", "Successfully switched over to \"pg-b\"",
        """{"leader":"pg-a"}""")]
    [InlineData("switchover", """{"leader":"pg-a","candidate":"pg-b"}""", "pg-c",
        "Switched over to \"pg-c\" instead of \"pg-b\"", """{"leader":"pg-a","member":"pg-b"}""")]
    [InlineData("failover", """{"candidate":"pg-b"}""", "pg-b", "Successfully failed over to \"pg-b\"",
        """{"member":"pg-b"}""")]
    [InlineData("switchover", """{"leader":"pg-a","site":"dc2"}""", "pg-b", "Successfully switched over to \"pg-b\"",
        """{"leader":"pg-a","site":"dc2"}""")]
    [InlineData("switchover", """{"leader":"pg-a","site":"dc2"}""", "pg-gone",
        "Switched over to \"pg-gone\" instead of a member in site dc2", """{"leader":"pg-a","site":"dc2"}""")]
    [InlineData("switchover", """{"leader":"pg-a","candidate":"pg-b","site":"dc9"}""", "pg-b",
        "Successfully switched over to \"pg-b\"", """{"leader":"pg-a","member":"pg-b"}""")]
    public async Task The_answer_comes_when_another_member_leads(
        string action, string body, string newLeader, string sentence, string key)
    {
        await using var host = await StartAsync();

        var answering = host.SendAsync("POST", $"/{action}", body);
        await WaitUntil.TrueAsync(() => host.Wakes == 1);
        var written = host.Dcs.Keys["failover"];
        host.Dcs.Delete("leader");
        host.Dcs.Put("leader", newLeader);

        Assert.Equal((200, sentence), await answering);
        Assert.True(JsonElement.DeepEquals(JsonElement.Parse(key), JsonElement.Parse(written.Value)), written.Value);
    }

    [Fact]
    public async Task A_request_that_is_withdrawn_without_a_new_leader_has_failed()
    {
        await using var host = await StartAsync();

        var answering = host.SendAsync("POST", "/switchover", """{"leader":"pg-a","candidate":"pg-b"}""");
        await WaitUntil.TrueAsync(() => host.Wakes == 1);
        host.Dcs.Put("failover", "{}");

        Assert.Equal((503, "Switchover failed"), await answering);
    }

    [Fact]
    public async Task When_the_time_is_up_the_result_is_unknown()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(DateTimeOffset.UnixEpoch);
        await using var host = await StartAsync(time: time);

        var answering = host.SendAsync("POST", "/failover", """{"candidate":"pg-b"}""");
        await WaitUntil.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(host.Wakes));   // only once it waits for the result
            return answering.IsCompleted;
        });

        Assert.Equal((503, "Failover status unknown after 20 seconds; operation may still be in progress"),
            await answering);
    }

    [Fact]
    public async Task A_key_that_cannot_be_written_is_an_error()
    {
        await using var host = await StartAsync();
        host.Link.RequestTimeout = TimeSpan.FromMilliseconds(100);
        var requests = 0;
        host.Link.RequestDelay = () =>
        {
            host.Link.IsCutOff = ++requests > 1;   // the read goes through, the write does not
            return TimeSpan.Zero;
        };

        Assert.Equal(
            (503, "failed to write failover key into DCS"),
            await host.SendAsync("POST", "/failover", """{"candidate":"pg-b"}"""));
    }

    [Fact]
    public async Task A_scheduled_switchover_is_written_and_can_be_taken_back()
    {
        await using var host = await StartAsync();

        var scheduled = await host.SendAsync(
            "POST", "/switchover", $$"""{"leader":"pg-a","candidate":"pg-gone","scheduled_at":"{{Soon}}"}""");
        var request = host.Dcs.Snapshot.Failover;
        var deleted = await host.SendAsync("DELETE", "/switchover");
        var again = await host.SendAsync("DELETE", "/switchover");

        Assert.Equal((202, "Switchover scheduled"), scheduled);
        Assert.Equal(DateTimeOffset.Parse(Soon, System.Globalization.CultureInfo.InvariantCulture),
            request!.ScheduledAt);
        Assert.Equal((200, "scheduled switchover deleted"), deleted);
        Assert.Equal((404, "no switchover is scheduled"), again);
        Assert.Null(host.Dcs.Snapshot.Failover);
    }

    /// <summary>pg-a leads, pg-b is this very server (so it can be probed), nobody answers for pg-gone.</summary>
    private static async Task<RestHost> StartAsync(string config = "{}", TimeProvider? time = null)
    {
        var host = await RestHost.StartAsync(Nodes.Replica, time: time);
        host.Dcs.Put("leader", "pg-a");
        host.Dcs.Put("config", config);
        host.Dcs.Put(
            "members/pg-a",
            """{"conn_url":"postgres://127.0.0.1:1/postgres","api_url":"http://127.0.0.1:1/patroni","state":"running","role":"primary"}""");
        host.Dcs.Put(
            "members/pg-b",
            $$"""{"conn_url":"postgres://127.0.0.1:1/postgres","api_url":"{{host.Settings.ApiUrl}}","state":"running","role":"replica","site":"dc2"}""");
        host.Dcs.Put(
            "members/pg-gone",
            """{"conn_url":"postgres://127.0.0.1:1/postgres","api_url":"http://127.0.0.1:1/patroni","state":"running","role":"replica"}""");
        return host;
    }
}
