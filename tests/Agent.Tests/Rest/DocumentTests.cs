using System.Text.Json;
using System.Text.RegularExpressions;
using Routing.Agent.Status;
using Routing.Cluster;

namespace Routing.Agent.Tests.Rest;

/// <summary>The documents that monitoring and command-line tools read.</summary>
public sealed class DocumentTests
{
    /// <summary>The age of the observation, in seconds, differs from answer to answer.</summary>
    private static string WithoutAge(string text)
    {
        Assert.Matches("\"age\":[0-9.]+,", text);
        return Regex.Replace(text, "\"age\":[0-9.]+,", "");
    }

    [Fact]
    public async Task The_primarys_document_has_the_fields_that_tools_read()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var (code, text) = await host.SendAsync("GET", "/patroni");

        Assert.Equal(200, code);
        Assert.Equal(
            """{"state":"running","postmaster_start_time":"2026-07-20 06:00:01.221000+00:00","role":"primary","server_version":170005,"xlog":{"location":117441000},"timeline":4,"replication":[{"usename":"replicator","application_name":"pg-b","client_addr":"10.1.0.12","state":"streaming","sync_state":"quorum","sync_priority":1}],"dcs_last_seen":1784534400,"database_system_identifier":"7412345678901234567","patroni":{"version":"4.1.4","scope":"pay","name":"pg-a"},"routing":{"version":"0.1.0","term":42,"code":"follows","reason":"follows pg-a"}}""",
            WithoutAge(text));
    }

    [Fact]
    public async Task A_standbys_document_tells_what_it_received_and_replayed()
    {
        await using var host = await RestHost.StartAsync(Nodes.Paused(Nodes.SyncStandby) with
        {
            WatchdogProblem = "no device",
            Tags = Nodes.Tags(("dc", "\"west\"")),
        });

        var json = await host.JsonAsync("/replica");

        Assert.Equal("replica", json.GetProperty("role").GetString());
        Assert.Equal(
            """{"received_location":117441000,"replayed_location":117440000,"replayed_timestamp":null,"paused":false}""",
            json.GetProperty("xlog").GetRawText());
        Assert.Equal("streaming", json.GetProperty("replication_state").GetString());
        Assert.True(json.GetProperty("sync_standby").GetBoolean());
        Assert.True(json.GetProperty("pause").GetBoolean());
        Assert.True(json.GetProperty("watchdog_failed").GetBoolean());
        Assert.Equal("west", json.GetProperty("tags").GetProperty("dc").GetString());
    }

    [Fact]
    public async Task A_server_that_does_not_answer_has_an_unknown_state_and_the_role_that_was_published()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary with
        {
            Postgres = Nodes.Primary.Postgres with { Server = Ha.ServerState.Unresponsive },
        });

        var json = await host.JsonAsync("/patroni");

        Assert.Equal("unknown", json.GetProperty("state").GetString());
        Assert.Equal("primary", json.GetProperty("role").GetString());
        Assert.False(json.TryGetProperty("xlog", out _));
    }

    [Fact]
    public async Task Health_answers_carry_the_document_with_200_and_with_503()
    {
        await using var host = await RestHost.StartAsync(Nodes.Replica);

        var (yes, yesBody) = await host.SendAsync("GET", "/replica");
        var (no, noBody) = await host.SendAsync("GET", "/primary");

        Assert.Equal((200, 503), (yes, no));
        Assert.Equal(WithoutAge(yesBody), WithoutAge(noBody));
        Assert.Equal("running", JsonElement.Parse(noBody).GetProperty("state").GetString());
    }

    [Fact]
    public async Task A_long_log_queue_shows_with_what_was_lost()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        Assert.False((await host.JsonAsync("/patroni")).TryGetProperty("logger_queue_size", out _));

        (host.Length, host.LostRecords) = (3, 7);
        var json = await host.JsonAsync("/patroni");

        Assert.Equal(3, json.GetProperty("logger_queue_size").GetInt32());
        Assert.Equal(7, json.GetProperty("logger_records_lost").GetInt64());
    }

    [Fact]
    public async Task The_cluster_document_is_read_anew_and_fails_with_the_DCS()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.Dcs.Put("leader", "pg-a");
        host.Dcs.Put(
            "members/pg-a",
            """{"conn_url":"postgres://10.1.0.11:5432/postgres","api_url":"http://10.1.0.11:8008/patroni","state":"running","role":"primary","timeline":4}""");

        var (code, text) = await host.SendAsync("GET", "/cluster");
        host.Link.RequestTimeout = TimeSpan.FromMilliseconds(50);
        host.Link.IsCutOff = true;
        var silent = await host.CodeAsync("GET", "/cluster");

        Assert.Equal(200, code);
        Assert.Equal(
            """{"members":[{"name":"pg-a","role":"leader","state":"running","api_url":"http://10.1.0.11:8008/patroni","host":"10.1.0.11","port":5432,"timeline":4}],"scope":"pay"}""", text);
        Assert.Equal(503, silent);
    }

    [Fact]
    public async Task History_is_a_list_even_when_there_is_none()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var (_, empty) = await host.SendAsync("GET", "/history");
        host.Status = Nodes.Primary with
        {
            Cluster =
                Nodes.Primary.Cluster! with { History = new TimelineHistory(
                    [new HistoryLine(3, new Lsn(83886080), "no recovery target specified", null, null)]) },
        };
        var (_, one) = await host.SendAsync("GET", "/history");

        Assert.Equal("[]", empty);
        Assert.Equal("""[[3,83886080,"no recovery target specified"]]""", one);
    }

    [Fact]
    public async Task Failsafe_members_are_shown_when_there_are_any()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var none = await host.CodeAsync("GET", "/failsafe");
        host.Status = Nodes.Primary with
        {
            Cluster =
                Nodes.Primary.Cluster!
                    with { Failsafe = System.Collections.Immutable.ImmutableSortedDictionary<string, string>.Empty.Add(
                        "pg-a", "http://a:8008/patroni") },
        };
        var (some, text) = await host.SendAsync("GET", "/failsafe");

        Assert.Equal((502, 200), (none, some));
        Assert.Equal("""{"pg-a":"http://a:8008/patroni"}""", text);
    }

    [Fact]
    public async Task A_leader_without_the_DCS_gets_its_answer_with_our_position()
    {
        await using var host = await RestHost.StartAsync(Nodes.Replica);
        const string body =
            """{"name":"pg-a","conn_url":"postgres://10.1.0.11:5432/postgres","api_url":"http://10.1.0.11:8008/patroni","slots":{"pg_b":117440896}}""";

        var answer =
            await host.RawAsync($"POST /failsafe HTTP/1.1\r\nHost: a\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        host.FailsafeAnswer = new FailsafeAnswer(FailsafeVerdict.RunningAsLeader);
        var refused = await host.SendAsync("POST", "/failsafe", body);
        host.FailsafeAnswer = new FailsafeAnswer(FailsafeVerdict.Disabled);
        var (disabled, _) = await host.SendAsync("POST", "/failsafe", body);

        Assert.Contains("lsn: 117440896\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\nAccepted", answer, StringComparison.Ordinal);
        Assert.Equal((500, "Running as a leader"), refused);
        Assert.Equal(502, disabled);
        Assert.Equal(new Lsn(117440896), host.FailsafeReceived!.Slots!["pg_b"]);
    }

    [Fact]
    public async Task Events_can_be_read_on_from_the_last_one_seen()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        foreach (var number in Enumerable.Range(1, 6))
        {
            host.Events.Append("reason", $"code-{number}", $"sentence {number}", new Term(42), 4);
        }

        var all = await host.JsonAsync("/events");
        var later = await host.JsonAsync("/events?after=5");
        var waiting = host.JsonAsync("/events?after=6&wait=30");
        host.Events.Append("role", "promoted", "became the primary", new Term(43), 5);
        var awaited = await waiting;

        Assert.Equal(
            [3, 4, 5, 6], all.GetProperty("events").EnumerateArray().Select(item => item.GetProperty("id").GetInt32()));
        Assert.Equal(
            "code-6", Assert.Single(later.GetProperty("events").EnumerateArray()).GetProperty("code").GetString());
        Assert.Equal(7, awaited.GetProperty("last").GetInt32());
    }

    [Fact]
    public async Task An_event_that_comes_while_an_answer_is_written_stands_in_it_or_behind_its_last_number()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);
        host.StatusAsked = () => host.Events.Append("role", "promoted", "became the primary", new Term(43), 5);

        var empty = await host.JsonAsync("/events");
        host.StatusAsked = null;
        var later = await host.JsonAsync($"/events?after={empty.GetProperty("last").GetInt32()}");

        Assert.NotEqual(0, empty.GetProperty("events").GetArrayLength() + later.GetProperty("events").GetArrayLength());
    }

    [Theory]
    [InlineData("POST", "/nothing", 501)]
    [InlineData("PUT", "/patroni", 501)]
    [InlineData("DELETE", "/failover", 501)]
    [InlineData("DELETE", "/restart", 404)]
    [InlineData("GET", "/nothing", 503)]
    [InlineData("POST", "/citus", 200)]
    [InlineData("POST", "/sigterm", 202)]
    public async Task Every_method_and_path_has_its_code(string method, string path, int expected)
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var (code, _) = await host.SendAsync(method, path, method == "POST" ? "{}" : null);

        Assert.Equal(expected, code);
    }

    [Fact]
    public async Task A_reload_is_asked_for_and_answered_at_once()
    {
        await using var host = await RestHost.StartAsync(Nodes.Primary);

        var answer = await host.SendAsync("POST", "/reload");

        Assert.Equal((202, "reload scheduled"), answer);
        Assert.Equal(1, host.Reloads);
    }
}
