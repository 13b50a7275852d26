using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Hosting.Logging;
using Routing.Hosting.Sections;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;
using Routing.Settings;

namespace Routing.Proxy.Configuration;

/// <summary>What reading gave: the settings, or why there are none.</summary>
/// <param name="Settings">Null when there are errors.</param>
/// <param name="Warnings">What has no effect.</param>
/// <param name="Errors">What is wrong: file, path, value, what is allowed.</param>
internal sealed record ProxySettingsResult(
    ProxySettings? Settings, ImmutableArray<SettingsProblem> Warnings, ImmutableArray<SettingsProblem> Errors);

/// <summary>Reads a proxy's YAML file with <c>ROUTING_PROXY_*</c> variables over it.</summary>
internal static class ProxySettingsReader
{
    /// <summary>The prefix of the variables.</summary>
    public const string Prefix = "ROUTING_PROXY_";

    private static readonly ImmutableArray<EnvironmentVariable> s_schema =
    [
        .. EnvironmentSchema.Common,
        new("LISTENERS", "listeners", EnvironmentKind.Map),
        new("LIMITS", "limits", EnvironmentKind.Map),
        new("TIMEOUTS", "timeouts", EnvironmentKind.Map),
        new("REST_HOSTS", "rest.hosts", EnvironmentKind.List), new("REST_PROTOCOL", "rest.protocol"),
        new("REST_CACERT", "rest.cacert"),
        new("REST_CERT", "rest.cert"), new("REST_KEY", "rest.key"), new("REST_INTERVAL", "rest.interval"),
        new("AUTH_QUERY_USER", "auth_query.user"), new("AUTH_QUERY_PASSWORD", "auth_query.password"),
        new("ADMIN_LISTEN", "admin.listen"),
        new("TRANSPORT", "transport"),
        new("LOOPS", "loops"),
        new("FAVOR", "favor"),
        new("REUSE_PORT", "reuse_port"),
        new("TAKE_OVER", "take_over"),
        new("BROADCAST_UNKNOWN_CANCELS", "broadcast_unknown_cancels"),
        new("LOG_TYPE", "log.type"), new("LOG_LEVEL", "log.level"), new("LOG_DIR", "log.dir"),
    ];

    /// <summary>Reads and checks every value.</summary>
    public static ProxySettingsResult Load(string? path, SettingsEnvironment environment)
    {
        var report = new SettingsReport();
        var tree = SettingsLoader.Load(path, environment, s_schema, report);
        var settings = report.Errors.IsEmpty ? Read(new SectionReader(tree, report)) : null;
        return new ProxySettingsResult(report.Errors.IsEmpty ? settings : null, report.Warnings, report.Errors);
    }

