using Routing.Proxy.Configuration;
using Routing.Settings;
using Routing.TestKit;

namespace Routing.Proxy.Tests.Configuration;

/// <summary>Every setting gets values of every type: each reading ends with an answer.</summary>
public sealed class OddSettingsTests
{
    private const string Everything = """
        scope: demo
        namespace: /service/
        etcd3: {hosts: "127.0.0.1:2379", protocol: http, username: u, password: p, cacert: /a, cert: /c, key: /k, srv: x.invalid}
        log: {level: INFO, type: json, format: [message], dir: /tmp, file_num: 1, file_size: 1, mode: 0600}
        transport: auto
        loops: 1
        favor: latency
        reuse_port: on
        broadcast_unknown_cancels: on
        limits: {max_sessions: 1, max_sessions_per_user: 1, max_pending: 1}
        timeouts: {startup: 1, tls: 1, connect: 1, answer: 1, retry: 1, retry_pause: 1, login: 1, cut_grace: 1, silence: 1,
          rest_grace: 1, fallback_stay: 1, boundary_grace: 1, linger: 1, cancel: 1, cancel_age: 1, drain: 1}
        admin: {listen: "127.0.0.1:8009"}
        listeners:
          write: {listen: "127.0.0.1:5000", role: primary}
          read: {listen: "unix:/tmp/s", role: synchronous, policy: random_of_two, max_lag: 1048576, zone: a, zone_tag: rack, tags: {kind: big},
            fallback: when_empty, max_sessions: 7, idle_timeout: 1.5, hold_time: 3, hold_queue: 9, logins_per_second: 11, replication: physical, move: off,
            add_client_address: yes, server_tls: {mode: verify_full, ca: /ca.pem, direct: on, hide_channel_binding: on},
            tls: {mode: terminate, certificate: /c.pem, key: /k.pem, client_certificates: required, ca: /ca.pem, required: on},
            proxy_protocol: {from: [10.0.0.0/8, 192.0.2.1], send: v2}, server_keepalive: {idle: 5, interval: 1, count: 3, user_timeout: 40},
            client_keepalive: {idle: 5, interval: 1, count: 3, user_timeout: 40}}
        """;

    private static readonly string[] s_values =
    [
        "null", "''", "' '", "0", "-1", "1", "65536", "99999999999999999999999999", "1.5", "1.0e+300", "1.0e+18",
        ".inf", ".nan", "true", "off", "[]", "{}", "[null]", "[[]]", "[{}]", "{a: b}", "{'': ''}", "'a\\b'", "\"\\0\"",
        "\"a\\nb\"", "\"\\uD800\"", "'*'", "'*:1'", "'[::]:1'", "'127.0.0.1, ::1:1'", "'[fe80::1%eth0]:1'", "':1'",
        "'a:'", "'a:b:c'", "'unix:'", "'unix:/'", "'http://u:p@h/'", "'10.0.0.0/99'", "'::/129'", "2024-01-01",
    ];

    [Fact]
    public void Whatever_stands_at_any_path()
    {
        var places = new OddPlaces(YamlText.ReadMapping(Everything, "everything").Root);
        var problems = new List<string>();

        foreach (var (path, value, whole) in
            from path in places.Paths from odd in places.With(path, s_values) select (path, odd.Text, odd.Whole))
        {
            try
            {
                var result = ProxySettingsReader.Load(null, SettingsEnvironment.From(ProxySettingsReader.Prefix,
                    [new($"{ProxySettingsReader.Prefix}{SettingsEnvironment.WholeConfiguration}", whole)]));
                Assert.All(result.Errors.Concat(result.Warnings), one => Assert.NotEmpty(one.ToString()));
                Assert.Equal(result.Errors.IsEmpty, result.Settings is not null);
            }
            catch (Exception problem)
            {
                problems.Add($"{path}: {value}: {problem.GetType().Name}: {problem.Message}");
            }
        }

        Assert.InRange(places.Paths.Count, 80, 500);
        Assert.Empty(problems);
    }
}
