using System.Collections.Immutable;
using Routing.Dcs;
using Routing.Hosting.Discovery;
using Routing.Settings;

namespace Routing.Hosting.Sections;

/// <summary>
/// Reads the <c>etcd3</c> section (or <c>etcd</c>, which means the same here) into what the store needs.
/// </summary>
public static class EtcdSection
{
    private const int DefaultPort = 2379;

    private static readonly string[] s_otherStores = ["consul", "zookeeper", "exhibitor", "kubernetes", "raft"];

    private static readonly string[] s_places = ["host", "hosts", "url", "proxy"];

    /// <summary>
    /// Reads the section below <paramref name="root"/>; null, with the reason in the report, when there is none to use.
    /// </summary>
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
            root.Warn("etcd", root.Has("etcd3")
                ? "has no effect beside etcd3"
                : "is used with the protocol of etcd 3, like a section etcd3");
        }
        return ReadSection(root.Section(root.Has("etcd3") ? "etcd3" : "etcd"));
    }

    private static EtcdOptions? ReadSection(SectionReader section)
    {
        var scheme = section.Choice("protocol", ("http", false), ("https", true)) is true ? "https" : "http";
        var port = section.Number("port", 1, 65535) ?? DefaultPort;
        var username = section.Text("username");
        var password = section.Text("password");
        var addresses = new EndpointReader(section, scheme, port, DefaultPort);
        var proxy = addresses.Url("proxy");
        var url = proxy ?? addresses.Url("url");
        var hosts = addresses.List("hosts");
        var host = addresses.One("host");
        var srv = section.Text("srv");
        var srvSuffix = section.Text("srv_suffix");
        var useProxies = section.Boolean("use_proxies") ?? false;
        var caFile = section.Text("cacert");
        var certificateFile = section.Text("cert");
        var keyFile = section.Text("key");
        section.WarnUnknownKeys();

        ImmutableArray<Uri> endpoints = url is not null ? [EndpointReader.WithoutUser(url)]
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
            Source = srv is null ? null : new SrvEndpoints(srv, srvSuffix),
        };
    }
}
