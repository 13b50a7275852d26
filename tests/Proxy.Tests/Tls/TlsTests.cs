using System.Security.Authentication;
using Routing.Cluster;
using Routing.Proxy.Configuration;
using Routing.Proxy.Tests.Sessions;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Tls;

/// <summary>TLS in its three modes, on each transport where it matters.</summary>
public sealed class TlsTests : IDisposable
{
    private static readonly byte[] s_sslRequest = RawClient.Packet(80_877_103, []);
    private readonly CertificateFiles _certificates = new();

    public void Dispose() => _certificates.Dispose();

    [Theory]
    [InlineData("epoll")]
    [InlineData("portable")]
    public async Task A_client_in_TLS_is_served_from_a_server_in_clear_text(string transport)
    {
        using var server = new PretendServer();
        await using var rig = Terminating(transport).With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(s_sslRequest);
        Assert.Equal('S', await client.ReadByteAsync());
        await client.EncryptAsync(_certificates.Trusting());

        Assert.Null(await client.LoginAsync());
        await client.QueryAsync("select 1");
        Assert.Null(await client.UntilReadyAsync());
        await client.SendAsync(BackendMessage.Of('X'));
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("closed a ClientTerminated"));
    }

    [Fact]
    public async Task Direct_TLS_needs_the_protocol_s_name()
    {
        using var server = new PretendServer();
        await using var rig = Terminating().With("a", server, Role.Primary).Lead("a").Publish();
        using (var named = new RawClient(rig.WritePort))
        {
            await named.EncryptAsync(_certificates.Trusting("postgresql"));
            Assert.Null(await named.LoginAsync());
        }

        using var nameless = new RawClient(rig.WritePort);
        try
        {
            await nameless.EncryptAsync(_certificates.Trusting());
        }
        catch (Exception refused) when (refused is IOException or AuthenticationException)
        {
            // or it is closed right behind the handshake
        }
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused TlsFailed"));
    }

    [Fact]
    public async Task Clear_text_is_refused_where_TLS_is_demanded_but_a_cancel_request_is_not()
    {
        using var server = new PretendServer();
        await using var rig = Terminating(change: tls => tls with { Required = true }).With("a", server, Role.Primary)
            .Lead("a").Publish();
        using var clear = new RawClient(rig.WritePort);
        Assert.Equal("28000", await clear.LoginAsync());

        using var client = new RawClient(rig.WritePort);
        await client.SendAsync(s_sslRequest);
        Assert.Equal('S', await client.ReadByteAsync());
        await client.EncryptAsync(_certificates.Trusting());
        Assert.Null(await client.LoginAsync());
        using var cancel = new RawClient(rig.WritePort);
        await cancel.SendAsync(RawClient.Packet(80_877_102, client.Key));
        Assert.Equal(-1, await cancel.ReadByteAsync());

        Assert.Single(server.Cancelled);
    }

    [Fact]
    public async Task Clear_text_behind_the_request_is_an_injection_and_closed_without_a_word()
    {
        await using var rig = Terminating();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync([.. s_sslRequest, .. RawClient.Startup("user", "mallory")]);

        Assert.Equal(-1, await client.ReadByteAsync());
        await WaitUntil.TrueAsync(() => rig.Diary.Contains("refused Injected"));
    }

    [Fact]
    public async Task A_changed_certificate_is_shown_without_a_restart()
    {
        await using var rig = Terminating();
        Assert.Equal("CN=localhost", await SubjectAsync(rig));

        _certificates.FileFor("other.example");

        await WaitUntil.TrueAsync(async () => await SubjectAsync(rig) == "CN=other.example");
    }

    [Fact]
    public async Task TLS_that_passes_through_is_between_client_and_server_alone()
    {
        using var server = new PretendServer { Certificate = _certificates.For("member.example") };
        await using var rig =
            Rigged(one => one with { Tls = new ClientTlsSettings { Mode = ClientTlsMode.PassThrough } })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(s_sslRequest);
        Assert.Equal('S', await client.ReadByteAsync());
        var encrypted = await client.EncryptAsync(_certificates.Trusting());

        Assert.Null(await client.LoginAsync());
        Assert.Equal("CN=member.example", encrypted.RemoteCertificate!.Subject);
    }

    [Fact]
    public async Task A_server_without_TLS_behind_pass_through_is_reached_in_clear_text_with_the_proxys_checks()
    {
        using var server = new PretendServer();
        await using var rig =
            Rigged(one => one with { Tls = new ClientTlsSettings { Mode = ClientTlsMode.PassThrough } })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(s_sslRequest);
        Assert.Equal('N', await client.ReadByteAsync());

        Assert.Null(await client.LoginAsync());
        rig.With("a", server, Role.Replica).Lead(null).Publish();
        Assert.Equal("57P01", await client.UntilReadyAsync());
    }

    [Fact]
    public async Task Direct_TLS_to_a_server_that_has_none_is_refused_after_two_attempts()
    {
        using var server = new PretendServer();
        await using var rig =
            Rigged(one => one with { Tls = new ClientTlsSettings { Mode = ClientTlsMode.PassThrough } })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        await Assert.ThrowsAnyAsync<IOException>(() => client.EncryptAsync(_certificates.Trusting()));

        Assert.Equal(2, server.HangUps);
        Assert.Contains("failed a tls_refused", rig.Diary);
    }

    [Fact]
    public async Task A_refusal_ahead_of_the_handshake_has_no_words()
    {
        await using var rig =
            Rigged(one => one with { Tls = new ClientTlsSettings { Mode = ClientTlsMode.PassThrough } },
                TimeSpan.FromMilliseconds(100)).Publish();
        using var client = new RawClient(rig.WritePort);

        await client.SendAsync(s_sslRequest);

        Assert.Equal(-1, await client.ReadByteAsync());
    }

    [Theory]
    [InlineData("Require", "anybody.example", true)]
    [InlineData("VerifyCa", "anybody.example", true)]
    [InlineData("VerifyFull", "127.0.0.1", true)]
    [InlineData("VerifyFull", "anybody.example", false)]
    public async Task TLS_to_a_member_is_verified_as_asked_and_channel_binding_is_not_offered_to_a_client_in_clear_text(
        string wanted, string name, bool trusted)
    {
        var mode = Enum.Parse<MemberTlsMode>(wanted);
        using var server = new PretendServer { Certificate = _certificates.For(name),
            Mechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] };
        await using var rig =
            Rigged(
                one => one
                    with { MemberTls = new MemberTlsSettings { Mode = mode, AuthorityFile = _certificates.Authority } })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);
        await client.SendAsync(RawClient.Startup("user", "alice"));

        if (!trusted)
        {
            Assert.Equal("08006", await client.UntilReadyAsync());
            Assert.Contains("failed a tls_failed", rig.Diary);
            return;
        }
        var (type, body) = await client.ReadMessageAsync();
        Assert.Equal(('R', "SCRAM-SHA-256"), (type, System.Text.Encoding.UTF8.GetString(body.AsSpan(4)).TrimEnd('\0')));
        await client.SendAsync(BackendMessage.Of('p'));
        Assert.Null(await client.UntilReadyAsync());
    }

    [Fact]
    public async Task A_member_that_declines_TLS_is_never_spoken_to_in_clear_text()
    {
        using var server = new PretendServer();
        await using var rig =
            Rigged(one => one with { MemberTls = new MemberTlsSettings { Mode = MemberTlsMode.Require } })
            .With("a", server, Role.Primary).Lead("a").Publish();
        using var client = new RawClient(rig.WritePort);

        Assert.Equal("08006", await client.LoginAsync());

        Assert.Empty(server.Startups);
        Assert.Contains("failed a tls_refused", rig.Diary);
    }

    private static Rig Rigged(Func<ListenerConfig, ListenerConfig> change, TimeSpan? hold = null) => new(
        settings: new SessionSettings { RetryTime = TimeSpan.FromMilliseconds(200),
            CutGrace = TimeSpan.FromMilliseconds(50) }, change: change, hold: hold);

    private async Task<string> SubjectAsync(Rig rig)
    {
        using var client = new RawClient(rig.WritePort);
        await client.SendAsync(s_sslRequest);
        Assert.Equal('S', await client.ReadByteAsync());
        return (await client.EncryptAsync(_certificates.Trusting())).RemoteCertificate!.Subject;
    }

    private Rig Terminating(string transport = "epoll", Func<ClientTlsSettings, ClientTlsSettings>? change = null)
    {
        var tls = new ClientTlsSettings { Mode = ClientTlsMode.Terminate,
            CertificateFile = _certificates.FileFor("localhost") };
        return new Rig(transport, change: one => one with { Tls = change?.Invoke(tls) ?? tls });
    }
}
