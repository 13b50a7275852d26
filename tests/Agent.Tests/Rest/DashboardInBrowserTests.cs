using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Agent.Config;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Events;
using Routing.Cluster.Keys;
using Routing.Dcs;
using Routing.TestKit;

namespace Routing.Agent.Tests.Rest;

/// <summary>
/// The dashboard in a headless Chromium: what a person sees and clicks. ROUTING_SCREENSHOTS=FOLDER keeps the pictures
/// that the documents show.
/// </summary>
[Trait("Category", "Integration")]
public sealed class DashboardInBrowserTests
{
    private const string Dangerous = "pg-d<img src=x onerror=alert(1)>";

    private static readonly BasicCredentials s_login = new("admin", "pässword:1");

    [Fact]
    public async Task The_page_shows_the_cluster_and_runs_nothing_out_of_a_name()
    {
        Assert.SkipWhen(Chromium.Program is null, "There is no Chromium (Debian: chromium-headless-shell).");
        await using var host = await StartAsync(Dangerous, TimeSpan.FromMinutes(5));
        await using var page = await Chromium.StartAsync();

        await page.ResizeAsync(1180, 800);
        await page.OpenAsync(Address(host));
        await page.UntilAsync("document.querySelectorAll('#picture [data-member]').length === 4", "four members");
        await page.UntilAsync("document.querySelectorAll('#events li').length >= 8", "the events");

        Assert.Equal(
            ["pg-a → pg-b", "pg-a → pg-c", $"pg-b → {Dangerous}"],
            (await page.EvaluateAsync("[...document.querySelectorAll('#picture [data-from]')]"
                + ".map(line => line.dataset.from + ' → ' + line.dataset.to).sort()"))!.AsArray().Select(Text));
        var members = await TextAsync(page, "#members");
        Assert.Contains(Dangerous, members, StringComparison.Ordinal);
        Assert.Contains("quorum standby", members, StringComparison.Ordinal);
        Assert.Contains("a restart: max_connections 100 → 200", members, StringComparison.Ordinal);
        Assert.Contains("nofailover: true", members, StringComparison.Ordinal);
        Assert.Contains("3.0 MiB", members, StringComparison.Ordinal);
        var facts = await TextAsync(page, "#facts");
        Assert.Contains("2099-01-01T00:00:00+00:00 to pg-b", facts, StringComparison.Ordinal);
        Assert.Contains("quorum", facts, StringComparison.Ordinal);
        Assert.Contains(" s left", facts, StringComparison.Ordinal);
        Assert.Contains("pg-0 → pg-a", await TextAsync(page, "#story"), StringComparison.Ordinal);
        Assert.Equal(["detected", "lease_free", "elected", "promoted", "first_write"],
            (await page.EvaluateAsync("[...document.querySelectorAll('#phases [data-phase]')]"
                + ".map(phase => phase.dataset.phase)"))!.AsArray().Select(Text));
        await page.UntilAsync("document.querySelectorAll('#members polyline').length === 3", "charts of the lag");
        Assert.Equal("http://127.1.0.12:8008/ui", Text(await page.EvaluateAsync(
            "[...document.querySelectorAll('#members a')].find(link => link.textContent === 'pg-b').href")));
        Assert.Equal(0, (int)(await page.EvaluateAsync("document.querySelectorAll('img').length"))!);
        host.Events.Append(EventKind.Warning, "warning", "This came while somebody looked.", new Term(42), 4);
        await page.UntilAsync(
            "document.querySelector('#events li').textContent.includes('while somebody looked')",
            "the event comes live");
        Assert.Empty(page.Complaints);
    }