    private static ProxySettings Read(SectionReader root)
    {
        var timeouts = root.Section("timeouts");
        var limits = root.Section("limits");
        var admin = root.Section("admin");
        var defaults = new SessionSettings();
        var sessions = new SessionSettings
        {
            MaximumSessions = limits.Number("max_sessions", 0) ?? defaults.MaximumSessions,
            MaximumSessionsPerUser = limits.Number("max_sessions_per_user", 0) ?? defaults.MaximumSessionsPerUser,
            MaximumPending = limits.Number("max_pending", 1) ?? defaults.MaximumPending,
            StartupTimeout = Time(timeouts, "startup", 0.1) ?? defaults.StartupTimeout,
            TlsTimeout = Time(timeouts, "tls", 0.1) ?? defaults.TlsTimeout,
            ConnectTimeout = Time(timeouts, "connect", 0.05) ?? defaults.ConnectTimeout,
            AnswerTimeout = Time(timeouts, "answer", 0.05) ?? defaults.AnswerTimeout,
            StateTimeout = Time(timeouts, "state", 0.05) ?? defaults.StateTimeout,
            RetryTime = Time(timeouts, "retry", 0) ?? defaults.RetryTime,
            RetryPause = Time(timeouts, "retry_pause", 0.001) ?? defaults.RetryPause,
            LoginTimeout = Time(timeouts, "login", 1) ?? defaults.LoginTimeout,
            CutGrace = Time(timeouts, "cut_grace", 0) ?? defaults.CutGrace,
            RestGrace = Time(timeouts, "rest_grace", 0) ?? defaults.RestGrace,
            SilenceTime = Time(timeouts, "silence", 0) ?? defaults.SilenceTime,
            FallbackStay = Time(timeouts, "fallback_stay", 0) ?? defaults.FallbackStay,
            BoundaryGrace = Time(timeouts, "boundary_grace", 0) ?? defaults.BoundaryGrace,
            Linger = Time(timeouts, "linger", 0) ?? defaults.Linger,
            CancelTimeout = Time(timeouts, "cancel", 0.1) ?? defaults.CancelTimeout,
            CancelMaximumAge = Time(timeouts, "cancel_age", 0.1) ?? defaults.CancelMaximumAge,
            AuthQuery = root.Has("auth_query") ? ReadAuthQuery(root.Section("auth_query")) : null,
            BroadcastUnknownCancels = root.Boolean("broadcast_unknown_cancels") ?? defaults.BroadcastUnknownCancels,
        };
        var (etcd, rest) = ReadSource(root);
        var settings = new ProxySettings
        {
            Scope = root.RequiredText("scope"),
            Namespace = root.Text("namespace") ?? "/service",
            Etcd = etcd,
            Rest = rest,
            Log = LogSection.Read(root.Section("log")) with { FileName = "routing-proxy.log" },
            Sessions = sessions,
            Listeners = ReadListeners(root, admin.Address("listen")),
            Admin = admin.Address("listen"),
            Transport =
                root.Choice("transport", [.. ProxySettings.Transports.Select(name => (name, new Word(name)))])?.Text
                    ?? "auto",
            Loops = root.Number("loops", 0, 64) ?? 0,
            Favor =
                root.Choice("favor", [("latency", Favor.Latency), ("throughput", Favor.Throughput)]) ?? Favor.Latency,
            ReusePort = root.Boolean("reuse_port") ?? false,
            DrainTime = Time(timeouts, "drain", 0) ?? TimeSpan.FromSeconds(30),
            TakeOver = ReadTakeOver(root),
            TakeOverTime = Time(timeouts, "take_over", 0) ?? TimeSpan.FromSeconds(5),
        };
        timeouts.WarnUnknownKeys();
        limits.WarnUnknownKeys();
        admin.WarnUnknownKeys();
        root.WarnUnknownKeys();
        return settings;
    }

    private static string? ReadTakeOver(SectionReader root)
    {
        const int LongestPath = 107;
        var path = root.Text("take_over");
        if (path is null)
        {
            // systemd may name several, and makes them before the process begins
            return Environment.GetEnvironmentVariable("RUNTIME_DIRECTORY") is { Length: > 0 } directories
                ? Path.Combine(directories.Split(':')[0], "take-over.sock")
                : null;
        }
        if (!path.StartsWith('/') || Encoding.UTF8.GetByteCount(path) > LongestPath)
        {
            root.Wrong("take_over", $"an absolute path of at most {LongestPath} bytes");
        }
        return path;
    }

    private static AuthQuery? ReadAuthQuery(SectionReader section)
    {
        var query = new AuthQuery(
            section.RequiredText("user"), section.Text("password"), section.Text("database") ?? "postgres");
        section.WarnUnknownKeys();
        return query;
    }

    // Exactly one of the two: both could contradict each other.
    private static (EtcdOptions?, RestOptions?) ReadSource(SectionReader root)
    {
        if (!root.Has("rest"))
        {
            return (EtcdSection.Read(root), null);
        }
        if (root.Has("etcd3") || root.Has("etcd"))
        {
            root.Wrong("rest", "left out beside etcd3: the topology comes from one of both");
        }
        root.Ignore("etcd", "etcd3");
        return (null, RestSection.Read(root));
    }

    private static ImmutableArray<ListenerConfig> ReadListeners(SectionReader root, HostPort? admin)
    {
        var section = root.Section("listeners");
        var all = ImmutableArray.CreateBuilder<ListenerConfig>();
        foreach (var name in section.Keys.ToList())
        {
            if (ReadListener(name, section.Section(name)) is { } listener)
            {
                if (all.FirstOrDefault(one => one.Address.Overlaps(listener.Address)) is { } other)
                {
                    section.Section(name).Wrong(
                        "listen", $"an address that the listener {other.Name} does not have already ({other.Address})");
                }
                if (admin is { } port && listener.Address.Overlaps(new ListenAddress(port, null)))
                {
                    section.Section(name).Wrong("listen", $"another address than that of the admin port ({port})");
                }
                all.Add(listener);
            }
        }
        if (all.Count == 0 && !section.Keys.Any())
        {
            root.Missing("listeners");
        }
        return all.ToImmutable();
    }

