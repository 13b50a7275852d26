using System.Diagnostics.CodeAnalysis;
using Routing.Cluster;

namespace Routing.Driver.Settings;

/// <summary>Addresses as people write them: <c>host:port</c>, or a URL.</summary>
internal static class EndpointText
{
    public const int EtcdPort = 2379;
    public const int RestPort = 8008;

    public static bool TryParse(string text, string scheme, int defaultPort, [NotNullWhen(true)] out Uri? endpoint)
    {
        endpoint = null;
        if (text.Contains("://", StringComparison.Ordinal))
        {
            var rest = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..].TrimEnd('/');
            scheme = text[..text.IndexOf("://", StringComparison.Ordinal)];
            text = rest;
        }
        return scheme is "http" or "https"
            && !text.AsSpan().ContainsAny("/?#@ ")
            && HostPort.TryParse(text, defaultPort, out var address)
            && Uri.TryCreate($"{scheme}://{address}", UriKind.Absolute, out endpoint);
    }

    /// <summary>
    /// The text without what stands ahead of an @: it may hold a password, which has no place in a message.
    /// </summary>
    public static string WithoutSecrets(string text)
    {
        var start = text.IndexOf("://", StringComparison.Ordinal) is >= 0 and var at ? at + 3 : 0;
        return text.LastIndexOf('@') is var end && end >= start ? $"{text[..start]}…{text[end..]}" : text;
    }

    /// <summary>All of them; https where no scheme is given and an authority to trust is named.</summary>
    public static IReadOnlyList<Uri> ParseAll(IEnumerable<string> texts, string? caFile, int defaultPort) =>
    [
        .. texts.Select(text => TryParse(text, caFile is null ? "http" : "https", defaultPort, out var endpoint)
            ? endpoint
            : throw new FormatException($"'{WithoutSecrets(text)}' is neither host:port nor an http or https URL.")),
    ];
}
