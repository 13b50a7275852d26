using System.Collections.Immutable;
using Routing.Settings;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary>The section <c>restapi</c>.</summary>
internal static class RestApiSection
{
    /// <summary>Reads the section and warns of keys that it does not know.</summary>
    public static RestSettings Read(SectionReader rest)
    {
        var listen = ConnectAddress.Required(rest, "listen");
        var connect = rest.Has("connect_address") || rest.Has("listen")
            ? ConnectAddress.Read(rest, listen.Host, listen.Port)
            : ConnectAddress.Required(rest, "connect_address");
        var plainHeaders = rest.TextMap("http_extra_headers", StringComparer.OrdinalIgnoreCase);
        var secureHeaders = rest.TextMap("https_extra_headers", StringComparer.OrdinalIgnoreCase);
        var certificate = rest.Text("certfile");
        CheckHeaders(rest, "http_extra_headers", plainHeaders);
        CheckHeaders(rest, "https_extra_headers", secureHeaders);
        var headers =
            plainHeaders ?? ImmutableSortedDictionary.Create<string, string>(StringComparer.OrdinalIgnoreCase);
        var settings = new RestSettings
        {
            Listen = listen,
            ConnectAddress = connect,
            Authentication = CredentialsSection.Read(rest),
            CertificateFile = certificate,
            KeyFile = rest.Text("keyfile"),
            KeyFilePassword = rest.Text("keyfile_password"),
            CaFile = rest.Text("cafile"),
            VerifyClient = rest.Choice(
                "verify_client", ("none", ClientVerification.None), ("optional", ClientVerification.Optional),
                ("required", ClientVerification.Required)) ?? ClientVerification.None,
            AllowList = ReadAllowList(rest),
            AllowListIncludesMembers = rest.Boolean("allowlist_include_members") ?? false,
            ExtraHeaders =
                certificate is not null && secureHeaders is not null ? headers.SetItems(secureHeaders) : headers,
            RequestQueueSize = rest.Number("request_queue_size", 0, 4096) ?? 5,
            ServerTokens = rest.Choice(
                "server_tokens", ("minimal", ServerTokens.Minimal), ("productonly", ServerTokens.ProductOnly),
                ("original", ServerTokens.Original)) ?? ServerTokens.Original,
        };
        PostgresSectionReader.WithoutEffect(rest, "thread_pool_size", "there is no pool to size");
        PostgresSectionReader.WithoutEffect(
            rest, "ciphers", "the system's OpenSSL policy decides which ciphers are offered");
        rest.WarnUnknownKeys();
        return settings;
    }

    /// <summary>A header that HTTP does not allow would break every answer.</summary>
    private static void CheckHeaders(SectionReader rest, string key, ImmutableSortedDictionary<string, string>? headers)
    {
        foreach (var (name, value) in headers ?? ImmutableSortedDictionary<string, string>.Empty)
        {
            if (name.Length == 0
                || name.Any(
                    letter => !char.IsAsciiLetterOrDigit(letter)
                        && !"!#$%&'*+-.^_`|~".Contains(letter, StringComparison.Ordinal))
                || name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)
                || name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
            {
                rest.Wrong(
                    key, $"the names of headers that HTTP knows and that the agent does not set itself, not '{name}'");
            }
            if (value.Any(letter => letter is < ' ' or > '~'))
            {
                rest.Wrong(key, $"plain ASCII texts; that of {name} is not");
            }
        }
    }

    private static ImmutableArray<string> ReadAllowList(SectionReader rest)
    {
        var entries = rest.CommaList("allowlist") ?? [];
        foreach (var entry in entries.Where(
            entry => entry.Contains('/', StringComparison.Ordinal) && !NetworkText.TryParse(entry, out _)))
        {
            rest.Wrong("allowlist", $"names, addresses, and networks such as 10.0.0.0/8, not '{entry}'");
        }
        return entries;
    }
}
