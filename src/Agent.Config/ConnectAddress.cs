using Routing.Cluster;
using Routing.Settings;

namespace Routing.Agent.Config;

/// <summary>The address that a member publishes: that of its REST API or of its server.</summary>
internal static class ConnectAddress
{
    /// <summary>An address that has to be there.</summary>
    public static HostPort Required(SectionReader section, string key)
    {
        if (!section.Has(key))
        {
            section.Ignore(key);
            section.Missing(key);
            return default;
        }
        WarnAmbiguous(section, key, SectionReader.ScalarText(section.Peek(key)) ?? "");
        return section.Address(key) ?? default;
    }

    /// <summary>The published address; where none is given, the one listened on, when that is a real one.</summary>
    public static HostPort Read(SectionReader section, string? listenHost, int listenPort)
    {
        if (section.Has("connect_address"))
        {
            WarnAmbiguous(section, "connect_address", SectionReader.ScalarText(section.Peek("connect_address")) ?? "");
            return section.Address("connect_address", listenPort > 0 ? listenPort : null) ?? default;
        }
        if (listenHost is null or "" or "*" or "0.0.0.0" or "::")
        {
            section.Ignore("connect_address");
            section.Missing("connect_address");
            return default;
        }
        return new HostPort(listenHost, listenPort);
    }

    /// <summary>Warns of an IPv6 address without brackets, whose last group is taken for the port.</summary>
    public static void WarnAmbiguous(SectionReader section, string key, string text)
    {
        if (HostPort.IsAmbiguous(text) && HostPort.TryParse(text, 0, out var read))
        {
            section.Warn(
                key, $"{text} is read as port {read.Port} of {read.Host}; [{text}]:PORT would be the whole address");
        }
    }
}
