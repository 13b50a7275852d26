using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Config;
using Routing.Agent.Rest;
using Routing.Agent.Status;
using Routing.Cluster;

namespace Routing.Agent.Tests.Rest;

/// <summary>How an agent asks the others.</summary>
public sealed class PeerClientTests
{
    private static readonly TimeSpan s_giveUp = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task All_are_asked_at_once()
    {
        using var mute = new TcpListener(IPAddress.Loopback, 0);
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        mute.Start();
        silent.Start();
        var time = new FakeTimeProvider();
        var limit = TimeSpan.FromMilliseconds(500);
        var cancellation = TestContext.Current.CancellationToken;
        using var peers = new PeerClient(new CtlSettings(), time);

        var asking = peers.ProbeAsync(
            [Member("mute", $"http://{mute.LocalEndpoint}/patroni"),
                Member("silent", $"http://{silent.LocalEndpoint}/patroni")],
            limit, cancellation);
        // The clock stands still: nobody is given up before all are asked.
        using var one = await mute.AcceptTcpClientAsync(cancellation).AsTask().WaitAsync(s_giveUp, cancellation);
        using var other = await silent.AcceptTcpClientAsync(cancellation).AsTask().WaitAsync(s_giveUp, cancellation);
        time.Advance(limit);
        var reports = await asking.WaitAsync(s_giveUp, cancellation);

        Assert.All(reports,
            report => Assert.Contains("did not answer within 0.5 s", report.Problem, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Those_who_refuse_or_hang_are_told_apart_from_those_who_answer()
    {
        await using var primary =
            await RestHost.StartAsync(Nodes.Primary with { Tags = Nodes.Tags(("failover_priority", "3")) });
        await using var replica = await RestHost.StartAsync(Nodes.Replica with
        {
            WatchdogProblem = "no device",
            Damage = "its history has diverged",
            Tags = Nodes.Tags(("nofailover", "true")),
        });
        using var mute = new TcpListener(IPAddress.Loopback, 0);
        mute.Start();
        using var peers = new PeerClient(new CtlSettings(), TimeProvider.System);
        // Asked once before: with that, all that answering needs is loaded, and the limit is large for those who
        // answer.
        await peers.ProbeAsync(
            [Member("pg-a", primary.Settings.ApiUrl), Member("pg-b", replica.Settings.ApiUrl)], s_giveUp,
            TestContext.Current.CancellationToken);

        var reports = await peers.ProbeAsync(
            [
                Member("pg-a", primary.Settings.ApiUrl), Member("pg-b", replica.Settings.ApiUrl),
                Member("refuses", "http://127.0.0.1:1/patroni"),
                Member("mute", $"http://{mute.LocalEndpoint}/patroni"), Member("nowhere", null),
                Member("odd", "ftp://127.0.0.1/patroni"),
            ],
            TimeSpan.FromSeconds(4), TestContext.Current.CancellationToken);

        Assert.Equal(new Ha.PeerReport("pg-a", true, true, new Lsn(117441000), 4, false, 3)
        {
            Role = Role.Primary, State = PostgresState.Running, SystemId = "7412345678901234567",
        }, reports[0] with { Age = null });
        Assert.Equal(new Ha.PeerReport("pg-b", true, false, new Lsn(117441000), 4, true, 0, true)
        {
            Role = Role.Replica, State = PostgresState.Running, SystemId = "7412345678901234567",
            Damage = "its history has diverged",
        }, reports[1] with { Age = null });
        Assert.All(reports.Take(2), report => Assert.NotNull(report.Age));
        Assert.All(reports.Skip(2), report => Assert.False(report.Reachable));
        Assert.All(reports.Skip(2), report => Assert.NotNull(report.Problem));
    }

    [Theory]
    [InlineData("""{"role":"replica","wal":{"received_location":5,"replayed_location":9}}""", false, 9)]
    [InlineData("""{"role":"master","state":"running","xlog":{"location":"7"},"timeline":null}""", true, 7)]
    [InlineData("""{"role":"primary"}""", true, 0)]
    [InlineData("""{"xlog":[],"tags":1,"timeline":"x"}""", false, 0)]
    public void Status_documents_of_all_ages_are_understood(string json, bool isPrimary, ulong position)
    {
        var report = PeerClient.Read("x", json);

        Assert.True(report.Reachable);
        Assert.Equal((isPrimary, new Lsn(position)), (report.IsPrimary, report.Position));
    }

    [Theory]
    [InlineData("""{"role":"\ud800","state":"\udc00","xlog":{"received_location":"\ud800"},"timeline":"\udfff"}""")]
    [InlineData(
        """{"role":"replica","tags":{"\ud800":"\ud800","nofailover":"\udc00"},"database_system_identifier":"\ud800"}""")]
    [InlineData(
        """{"patroni":{"name":"\udc00"},"routing":{"age":"\ud800"},"pause":"\ud800","watchdog_failed":"\udc00"}""")]
    public async Task Half_surrogates_in_an_answer_end_nobody(string json)
    {
        var report = await AskOneWhoAnswersAsync("application/json", System.Text.Encoding.UTF8.GetBytes(json));

        Assert.False(report.IsPrimary);
        Assert.Equal((Lsn.Zero, 0u), (report.Position, report.Timeline));
    }

    [Theory]
    [InlineData("application/json; charset=x-nobody-knows")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData("nonsense")]
    public async Task An_answer_is_read_whatever_charset_it_names(string contentType)
    {
        var report = await AskOneWhoAnswersAsync(
            contentType, """{"role":"replica","xlog":{"received_location":5}}"""u8.ToArray());

        Assert.Equal((true, new Lsn(5)), (report.Reachable, report.Position));
    }

    [Theory]
    [InlineData(new byte[] { 0xFF, 0xFE, 0x7B })]
    [InlineData(new byte[] { 0x7B })]
    [InlineData(new byte[0])]
    public async Task What_cannot_be_read_makes_the_peer_unusable_and_says_why(byte[] body)
    {
        var report = await AskOneWhoAnswersAsync("application/json", body);

        Assert.False(report.Reachable);
        Assert.NotEmpty(report.Problem!);
    }

    [Fact]
    public void An_address_that_was_given_to_another_member_does_not_speak_for_the_one_that_was_asked()
    {
        var report = PeerClient.Read("a", """{"role":"primary","patroni":{"name":"d","scope":"pay"}}""");

        Assert.Equal((false, "its address answers as d"), (report.Reachable, report.Problem));
    }

    [Fact]
    public async Task Failsafe_is_accepted_only_by_who_says_so()
    {
        await using var accepts = await RestHost.StartAsync(Nodes.Replica);
        await using var leads = await RestHost.StartAsync(Nodes.Primary);
        leads.FailsafeAnswer = new FailsafeAnswer(FailsafeVerdict.RunningAsLeader);
        using var peers = new PeerClient(new CtlSettings(), TimeProvider.System);
        var message = new FailsafeMessage("pg-a", "postgres://a", "http://a", null);

        var replies = await peers.PostFailsafeAsync(
            [new("b", accepts.Settings.ApiUrl), new("c", leads.Settings.ApiUrl),
                new("d", "http://127.0.0.1:1/patroni")],
            message, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);

        Assert.Equal([true, false, false], replies.Select(reply => reply.Accepted));
        Assert.Equal([false, true, false], replies.Select(reply => reply.Refused));
        Assert.Equal(new Lsn(117440896), replies[0].Position);
        Assert.Equal("pg-a", accepts.FailsafeReceived!.Name);
    }

    [Fact]
    public async Task Any_answer_proves_that_somebody_lives_there()
    {
        await using var late =
            await RestHost.StartAsync(Nodes.Primary with { NextRunAt = Nodes.In(TimeSpan.FromHours(-1)) });
        using var peers = new PeerClient(new CtlSettings(), TimeProvider.System);

        Assert.True(await peers.LivenessAsync(
            late.Settings.ApiUrl, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
        Assert.False(await peers.LivenessAsync(
            "http://127.0.0.1:1/patroni", TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task The_password_and_the_client_certificate_of_ctl_are_shown()
    {
        using var certificates = new TestCertificates();
        var settings = RestHost.Loopback() with
        {
            CertificateFile = certificates.Issue("server", 1),
            CaFile = certificates.CaFile,
            VerifyClient = ClientVerification.Required,
            Authentication = new BasicCredentials("admin", "secret"),
        };
        await using var host = await RestHost.StartAsync(Nodes.Replica, settings);
        using var peers = new PeerClient(
            new CtlSettings
            {
                Authentication = settings.Authentication,
                CaFile = certificates.CaFile,
                CertificateFile = certificates.Issue("client", 2),
            },
            TimeProvider.System);

        var reply = Assert.Single(await peers.PostFailsafeAsync(
            [new("b", settings.ApiUrl)], new FailsafeMessage("pg-a", "postgres://a", "http://a", null),
            TimeSpan.FromSeconds(5),
            TestContext.Current.CancellationToken));

        Assert.True(reply.Accepted, reply.Detail);
    }

    private static Member Member(string name, string? apiUrl) => new() { Name = name, ApiUrl = apiUrl };

    /// <summary>
    /// Asks a server that answers with these bytes, and with headers that no server of ours would send.
    /// </summary>
    private static async Task<Ha.PeerReport> AskOneWhoAnswersAsync(string contentType, byte[] body)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var peers = new PeerClient(new CtlSettings(), TimeProvider.System);
        var cancellation = TestContext.Current.CancellationToken;

        var asking =
            peers.ProbeAsync([Member("odd", $"http://{listener.LocalEndpoint}/patroni")], s_giveUp, cancellation);
        using var client = await listener.AcceptTcpClientAsync(cancellation).AsTask().WaitAsync(s_giveUp, cancellation);
        var stream = client.GetStream();
        var head =
            $"HTTP/1.1 200 OK\r\nContent-Type: {contentType}\r\nlsn: \u00ff\r\nContent-Length: {body.Length}\r\n\r\n";
        _ = await stream.ReadAsync(new byte[4096], cancellation);
        await stream.WriteAsync(System.Text.Encoding.Latin1.GetBytes(head), cancellation);
        await stream.WriteAsync(body, cancellation);
        return Assert.Single(await asking.WaitAsync(s_giveUp, cancellation));
    }
}