    private static ListenerConfig? ReadListener(string name, SectionReader section)
    {
        ListenAddress? address = null;
        if (section.RequiredText("listen") is { Length: > 0 } text && !ListenAddress.TryParse(text, out address))
        {
            section.Wrong("listen", "host:port with a port from 0 (a free one) to 65535, or unix:/path");
        }
        if (address is { Tcp.Port: 0 })
        {
            address = address with { Distinction = name };
        }
        if (!section.Has("role"))
        {
            section.Missing("role");
        }
        var role = section.Choice(
            "role", ("primary", WantedRole.Primary), ("replica", WantedRole.Replica), ("any", WantedRole.Any),
            ("synchronous", WantedRole.Synchronous), ("prefer_replica", WantedRole.PreferReplica),
            ("prefer_primary", WantedRole.PreferPrimary))
            ?? WantedRole.Primary;
        var request = new HostRequest
        {
            Role = role,
            Policy = section.Choice(
                "policy", ("least_connections", HostPolicy.LeastConnections), ("round_robin", HostPolicy.RoundRobin),
                ("random_of_two", HostPolicy.RandomOfTwo)) ?? HostPolicy.LeastConnections,
            MaximumLagBytes = section.Whole("max_lag", 0),
            Zone = section.Text("zone"),
            ZoneTag = section.Text("zone_tag") ?? "zone",
            RequiredTags = [.. section.TextMap("tags") ?? ImmutableSortedDictionary<string, string>.Empty],
            Fallback = section.Choice(
                "fallback", ("never", LeaderFallback.Never), ("when_empty", LeaderFallback.WhenEmpty),
                ("always", LeaderFallback.Always))
                ?? LeaderFallback.Never,
        };
        var servesWrites = role is WantedRole.Primary or WantedRole.PreferPrimary or WantedRole.Any;
        var proxyProtocol = section.Section("proxy_protocol");
        var defaults =
            new ListenerConfig { Name = name, Address = address ?? ListenAddress.Unknown, Request = request };
        var listener = defaults with
        {
            HoldTime = Time(section, "hold_time", 0) ?? defaults.HoldTime,
            HoldQueue = section.Number("hold_queue", 0) ?? defaults.HoldQueue,
            LoginsPerSecond = section.Number("logins_per_second", 1) ?? defaults.LoginsPerSecond,
            MovesPerSecond = section.Number("moves_per_second", 1) ?? defaults.MovesPerSecond,
            MaximumSessions = section.Number("max_sessions", 0) ?? 0,
            IdleTimeout = Time(section, "idle_timeout", 0) ?? TimeSpan.Zero,
            Replication = section.Choice(
                "replication", ("none", ReplicationAccess.None), ("physical", ReplicationAccess.Physical),
                ("logical", ReplicationAccess.Logical),
                ("all", ReplicationAccess.Physical | ReplicationAccess.Logical))
                ?? (servesWrites ? ReplicationAccess.Physical | ReplicationAccess.Logical : ReplicationAccess.None),
            Move = section.Choice(
                "move", ("off", MoveMode.Off), ("clean", MoveMode.Clean), ("carry", MoveMode.Carry),
                ("assume_clean", MoveMode.AssumeClean))
                ?? defaults.Move,
            Replay = section.Choice("replay", ("off", ReplayMode.Off), ("first_statement", ReplayMode.FirstStatement))
                ?? defaults.Replay,
            Tls = ReadTls(section.Section("tls")),
            MemberTls = ReadMemberTls(section.Section("server_tls")),
            ProxyProtocolFrom = ReadNetworks(proxyProtocol),
            ProxyProtocolToMember =
                proxyProtocol.Choice("send", ("v1", ProxyProtocolVersion.V1), ("v2", ProxyProtocolVersion.V2))
                    ?? ProxyProtocolVersion.None,
            AddClientAddress = section.Boolean("add_client_address") ?? false,
            ClientTuning = ReadTuning(section.Section("client_keepalive"), defaults.ClientTuning),
            MemberTuning = ReadTuning(section.Section("server_keepalive"), defaults.MemberTuning),
        };
        if (listener is { Move: MoveMode.Off, Replay: not ReplayMode.Off })
        {
            section.Wrong("replay", "off where move is off: a statement is repeated by a session that moves");
        }
        proxyProtocol.WarnUnknownKeys();
        section.WarnUnknownKeys();
        return address is null ? null : listener;
    }

