using System.Net;
using System.Net.Sockets;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Routes;

/// <summary>Fail static, but only while the servers behind the last known routes live.</summary>
public sealed class MemberProbeTests
{
    private static readonly SessionSettings s_quick = new()
    {
        CutGrace = TimeSpan.FromMilliseconds(50),
        AnswerTimeout = TimeSpan.FromSeconds(1),
        ConnectTimeout = TimeSpan.FromSeconds(1),
        SilenceTime = TimeSpan.FromMilliseconds(500),
        RetryTime = TimeSpan.FromSeconds(3),
    };

    // Half a second of silence counts, and each question may take its time: who lives is not taken for dead on a slow
    // machine.
    private static readonly SessionSettings s_patient = new()
    {
        CutGrace = TimeSpan.FromMilliseconds(50),
        SilenceTime = TimeSpan.FromMilliseconds(500),
    };

    [Theory]
    [InlineData("io_uring")]
    [InlineData("epoll")]
    [InlineData("portable")]
    public async Task A_silent_leader_loses_its_sessions_and_gets_new_ones_when_it_answers(string transport)
    {
        using var server = new PretendServer { Answer = _ => [] };
        await using var rig = new Rig(transport, s_quick).With("a", server, Role.Primary).Lead("a").Publish();
        using var asking = new RawClient(rig.WritePort);
        using var resting = new RawClient(rig.WritePort);
        Assert.Null(await asking.LoginAsync());
        Assert.Null(await resting.LoginAsync());
        await asking.QueryAsync("select 1");

        server.IsSilent = true;   // to new connections; the old ones are not answered anyway
        rig.Publish(isLive: false);

        Assert.Equal("08007", await asking.UntilReadyAsync());   // it ran outside a transaction: nobody knows
        Assert.Equal("57P01", await resting.UntilReadyAsync());
        using var next = new RawClient(rig.WritePort);
        var login = next.LoginAsync();
        await WaitUntil.TrueAsync(() => rig.Router.Waiting == 1);
        server.IsSilent = false;
        Assert.Null(await login);
    }

    [Fact]
    public async Task A_silent_etcd_changes_nothing_for_a_leader_that_answers()
    {
        using var server = new PretendServer();
        await using var rig = new Rig(settings: s_patient).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        Assert.Null(await client.LoginAsync());

        rig.Publish(isLive: false);
        await WaitUntil.TrueAsync(() => server.Probes >= 3);

        await client.QueryAsync("select 1");
        Assert.Null(await client.UntilReadyAsync());
        Assert.Empty(rig.Router.Table.Silent);
    }

    [Fact]
    public async Task A_black_hole_is_silence_and_a_refusal_is_not()
    {
        // Its queue is full: the kernel drops every SYN, as a firewall would.
        using var hole = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        hole.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        hole.Listen(0);
        using var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await filler.ConnectAsync(hole.LocalEndPoint!, TestContext.Current.CancellationToken);
        var closed = new PretendServer();
        closed.Dispose();
        await using var rig = new Rig(settings: s_quick)
            .With("a", ((IPEndPoint)hole.LocalEndPoint!).Port, Role.Primary).With("b", closed.Port, Role.Replica)
                .Lead("a").Publish();

        rig.Publish(isLive: false);

        await WaitUntil.TrueAsync(() => rig.Router.Table.Silent.Contains("a"));
        Assert.Equal(["a"], rig.Router.Table.Silent);
    }

    [Fact]
    public async Task A_dead_replica_whose_key_is_gone_loses_its_readers_and_one_that_lives_keeps_them_until_they_rest()
    {
        using var dead = new PretendServer(inRecovery: true) { Answer = _ => [] };
        await using var rig = new Rig(settings: s_patient).With("a", dead, Role.Replica).Publish();
        using var reader = new RawClient(rig.ReadPort);
        Assert.Null(await reader.LoginAsync());
        await reader.QueryAsync("select 1");
        await WaitUntil.TrueAsync(() => rig.Server.Count().Sessions.Sum(one => one.BytesFromClient) > 0);

        rig.Without("a").Publish();
        await WaitUntil.TrueAsync(() => dead.Probes >= 2);   // it is asked, and answers: the query may go on
        Assert.Equal(1, rig.Open);
        dead.IsSilent = true;

        Assert.Equal("08007", await reader.UntilReadyAsync());
    }
}