    [Fact]
    public async Task Somebody_signs_in_and_pauses_and_switches_over_and_signs_out()
    {
        Assert.SkipWhen(Chromium.Program is null, "There is no Chromium (Debian: chromium-headless-shell).");
        await using var host = await StartAsync("pg-d", TimeSpan.FromSeconds(28));
        await using var page = await Chromium.StartAsync();
        await page.ResizeAsync(1180, 800);
        await page.OpenAsync(Address(host));
        await page.UntilAsync("document.querySelectorAll('#picture [data-member]').length === 4", "four members");
        Assert.True((bool)(await page.EvaluateAsync("document.getElementById('control').hidden"))!);

        await SignInAsync(page, "wrong");
        await page.UntilAsync("document.getElementById('askProblem').textContent.includes('wrong')", "it is refused");
        await page.ClickAsync("#askNo");
        await SignInAsync(page, s_login.Password);
        await page.UntilAsync("!document.getElementById('control').hidden", "the actions are offered");
        await page.UntilAsync("document.querySelectorAll('#events li').length >= 8", "the events");
        await LookAsync(page);

        await page.ClickAsync("#pause");
        await page.ClickAsync("#askNo");
        Assert.False(host.Dcs.Snapshot.Config!.Pause);
        await page.ClickAsync("#pause");
        await page.ClickAsync("#askYes");
        await WaitUntil.TrueAsync(() => host.Dcs.Snapshot.Config!.Pause, null, "the cluster is paused");
        await page.UntilAsync("document.getElementById('state').textContent.startsWith('paused')", "the page says so");
        await page.ClickAsync("#resume");
        await page.ClickAsync("#askYes");
        await WaitUntil.TrueAsync(() => !host.Dcs.Snapshot.Config!.Pause, null, "the cluster is resumed");
        // The buttons have other widths then: a click before that would miss.
        await page.UntilAsync("document.getElementById('pause') !== null", "the page offers a pause again");

        await page.ClickAsync("#switchover");
        await page.ClickAsync("#askYes");
        await page.UntilAsync("document.getElementById('said').textContent.startsWith('Switchover: switchover is not')",
            "the sentence of the refusal: no candidate answers");
        await page.ClickAsync("#cancel");
        await page.ClickAsync("#askYes");
        await page.UntilAsync(
            "document.getElementById('said').textContent === 'Cancel: scheduled switchover deleted'",
            "it is taken back");
        Assert.Null(host.Dcs.Snapshot.Failover);

        await page.ClickAsync("#sign");
        Assert.True((bool)(await page.EvaluateAsync("document.getElementById('control').hidden"))!);
        Assert.Null(await page.EvaluateAsync("sessionStorage.getItem('routing-login')"));
        Assert.Equal(0, (int)(await page.EvaluateAsync("localStorage.length"))!);
        Assert.Empty(page.Complaints);
    }

    [Fact]
    public async Task Somebody_switches_over_and_sees_the_new_leader_and_what_streams_in_truth()
    {
        Assert.SkipWhen(Chromium.Program is null, "There is no Chromium (Debian: chromium-headless-shell).");
        await using var candidate = await RestHost.StartAsync(Nodes.Replica);
        await using var host = await StartAsync("pg-d", TimeSpan.FromMinutes(5));
        var standby = host.Status.Postgres.Standbys[0];
        host.Status = host.Status with
        {
            Postgres = host.Status.Postgres with
            {
                Standbys = [standby with { ApplicationName = "pg-b" }, standby with { ApplicationName = "pg-d" }],
            },
        };
        host.Dcs.Put("failover", "{}");
        host.Dcs.Put("members/pg-b", Member(12, "replica", "running", ",'replication_state':'streaming'")
            .Replace("http://127.1.0.12:8008/patroni", candidate.Settings.ApiUrl, StringComparison.Ordinal));
        host.OnWake = () =>
        {
            if (host.Dcs.Snapshot.Failover is { ScheduledAt: null, Candidate: { } next })
            {
                host.Dcs.Put("leader", next);
                host.Dcs.Put("failover", "{}");
            }
        };
        await using var page = await Chromium.StartAsync();
        await page.OpenAsync(Address(host));
        await page.UntilAsync("document.querySelectorAll('#picture [data-member]').length === 4", "four members");
        // Its tag says pg-b; it was seen on pg-a.
        Assert.Equal(1, (int)(await page.EvaluateAsync(
            "document.querySelectorAll('#picture [data-from=\"pg-a\"][data-to=\"pg-d\"]').length"))!);
        await SignInAsync(page, s_login.Password);
        await page.UntilAsync("!document.getElementById('control').hidden", "the actions are offered");

        await page.ClickAsync("#switchover");
        Assert.Equal("pg-b", Text(await page.EvaluateAsync("document.querySelector('[name=candidate]').value")));
        await page.ClickAsync("#askYes");

        await page.UntilAsync("document.getElementById('said').textContent "
            + "=== 'Switchover: Successfully switched over to \"pg-b\"'", "it is done");
        await page.UntilAsync("document.querySelector('#facts b').textContent === 'pg-b'", "pg-b leads");
        Assert.Equal("pg-b", host.Dcs.Snapshot.Leader!.Holder);
        Assert.Empty(page.Complaints);
    }

