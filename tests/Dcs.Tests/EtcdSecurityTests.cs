using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Routing.Dcs.Etcd;
using Routing.TestKit;

namespace Routing.Dcs.Tests;

[Trait("Category", "Integration")]
public sealed class EtcdLoginTests : IAsyncLifetime
{
    private const string User = "agent";
    private const string Password = "agent-secret";
    private static readonly TimeSpan s_tokenLife = TimeSpan.FromSeconds(3);
    private readonly string _scope = Stores.NewScope();
    private EtcdServer _etcd = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _etcd = await EtcdServer.StartAsync(new()
        {
            ExtraArguments = ["--auth-token", "simple", "--auth-token-ttl", $"{s_tokenLife.TotalSeconds}",
                .. EtcdUnderTest.QuickPasswords],
        });
        await RawEtcd.EnableAuthAsync(_etcd.Endpoint, User, Password, $"/service/{_scope}");
    }

    public ValueTask DisposeAsync() => _etcd.DisposeAsync();

    [Fact]
    public async Task A_token_that_has_expired_is_replaced_unnoticed()
    {
        await using var store = Connect(Password);
        var lease = await store.GrantLeaseAsync(TimeSpan.FromSeconds(30), Token);
        var acquired = await store.TryAcquireLeaderAsync("a", lease.Id, null, Token);
        var logins = store.Status.Logins;

        await Task.Delay(s_tokenLife * 2, Token);   // each use would prolong the token: only time ends it
        var kept = await store.TryKeepLeaderAsync("a", lease.Id, Token);
        var written = await store.PutAsync("config", "{}", WriteCondition.Absent, 0, Token);

        Assert.Equal(1, logins);
        Assert.Equal(acquired.Leader, kept.Leader);
        Assert.True(written.IsDone, $"{written}");
        Assert.Equal(2, store.Status.Logins);
    }

    [Fact]
    public async Task A_watch_that_must_be_opened_again_with_an_expired_token_logs_in_again()
    {
        await using var relay = new TcpRelay(_etcd.Endpoint);
        await using var store = Stores.Connect(
            [relay.Endpoint], _scope,
            options => options with { Username = User, Password = Password, UseProxies = true });
        await using var topology = new TopologyWatch(store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);

        relay.Cut();
        await Task.Delay(s_tokenLife * 2, Token);   // as above; in etcd 3.5.30 an open stream prolongs it
        relay.Refuses = false;
        await WaitUntil.TrueAsync(() => store.Status.Resyncs > 0 && topology.Current.IsLive);
        await using var writer = Connect(Password);
        var written = await writer.PutAsync("config", "{}", WriteCondition.Always, 0, Token);
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Revision >= written.Revision);

        Assert.Equal(2, store.Status.Logins);
    }

    [Fact]
    public async Task A_restart_of_the_server_ends_neither_watch_nor_writes_of_who_is_logged_in()
    {
        await using var store = Connect(Password);
        await using var topology = new TopologyWatch(store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);

        await _etcd.KillAsync();
        await _etcd.RestartAsync();
        var written = await store.PutAsync("config", "{}", WriteCondition.Absent, 0, Token);
        await WaitUntil.TrueAsync(
            () => topology.Current is { IsLive: true } view && view.Snapshot.Revision >= written.Revision);

        Assert.True(written.IsDone, $"{written}");
    }

    [Fact]
    public async Task A_wrong_password_is_a_refusal_and_not_silence()
    {
        await using var store = Connect("wrong");

        var refusal = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());
        var written = await store.PutAsync("config", "{}", WriteCondition.Always, 0, Token);

        Assert.True(refusal.IsRefusal && refusal.IsOfLogin);
        Assert.Contains(": the user name or the password is wrong (", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(WriteStatus.Refused, written.Status);
    }

    [Fact]
    public async Task A_password_that_was_changed_is_taken_over_while_the_store_runs()
    {
        const string changed = "agent-secret-2";
        await using var store = Connect(Password);
        await using var topology = new TopologyWatch(store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);

        await RawEtcd.ChangePasswordAsync(_etcd.Endpoint, User, changed);
        var refusal = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());
        store.Use(OptionsOf(changed));
        var written = await store.PutAsync("config", "{}", WriteCondition.Absent, 0, Token);

        Assert.True(refusal.IsOfLogin, refusal.Message);
        Assert.True(written.IsDone, $"{written}");
        await WaitUntil.TrueAsync(
            () => topology.Current is { IsLive: true } view && view.Snapshot.Revision >= written.Revision);
    }

    [Fact]
    public async Task Without_a_user_a_server_that_wants_one_refuses()
    {
        await using var store = Stores.Connect([_etcd.Endpoint], _scope);

        var refusal = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());

        Assert.True(refusal.IsRefusal && refusal.IsOfLogin);
        Assert.Contains(": it wants a user name and a password (", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_scope_that_the_user_may_not_touch_is_refused()
    {
        await using var store = Connect(Password, scope: "another");

        var refusal = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());
        var written = await store.PutAsync("config", "{}", WriteCondition.Always, 0, Token);

        Assert.True(refusal.IsRefusal);
        Assert.Equal(WriteStatus.Refused, written.Status);
        Assert.Contains("permission denied", written.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_user_is_let_in_by_a_server_that_knows_no_users()
    {
        await using var open = await EtcdServer.StartAsync();
        await using var store =
            Stores.Connect([open.Endpoint], _scope, options => options with { Username = User, Password = Password });

        Assert.True((await store.PutAsync("config", "{}", WriteCondition.Always, 0, Token)).IsDone);
    }

    private EtcdClusterStore Connect(string password, string? scope = null) => Stores.Connect(
        [_etcd.Endpoint], scope ?? _scope, options => options with { Username = User, Password = password });

    private EtcdOptions OptionsOf(string password) =>
        new() { Endpoints = [_etcd.Endpoint], Username = User, Password = password };
}

[Trait("Category", "Integration")]
public sealed class EtcdTlsTests : IAsyncLifetime
{
    private readonly TempDirectory _files = new("tls");
    private readonly TestAuthority _authority = new();
    private EtcdServer _etcd = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _authority.Write(_files["ca.pem"]);
        _authority.Issue("etcd", _files["server.pem"], _files["server.key"]);
        _authority.Issue("agent", _files["client.pem"], _files["client.key"]);
        File.WriteAllText(_files["both.pem"],
            File.ReadAllText(_files["client.pem"]) + File.ReadAllText(_files["client.key"]));
        _etcd = await EtcdServer.StartAsync(
            new() { Tls = (_files["ca.pem"], _files["server.pem"], _files["server.key"]) });
    }

    public async ValueTask DisposeAsync()
    {
        await _etcd.DisposeAsync();
        _authority.Dispose();
        _files.Dispose();
    }

    [Theory]
    [InlineData("client.pem", "client.key")]
    [InlineData("both.pem", null)]
    public async Task A_client_certificate_opens_the_door(string certificate, string? key)
    {
        await using var store = Connect(certificate, key);
        await using var views = store.WatchAsync(Token).GetAsyncEnumerator(Token);

        await views.MoveNextAsync();
        var written = await store.PutAsync("config", "{}", WriteCondition.Always, 0, Token);
        await views.MoveNextAsync();

        Assert.True(written.IsDone, $"{written}");
        Assert.Equal(written.Revision, views.Current.Snapshot.Revision);
    }

    [Fact]
    public async Task Without_a_client_certificate_nothing_is_read()
    {
        await using var store = Connect(null, null);

        await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());
    }

    [Fact]
    public async Task A_server_of_an_unknown_authority_is_not_believed()
    {
        using var other = new TestAuthority();
        other.Write(_files["other.pem"]);
        await using var store = Connect("client.pem", "client.key", ca: "other.pem");

        await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());
    }

    [Fact]
    public async Task Certificates_that_were_replaced_are_taken_over_while_the_store_runs()
    {
        using var other = new TestAuthority();
        other.Write(_files["mine.pem"]);
        var options = new EtcdOptions
        {
            Endpoints = [_etcd.Endpoint], CaFile = _files["mine.pem"], CertificateFile = _files["both.pem"],
        };
        await using var store = Connect("both.pem", null, ca: "mine.pem");
        await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());

        _authority.Write(_files["mine.pem"]);
        store.Use(options);
        await using var topology = new TopologyWatch(store, Stores.Logger<TopologyWatch>());
        topology.Start();
        await WaitUntil.TrueAsync(() => topology.Current.IsLive);
        var reconnects = store.Status.WatchReconnects;
        other.Write(_files["mine.pem"]);
        store.Use(options);
        var distrusted = await Assert.ThrowsAsync<ClusterStoreException>(() => store.ReadAsync(Token).AsTask());
        File.WriteAllText(_files["mine.pem"], "no certificate");
        var unusable = Assert.Throws<ClusterStoreException>(() => store.Use(options));
        _authority.Write(_files["mine.pem"]);
        store.Use(options);
        var written = await store.PutAsync("config", "{}", WriteCondition.Always, 0, Token);

        Assert.False(distrusted.IsRefusal, distrusted.Message);
        Assert.Contains("mine.pem", unusable.Message, StringComparison.Ordinal);
        Assert.True(written.IsDone, $"{written}");
        await WaitUntil.TrueAsync(() => topology.Current.Snapshot.Revision >= written.Revision);
        Assert.InRange(store.Status.WatchReconnects - reconnects, 0, 1);
    }

    [Fact]
    public void A_certificate_file_that_can_not_be_used_is_named()
    {
        File.WriteAllText(_files["broken.pem"], "no certificate");

        var problem = Assert.Throws<ClusterStoreException>(() => Connect("broken.pem", null));

        Assert.True(problem.IsRefusal);
        Assert.Contains("broken.pem", problem.Message, StringComparison.Ordinal);
    }

    private EtcdClusterStore Connect(string? certificate, string? key, string ca = "ca.pem") => Stores.Connect(
        [_etcd.Endpoint], "tls", options => options with
        {
            CaFile = _files[ca],
            CertificateFile = certificate is null ? null : _files[certificate],
            KeyFile = key is null ? null : _files[key],
            OperationTimeout = TimeSpan.FromSeconds(2),
        });

    /// <summary>A certificate authority for 127.0.0.1.</summary>
    private sealed class TestAuthority : IDisposable
    {
        private static readonly DateTimeOffset s_from = TimeProvider.System.GetUtcNow().AddDays(-1);
        private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        private readonly X509Certificate2 _certificate;

        public TestAuthority()
        {
            var request = new CertificateRequest("CN=Test authority", _key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            request.CertificateExtensions.Add(
                new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
            _certificate = request.CreateSelfSigned(s_from, s_from.AddDays(30));
        }

        public void Write(string file) => File.WriteAllText(file, _certificate.ExportCertificatePem());

        public void Issue(string name, string certificateFile, string keyFile)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddIpAddress(IPAddress.Loopback);
            request.CertificateExtensions.Add(names.Build());
            request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(
                [new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));   // server and client
            using var certificate =
                request.Create(_certificate, s_from, s_from.AddDays(20), RandomNumberGenerator.GetBytes(8));
            File.WriteAllText(certificateFile, certificate.ExportCertificatePem() + "\n");
            File.WriteAllText(keyFile, key.ExportPkcs8PrivateKeyPem() + "\n");
        }

        public void Dispose()
        {
            _certificate.Dispose();
            _key.Dispose();
        }
    }
}
