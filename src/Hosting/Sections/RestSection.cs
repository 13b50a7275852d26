using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Dcs;
using Routing.Settings;

namespace Routing.Hosting.Sections;

/// <summary>Reads the <c>rest</c> section of a router: the agents to ask, where etcd may not be reached.</summary>
public static class RestSection
{
    private const int DefaultPort = 8008;
    private const double ShortestInterval = 0.1;
    private const double LongestInterval = 60;

    /// <summary>
    /// Reads the section below <paramref name="root"/>; null, with the reason in the report, when it is not usable.
    /// </summary>
    public static RestOptions? Read(SectionReader root)
    {
        ArgumentNullException.ThrowIfNull(root);
        var section = root.Section("rest");
        var caFile = section.Text("cacert");
        var certificateFile = section.Text("cert");
        var keyFile = section.Text("key");
        // A section that names an authority means TLS.
        var isSecure = section.Choice("protocol", ("http", false), ("https", true)) ?? caFile is not null;
        var hosts = new EndpointReader(section, isSecure ? "https" : "http", DefaultPort, DefaultPort).List("hosts");
        var interval = Interval(section);
        if (!section.Has("hosts"))
        {
            section.Missing("hosts");
        }
        if (keyFile is not null && certificateFile is null)
        {
            section.Wrong("key", "left out, or stand beside a cert");
        }
        section.WarnUnknownKeys();
        var options = new RestOptions { Endpoints = hosts, CaFile = caFile, CertificateFile = certificateFile,
            KeyFile = keyFile };
        return hosts.IsEmpty ? null : options with { Interval = interval ?? options.Interval };
    }

    private static TimeSpan? Interval(SectionReader section)
    {
        if (section.Any("interval") is not { } node)
        {
            return null;
        }
        if (node is JsonValue
            && double.TryParse(SectionReader.ScalarText(node), NumberStyles.AllowDecimalPoint,
                CultureInfo.InvariantCulture, out var seconds)
            && seconds is >= ShortestInterval and <= LongestInterval)
        {
            return TimeSpan.FromSeconds(seconds);
        }
        section.Wrong("interval",
            string.Create(CultureInfo.InvariantCulture, $"seconds from {ShortestInterval} to {LongestInterval}"));
        return null;
    }
}