    [Fact]
    public async Task It_shows_what_was_before_it_was_opened_and_what_members_tell_of_their_streams_and_leases()
    {
        Assert.SkipWhen(Chromium.Program is null, "There is no Chromium (Debian: chromium-headless-shell).");
        await using var host = await StartAsync("pg-d", TimeSpan.FromMinutes(5));
        var cancellationToken = TestContext.Current.CancellationToken;
        var lease = await host.Link.GrantLeaseAsync(TimeSpan.FromHours(1), cancellationToken);
        await host.Link.PutAsync("members/pg-c",
            Member(13, "replica", "running", ",'replication_state':'streaming','xlog_location':114294784,"
                + "'routing':{'version':'1','fence':true,'upstream':'pg-b'}"),
            WriteCondition.Always, lease.Id, cancellationToken);
        host.Dcs.Put("members/pg-e", Member(15, "replica", "running",
            ",'replication_state':'streaming','routing':{'version':'1','fence':true,'upstream':'far.example:5432'}"));
        host.Status = host.Status with
        {
            Lags = LagHistory.Empty.With(host.Time.GetUtcNow().AddMinutes(-4), host.Dcs.Snapshot),
        };
        await using var page = await Chromium.StartAsync();

        await page.OpenAsync(Address(host));
        await page.UntilAsync("document.querySelectorAll('#picture [data-member]').length === 5", "five members");

        Assert.Equal(
            ["pg-a → pg-b", "pg-b → pg-c", "pg-b → pg-d"],
            (await page.EvaluateAsync("[...document.querySelectorAll('#picture [data-from]')]"
                + ".map(line => line.dataset.from + ' → ' + line.dataset.to).sort()"))!.AsArray().Select(Text));
        Assert.Contains("streaming from far.exam", await TextAsync(page, "#picture"), StringComparison.Ordinal);
        await page.UntilAsync("Number(document.querySelector('#members polyline').getAttribute('points').split(',')[0])"
            + " < 30", "the chart begins four minutes ago");
        Assert.Matches(@"35\d\d\.\d s", await TextAsync(page, "#members"));
        Assert.Empty(page.Complaints);
    }

    [Fact]
    public async Task Without_a_leader_and_without_what_newer_agents_tell_it_shows_what_there_is()
    {
        Assert.SkipWhen(Chromium.Program is null, "There is no Chromium (Debian: chromium-headless-shell).");
        await using var host = await RestHost.StartAsync(Nodes.Replica with { Cluster = null });
        host.Dcs.Put("members/pg-b", Member(12, "replica", "running", ""));
        await using var page = await Chromium.StartAsync();

        await page.OpenAsync(Address(host));

        await page.UntilAsync("document.getElementById('state').textContent === 'no member leads'", "it says so");
        Assert.Contains("pg-b", await TextAsync(page, "#picture"), StringComparison.Ordinal);
        Assert.Empty(page.Complaints);
        await host.Server.DisposeAsync();
        await page.UntilAsync("document.getElementById('state').textContent.startsWith('no answer')",
            "it says that the agent is gone");
    }

    private static async Task SignInAsync(Chromium page, string password)
    {
        await page.ClickAsync("#sign");
        await page.TypeAsync("input[name=user]", s_login.Username);
        await page.TypeAsync("input[name=password]", password);
        await page.ClickAsync("#askYes");
    }

    /// <summary>The page as a picture, and dark on a phone.</summary>
    private static async Task LookAsync(Chromium page)
    {
        await KeepAsync(page, "dashboard.png");
        await page.PreferDarkAsync(true);
        await page.UntilAsync("getComputedStyle(document.body).backgroundColor === 'rgb(18, 23, 30)'", "it is dark");
        await page.ResizeAsync(390, 844, isPhone: true);
        await page.UntilAsync("innerWidth === 390 && document.documentElement.scrollWidth <= 390",
            "nothing is wider than a phone");
        await KeepAsync(page, "dashboard-phone.png");
        await page.ResizeAsync(1180, 800);
        await page.UntilAsync("innerWidth === 1180", "the screen is large again");
    }