    private static SocketTuning ReadTuning(SectionReader section, SocketTuning defaults)
    {
        var tuning = new SocketTuning(
            Time(section, "idle", 0) ?? defaults.KeepAliveIdle,
            Time(section, "interval", 0) ?? defaults.KeepAliveInterval,
            section.Number("count", 1, 127) ?? defaults.KeepAliveCount,
            Time(section, "user_timeout", 0) ?? defaults.UserTimeout);
        section.WarnUnknownKeys();
        return tuning;
    }

    private static ClientTlsSettings ReadTls(SectionReader section)
    {
        var settings = new ClientTlsSettings
        {
            Mode = section.Choice(
                "mode", ("off", ClientTlsMode.Off), ("pass_through", ClientTlsMode.PassThrough),
                ("terminate", ClientTlsMode.Terminate))
                ?? ClientTlsMode.Off,
            Required = section.Boolean("required") ?? false,
            CertificateFile = section.Text("certificate"),
            KeyFile = section.Text("key"),
            ClientCertificates = section.Choice(
                "client_certificates", ("ignored", ClientCertificates.Ignored),
                ("optional", ClientCertificates.Optional),
                ("required", ClientCertificates.Required)) ?? ClientCertificates.Ignored,
            ClientAuthorityFile = section.Text("ca"),
        };
        if (settings.Mode == ClientTlsMode.Terminate && settings.CertificateFile is null)
        {
            section.Missing("certificate");
        }
        if (settings.ClientCertificates != ClientCertificates.Ignored && settings.ClientAuthorityFile is null)
        {
            section.Missing("ca");
        }
        section.WarnUnknownKeys();
        return settings;
    }

    private static MemberTlsSettings ReadMemberTls(SectionReader section)
    {
        var settings = new MemberTlsSettings
        {
            Mode = section.Choice(
                "mode", ("off", MemberTlsMode.Off), ("require", MemberTlsMode.Require),
                ("verify_ca", MemberTlsMode.VerifyCa),
                ("verify_full", MemberTlsMode.VerifyFull)) ?? MemberTlsMode.Off,
            Direct = section.Boolean("direct") ?? false,
            HideChannelBinding = section.Boolean("hide_channel_binding") ?? true,
            AuthorityFile = section.Text("ca"),
            CertificateFile = section.Text("certificate"),
            KeyFile = section.Text("key"),
        };
        section.WarnUnknownKeys();
        return settings;
    }

    private static ImmutableArray<IPNetwork> ReadNetworks(SectionReader section)
    {
        var networks = ImmutableArray.CreateBuilder<IPNetwork>();
        foreach (var text in section.CommaList("from") ?? [])
        {
            if (IPNetwork.TryParse(text, out var network))
            {
                networks.Add(network);
            }
            else if (IPAddress.TryParse(text, out var address))
            {
                networks.Add(new IPNetwork(address, address.GetAddressBytes().Length * 8));
            }
            else
            {
                section.Wrong("from", "networks such as 10.0.0.0/8, or addresses");
            }
        }
        return networks.ToImmutable();
    }

    // Seconds, with a fraction where it is wanted.
    private static TimeSpan? Time(SectionReader section, string key, double minimum)
    {
        const double Longest = 7 * 24 * 3600;
        if (section.Any(key) is not { } node)
        {
            return null;
        }
        if (node is JsonValue
            && double.TryParse(SectionReader.ScalarText(node), NumberStyles.AllowDecimalPoint,
                CultureInfo.InvariantCulture, out var seconds)
            && seconds >= minimum && seconds <= Longest)
        {
            return TimeSpan.FromSeconds(seconds);
        }
        section.Wrong(key, string.Create(CultureInfo.InvariantCulture, $"seconds from {minimum} to {Longest}"));
        return null;
    }

    private readonly record struct Word(string Text);
}
