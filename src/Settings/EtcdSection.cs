using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Settings;

/// <summary>Reads the <c>etcd3</c> section (or <c>etcd</c>, which means the same here) into what the store needs.</summary>
public static class EtcdSection
{
    private const int DefaultPort = 2379;

    private static readonly string[] s_otherStores = ["consul", "zookeeper", "exhibitor", "kubernetes", "raft"];

    private static readonly string[] s_places = ["host", "hosts", "url", "proxy"];

    /// <summary>Reads the section below <paramref name="root"/>; null, with the reason in the report, when there is none to use.</summary>
    public static EtcdOptions? Read(SectionReader root)
    {
        ArgumentNullException.ThrowIfNull(root);
        root.Ignore("etcd", "etcd3");
        root.Ignore(s_otherStores);
        var others = s_otherStores.Where(root.Has).ToList();
        if (!root.Has("etcd3") && !root.Has("etcd"))
        {
            if (others.Count > 0)
            {
                root.Wrong(others[0], "left out: only etcd (section etcd3) is supported as the DCS");
            }
            else
            {
                root.Missing("etcd3");
            }
            return null;
        }
        foreach (var other in others)
        {
            root.Warn(other, "has no effect: etcd is the DCS");
        }
        if (root.Has("etcd"))
        {
            root.Warn("etcd", root.Has("etcd3") ? "has no effect beside etcd3" : "is used with the protocol of etcd 3, like a section etcd3");
        }
        return ReadSection(root.Section(root.Has("etcd3") ? "etcd3" : "etcd"));
    }

    private static EtcdOptions? ReadSection(SectionReader section)
    {
        var scheme = section.Choice("protocol", ("http", false), ("https", true)) is true ? "https" : "http";
        var port = section.Number("port", 1, 65535) ?? DefaultPort;
        var username = section.Text("username");
        var password = section.Text("password");
        var proxy = Url(section, "proxy");
        var url = proxy ?? Url(section, "url");
        var hosts = Hosts(section, scheme, port);
        var host = section.Text("host") is { } text ? Endpoint(section, "host", text, scheme, port) : null;
        var srv = section.Text("srv");
        var srvSuffix = section.Text("srv_suffix");
        var useProxies = section.Boolean("use_proxies") ?? false;
        var caFile = section.Text("cacert");
        var certificateFile = section.Text("cert");
        var keyFile = section.Text("key");
        section.Ignore("version_prefix", "retry_timeout", "ttl");
        section.WarnUnknownKeys();

        ImmutableArray<Uri> endpoints = url is not null ? [WithoutUser(url)]
            : !hosts.IsEmpty ? hosts
            : host is not null ? [host]
            : [];
        if (endpoints.IsEmpty && srv is null)
        {
            if (!s_places.Any(section.Has))
            {
                section.Missing("hosts");
            }
            return null;
        }
        if (url is { UserInfo.Length: > 0 })
        {
            var parts = url.UserInfo.Split(':', 2);
            username = Uri.UnescapeDataString(parts[0]);
            password = parts.Length == 2 ? Uri.UnescapeDataString(parts[1]) : null;
        }
        if (keyFile is not null && certificateFile is null)
        {
            section.Wrong("key", "left out, or stand beside a cert");
        }
        return new EtcdOptions
        {
            Endpoints = endpoints,
            Username = username,
            Password = password,
            CaFile = caFile,
            CertificateFile = certificateFile,
            KeyFile = keyFile,
            UseProxies = useProxies || proxy is not null,
            DiscoverySrv = srv,
            DiscoverySrvSuffix = srvSuffix,
        };
    }

    private static ImmutableArray<Uri> Hosts(SectionReader section, string scheme, int port)
    {
        if (section.CommaList("hosts") is not { } texts)
        {
            return [];
        }
        if (texts.IsEmpty)
        {
            section.Wrong("hosts", "a list of host:port, or host:port separated by commas");
        }
        var isList = section.Any("hosts") is JsonArray;
        return
        [
            .. texts.Select((text, index) => Endpoint(
                    section, isList ? string.Create(CultureInfo.InvariantCulture, $"hosts[{index}]") : "hosts", text, scheme, port))
                .OfType<Uri>(),
        ];
    }

    private static Uri? Endpoint(SectionReader section, string key, string text, string scheme, int port)
    {
        if (text.Contains("://", StringComparison.Ordinal) && TryUrl(text, out var url))
        {
            return WithoutUser(url);
        }
        if (HostPort.TryParse(text, port, out var address)
            && Uri.TryCreate($"{scheme}://{address}", UriKind.Absolute, out var endpoint))
        {
            return endpoint;
        }
        var path = SettingsTree.Join(section.Path, key);
        section.Report.Error(new SettingsProblem(section.Tree.OriginOf(path), path, text, "must be host or host:port with a port from 1 to 65535"));
        return null;
    }

    private static Uri? Url(SectionReader section, string key)
    {
        if (section.Text(key) is not { } text)
        {
            return null;
        }
        if (TryUrl(text, out var url))
        {
            return url;
        }
        section.Wrong(key, "a URL such as http://user:password@host:2379");
        return null;
    }

    private static bool TryUrl(string text, out Uri url)
    {
        url = null!;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var parsed) || parsed.Host.Length == 0 || parsed.Scheme is not ("http" or "https"))
        {
            return false;
        }
        // A URL without a port means etcd's port here, not the web's.
        var authority = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..].Split('/', 2)[0];
        var afterUser = authority[(authority.LastIndexOf('@') + 1)..];
        var hasPort = afterUser.LastIndexOf(':') > afterUser.LastIndexOf(']');
        url = hasPort ? parsed : new UriBuilder(parsed) { Port = DefaultPort }.Uri;
        return true;
    }

    private static Uri WithoutUser(Uri url) => new($"{url.Scheme}://{url.Authority}");
}