    private static async Task<RestHost> StartAsync(string last, TimeSpan lease)
    {
        const string config = """{"ttl":30,"synchronous_mode":"quorum"}""";
        var host = await RestHost.StartAsync(
            Nodes.Primary with
            {
                ReasonCode = "leads",
                Reason = "leads",
                LeaderUntil = Nodes.In(lease),
                Config = DynamicConfigReader.Read(JsonElement.Parse(config), 0),
            },
            RestHost.Loopback() with { Authentication = s_login }, events: 64);
        host.Dcs.Put("config", config);
        host.Dcs.Put("leader", "pg-a");
        host.Dcs.Put("sync", """{"leader":"pg-a","sync_standby":"pg-b,pg-c","quorum":1}""");
        host.Dcs.Put("status", """{"optime":117440512,"slots":{}}""");
        host.Dcs.Put("failover", """{"leader":"pg-a","member":"pg-b","scheduled_at":"2099-01-01T00:00:00+00:00"}""");
        host.Dcs.Put("members/pg-a", Member(11, "primary", "running",
            ",'pending_restart':true,"
                + "'pending_restart_reason':{'max_connections':{'old_value':'100','new_value':'200'}}"));
        host.Dcs.Put("members/pg-b", Member(12, "replica", "running",
            ",'replication_state':'streaming','xlog_location':117440512"));
        host.Dcs.Put("members/pg-c", Member(13, "replica", "running",
            ",'replication_state':'streaming','xlog_location':114294784"));
        host.Dcs.Put($"members/{last}", Member(14, "replica", "running",
            ",'replication_state':'in archive recovery','xlog_location':100663296,"
                + "'tags':{'replicatefrom':'pg-b','nofailover':true}"));
        Tell(host);
        return host;
    }

    /// <summary>What the agent noted of a failover.</summary>
    private static void Tell(RestHost host)
    {
        var begin = host.Time.GetUtcNow().AddMinutes(-3);
        At(0, 10, EventKind.Leader, "leader_changed", "pg-0 leads.", """{"leader":"pg-0"}""");
        At(1_000, 10, EventKind.Server, "stream_lost", "The stream from pg-0 has ended.");
        At(2_400, 10, EventKind.Leader, "leader_gone", "No member leads: pg-0 did.", """{"was":"pg-0"}""");
        At(2_480, 10, EventKind.Reason, "races", "This member takes the leader key: it has the most WAL.");
        At(2_600, 42, EventKind.Lease, "lease_won", "This member holds the leader key.");
        At(2_610, 42, EventKind.Leader, "leader_changed", "pg-a leads.", """{"leader":"pg-a","was":"pg-0"}""");
        At(2_950, 42, EventKind.Job, "promote_done", "The promotion is done.");
        At(3_400, 42, EventKind.Write, "first_write", "The first write came 450 ms after the promotion.");

        void At(int milliseconds, long term, string kind, string code, string text, string? figures = null) =>
            host.Events.Append(kind, code, text, new Term(term), 4,
                figures is null ? null : JsonElement.Parse(figures), begin.AddMilliseconds(milliseconds));
    }

    private static string Member(int address, string role, string state, string more) =>
        ($"{{'conn_url':'postgres://127.1.0.{address}:5432/postgres','api_url':'http://127.1.0.{address}:8008/patroni',"
            + $"'state':'{state}','role':'{role}','version':'4.1.4','timeline':4{more}}}")
        .Replace('\'', '"');

    private static Uri Address(RestHost host) => new($"http://{host.Settings.Listen}/ui");

    private static string? Text(JsonNode? node) => node?.GetValue<string>();

    private static async Task<string> TextAsync(Chromium page, string selector) =>
        Text(await page.EvaluateAsync($"document.querySelector('{selector}').textContent")) ?? "";

    private static async Task KeepAsync(Chromium page, string name)
    {
        var picture = await page.ScreenshotAsync();
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], picture[..4]);
        if (Environment.GetEnvironmentVariable("ROUTING_SCREENSHOTS") is { Length: > 0 } folder)
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, name), picture, TestContext.Current.CancellationToken);
        }
    }
}
