using Routing.Cluster.HostChoice;
using Routing.Proxy.Configuration;
using Routing.Proxy.Wire;
using Routing.Settings;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Configuration;

/// <summary>
/// The proxy's configuration: the smallest file, the environment over it, and every wrong value by name.
/// </summary>
public sealed class ProxySettingsTests : IDisposable
{
    private const string Smallest = """
        scope: demo
        namespace: /service/
        etcd3:
          hosts: 127.0.0.1:2379
        listeners:
          write: {listen: "127.0.0.1:5000", role: primary}
          read: {listen: "127.0.0.1:5001", role: replica}
        admin:
          listen: 127.0.0.1:8009

        """;

    private readonly TempDirectory _directory = new("proxy");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void The_smallest_file_works_as_it_stands()
    {
        var result = Load(Smallest);

        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        var settings = result.Settings!;
        Assert.Equal(["write", "read"], settings.Listeners.Select(one => one.Name));
        Assert.Equal((WantedRole.Primary, WantedRole.Replica),
            (settings.Listeners[0].Request.Role, settings.Listeners[1].Request.Role));
        Assert.Equal(TimeSpan.FromSeconds(10), settings.Listeners[0].HoldTime);
        Assert.Equal(ReplicationAccess.Physical | ReplicationAccess.Logical, settings.Listeners[0].Replication);
        Assert.Equal(ReplicationAccess.None, settings.Listeners[1].Replication);
    }

    [Fact]
    public void Variables_have_precedence_and_may_be_all_there_is()
    {
        var over = Load(Smallest, ("SCOPE", "orders"), ("ETCD3_HOSTS", "10.0.0.1:2379,10.0.0.2:2379"),
            ("ADMIN_LISTEN", "127.0.0.1:9"));
        Assert.Equal(("orders", 2, 9),
            (over.Settings!.Scope, over.Settings.Etcd!.Endpoints.Count, over.Settings.Admin!.Value.Port));

        var alone = ProxySettingsReader.Load(null, SettingsEnvironment.From(ProxySettingsReader.Prefix,
        [
            new("ROUTING_PROXY_SCOPE", "demo"), new("ROUTING_PROXY_ETCD3_HOSTS", "127.0.0.1:2379"),
            new("ROUTING_PROXY_LISTENERS", "{write: {listen: '127.0.0.1:5000', role: primary}}"),
        ]));
        Assert.Empty(alone.Errors);
        Assert.Equal("write", alone.Settings!.Listeners.Single().Name);
    }

    [Fact]
    public void Every_setting_of_a_listener_is_read()
    {
        var result = Load(Smallest.Replace(
            """{listen: "127.0.0.1:5001", role: replica}""",
            """
            {listen: "unix:/tmp/s", role: synchronous, policy: random_of_two, max_lag: 1048576, zone: a, zone_tag: rack,
                  tags: {kind: big}, fallback: when_empty, max_sessions: 7, idle_timeout: 1.5, hold_time: 3, hold_queue: 9, logins_per_second: 11,
                  replication: physical, move: assume_clean, replay: first_statement, add_client_address: yes,
                  server_tls: {mode: verify_full, ca: /ca.pem},
                  tls: {mode: terminate, certificate: /c.pem, client_certificates: required, ca: /ca.pem, required: on},
                  proxy_protocol: {from: [10.0.0.0/8, 192.0.2.1], send: v2}, server_keepalive: {idle: 5, user_timeout: 40}}
            """, StringComparison.Ordinal));

        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        var listener = result.Settings!.Listeners[1];
        Assert.Equal("/tmp/s", listener.Address.Path);
        Assert.Equal(
            (WantedRole.Synchronous, HostPolicy.RandomOfTwo, 1_048_576L, "a", "rack", LeaderFallback.WhenEmpty),
            (listener.Request.Role, listener.Request.Policy, listener.Request.MaximumLagBytes, listener.Request.Zone,
                listener.Request.ZoneTag, listener.Request.Fallback));
        Assert.Equal((MoveMode.AssumeClean, ReplayMode.FirstStatement), (listener.Move, listener.Replay));
        Assert.Equal((3.0, 9, 11), (listener.HoldTime.TotalSeconds, listener.HoldQueue, listener.LoginsPerSecond));
        Assert.Equal(
            (7, 1.5, true), (listener.MaximumSessions, listener.IdleTimeout.TotalSeconds, listener.AddClientAddress));
        Assert.Equal((ClientTlsMode.Terminate, true, ClientCertificates.Required),
            (listener.Tls.Mode, listener.Tls.Required, listener.Tls.ClientCertificates));
        Assert.Equal(MemberTlsMode.VerifyFull, listener.MemberTls.Mode);
        Assert.Equal((2, ProxyProtocolVersion.V2), (listener.ProxyProtocolFrom.Length, listener.ProxyProtocolToMember));
        Assert.Equal((5.0, 40.0),
            (listener.MemberTuning.KeepAliveIdle.TotalSeconds, listener.MemberTuning.UserTimeout.TotalSeconds));
    }

