using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Settings;

namespace Routing.Hosting.Sections;

/// <summary>Reads addresses as a section has them: host, host:port or a URL.</summary>
/// <param name="section">The section.</param>
/// <param name="scheme">For an address without one.</param>
/// <param name="port">For an address without one.</param>
/// <param name="urlPort">For a URL without one: not the web's.</param>
internal sealed class EndpointReader(SectionReader section, string scheme, int port, int urlPort)
{
    /// <summary>
    /// A list of them under a key; empty, with the reason in the report unless the key is missing, when there is none.
    /// </summary>
    public ImmutableArray<Uri> List(string key)
    {
        if (section.CommaList(key) is not { } texts)
        {
            return [];
        }
        if (texts.IsEmpty)
        {
            section.Wrong(key, "a list of host:port, or host:port separated by commas");
        }
        var isList = section.Any(key) is JsonArray;
        return
        [
            .. texts.Select(
                (text, index) => Parse(isList ? string.Create(CultureInfo.InvariantCulture, $"{key}[{index}]") : key,
                    text)).OfType<Uri>(),
        ];
    }

    /// <summary>One of them under a key; null when it is missing or, with the reason in the report, wrong.</summary>
    public Uri? One(string key) => section.Text(key) is { } text ? Parse(key, text) : null;

    /// <summary>
    /// A URL, perhaps with a user, under a key; null when it is missing or, with the reason in the report, wrong.
    /// </summary>
    public Uri? Url(string key)
    {
        if (section.Text(key) is not { } text)
        {
            return null;
        }
        if (TryUrl(text, out var url))
        {
            return url;
        }
        section.Wrong(
            key, string.Create(CultureInfo.InvariantCulture, $"a URL such as http://user:password@host:{urlPort}"));
        return null;
    }

    /// <summary>Scheme, host and port alone.</summary>
    public static Uri WithoutUser(Uri url) => new($"{url.Scheme}://{url.Authority}");

    private Uri? Parse(string key, string text)
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
        section.Report.Error(new SettingsProblem(
            section.Tree.OriginOf(path), path, text, "must be host or host:port with a port from 1 to 65535"));
        return null;
    }

    private bool TryUrl(string text, out Uri url)
    {
        url = null!;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var parsed) || parsed.Host.Length == 0
            || parsed.Scheme is not ("http" or "https"))
        {
            return false;
        }
        var authority = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..].Split('/', 2)[0];
        var afterUser = authority[(authority.LastIndexOf('@') + 1)..];
        var hasPort = afterUser.LastIndexOf(':') > afterUser.LastIndexOf(']');
        url = hasPort ? parsed : new UriBuilder(parsed) { Port = urlPort }.Uri;
        return true;
    }
}
