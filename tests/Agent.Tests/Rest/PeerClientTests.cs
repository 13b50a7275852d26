using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Routing.Agent.Config;
using Routing.Agent.Rest;
using Routing.Agent.Status;
using Routing.Cluster;

namespace Routing.Agent.Tests.Rest;

/// <summary>How an agent asks the others.</summary>
public sealed class PeerClientTests
{
    private static readonly TimeSpan GiveUp = TimeSpan.FromSeconds(30);

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
            [Member("mute", $"http://{mute.LocalEndpoint}/patroni"), Member("silent", $"http://{silent.LocalEndpoint}/patroni")],
            limit, cancellation);
        // The clock stands still: nobody is given up before all are asked.
        using var one = await mute.AcceptTcpClientAsync(cancellation).AsTask().WaitAsync(GiveUp, cancellation);
        using var other = await silent.AcceptTcpClientAsync(cancellation).AsTask().WaitAsync(GiveUp, cancellation);
        time.Advance(limit);
        var reports = await asking.WaitAsync(GiveUp, cancellation);

        Assert.All(reports, report => Assert.Contains("did not answer within 0.5 s", report.Problem, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Those_who_refuse_or_hang_are_told_apart_from_those_who_answer()
    {
        await using var primary = await RestHost.StartAsync(Nodes.Primary with { Tags = Nodes.Tags(("failover_priority", "3")) });
        await using var replica = await RestHost.StartAsync(Nodes.Replica with
        {
            WatchdogProblem = "no device",
            Tags = Nodes.Tags(("nofailover", "true")),
        });
        using var mute = new TcpListener(IPAddress.Loopback, 0);
        mute.Start();
        using var peers = new PeerClient(new CtlSettings(), TimeProvider.System);
        // Asked once before: with that, all that answering needs is loaded, and the limit is large for those who answer.
        await peers.ProbeAsync(
            [Member("a", primary.Settings.ApiUrl), Member("b", replica.Settings.ApiUrl)], GiveUp, TestContext.Current.CancellationToken);

        var reports = await peers.ProbeAsync(
            [
                Member("a", primary.Settings.ApiUrl), Member("b", replica.Settings.ApiUrl), Member("refuses", "http://127.0.0.1:1/patroni"),
                Member("mute", $"http://{mute.LocalEndpoint}/patroni"), Member("nowhere", null), Member("odd", "ftp://127.0.0.1/patroni"),
            ],
            TimeSpan.FromSeconds(4), TestContext.Current.CancellationToken);

        Assert.Equal(new Ha.PeerReport("a", true, true, new Lsn(117441000), 4, false, 3)
        {
            Role = Role.Primary, State = PostgresState.Running, SystemId = "7412345678901234567",
        }, reports[0] with { Age = null });
        Assert.Equal(new Ha.PeerReport("b", true, false, new Lsn(117441000), 4, true, 0, true)
        {
            Role = Role.Replica, State = PostgresState.Running, SystemId = "7412345678901234567",
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
        var report = PeerClient.Read("x", JsonElement.Parse(json));

        Assert.True(report.Reachable);
        Assert.Equal((isPrimary, new Lsn(position)), (report.IsPrimary, report.Position));
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
            [new("b", accepts.Settings.ApiUrl), new("c", leads.Settings.ApiUrl), new("d", "http://127.0.0.1:1/patroni")],
            message, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);

        Assert.Equal([true, false, false], replies.Select(reply => reply.Accepted));
        Assert.Equal(new Lsn(117440896), replies[0].Position);
        Assert.Equal("pg-a", accepts.FailsafeReceived!.Name);
    }

    [Fact]
    public async Task Any_answer_proves_that_somebody_lives_there()
    {
        await using var late = await RestHost.StartAsync(Nodes.Primary with { NextRunAt = Nodes.In(TimeSpan.FromHours(-1)) });
        using var peers = new PeerClient(new CtlSettings(), TimeProvider.System);

        Assert.True(await peers.LivenessAsync(late.Settings.ApiUrl, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
        Assert.False(await peers.LivenessAsync("http://127.0.0.1:1/patroni", TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
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
            [new("b", settings.ApiUrl)], new FailsafeMessage("pg-a", "postgres://a", "http://a", null), TimeSpan.FromSeconds(5),
            TestContext.Current.CancellationToken));

        Assert.True(reply.Accepted, reply.Detail);
    }

    private static Member Member(string name, string? apiUrl) => new() { Name = name, ApiUrl = apiUrl };
}