    [Theory]
    [InlineData("role: primary", "role: boss", "listeners.write.role")]
    [InlineData("role: primary", "rule: primary", "listeners.write.role")]
    [InlineData("127.0.0.1:5000", "127.0.0.1", "listeners.write.listen")]
    [InlineData("127.0.0.1:5000", "unix:relative", "listeners.write.listen")]
    [InlineData("127.0.0.1:5000", "127.0.0.1:5001", "listeners.read.listen")]
    [InlineData("scope: demo", "scope: ''", "scope")]
    [InlineData("role: primary", "role: primary, hold_time: -1", "listeners.write.hold_time")]
    [InlineData("role: primary", "role: primary, replay: first_statement, move: off", "listeners.write.replay")]
    [InlineData("role: primary", "role: primary, tls: {mode: terminate}", "listeners.write.tls.certificate")]
    [InlineData(
        "role: primary", "role: primary, proxy_protocol: {from: nowhere}", "listeners.write.proxy_protocol.from")]
    [InlineData("admin:", "transport: pigeon\nadmin:", "transport")]
    [InlineData("admin:", "favor: me\nadmin:", "favor")]
    [InlineData("admin:", "timeouts: {connect: soon}\nadmin:", "timeouts.connect")]
    [InlineData("etcd3:", "etcd4:", "etcd3")]
    [InlineData("admin:", "rest: {hosts: 10.0.0.1}\nadmin:", "rest")]
    [InlineData("etcd3:\n  hosts: 127.0.0.1:2379", "rest: {}", "rest.hosts")]
    [InlineData("etcd3:\n  hosts: 127.0.0.1:2379", "rest: {hosts: '10.0.0.1:x'}", "rest.hosts")]
    [InlineData("etcd3:\n  hosts: 127.0.0.1:2379", "rest: {hosts: 10.0.0.1, interval: 0}", "rest.interval")]
    [InlineData("etcd3:\n  hosts: 127.0.0.1:2379", "rest: {hosts: 10.0.0.1, key: /k.pem}", "rest.key")]
    public void A_wrong_value_is_named_with_its_path(string old, string changed, string path)
    {
        var result = Load(Smallest.Replace(old, changed, StringComparison.Ordinal));

        Assert.Null(result.Settings);
        Assert.Contains(result.Errors, error => error.Path == path);
    }

    [Fact]
    public void The_agents_may_take_the_place_of_etcd()
    {
        const string Etcd = "etcd3:\n  hosts: 127.0.0.1:2379";
        var plain = Load(Smallest.Replace(Etcd, "rest: {hosts: 'a, b:9'}", StringComparison.Ordinal)).Settings!;
        Assert.Null(plain.Etcd);
        Assert.Equal(["http://a:8008/", "http://b:9/"], plain.Rest!.Endpoints.Select(one => one.ToString()));
        Assert.Equal(TimeSpan.FromSeconds(1), plain.Rest.Interval);

        var secure = Load(
            Smallest.Replace(Etcd, "rest: {hosts: [a, 'http://b'], cacert: /ca.pem, cert: /c.pem, interval: 0.5}",
                StringComparison.Ordinal),
            ("REST_KEY", "/k.pem")).Settings!.Rest!;
        Assert.Equal(["https://a:8008/", "http://b:8008/"], secure.Endpoints.Select(one => one.ToString()));
        Assert.Equal(("/ca.pem", "/c.pem", "/k.pem", 0.5),
            (secure.CaFile, secure.CertificateFile, secure.KeyFile, secure.Interval.TotalSeconds));
    }

    [Fact]
    public void An_unknown_key_is_a_warning_by_name()
    {
        var result = Load(Smallest + "colour: green\nlimits: {max_session: 3}\n");

        Assert.NotNull(result.Settings);
        Assert.Equal(["colour", "limits.max_session"], result.Warnings.Select(one => one.Path).Order());
    }

    private ProxySettingsResult Load(string text, params (string Name, string Value)[] variables)
    {
        var file = _directory["proxy.yml"];
        File.WriteAllText(file, text);
        return ProxySettingsReader.Load(file, SettingsEnvironment.From(
            ProxySettingsReader.Prefix,
            variables.Select(one => KeyValuePair.Create(ProxySettingsReader.Prefix + one.Name, one.Value))));
    }
}
