using System.Collections.Immutable;
using Routing.Cluster;

namespace Routing.Agent.Config;

/// <summary>A user name and a password for Basic authentication.</summary>
/// <param name="Username">The name.</param>
/// <param name="Password">The password.</param>
public sealed record BasicCredentials(string Username, string Password)
{
    /// <summary>Without the password.</summary>
    public override string ToString() => $"{nameof(BasicCredentials)} {{ Username = {Username} }}";
}

/// <summary>Whether clients of the REST interface have to show a certificate.</summary>
public enum ClientVerification
{
    /// <summary>Never.</summary>
    None,

    /// <summary>For methods that change something.</summary>
    Optional,

    /// <summary>Always.</summary>
    Required,
}

/// <summary>How much the <c>Server</c> header tells.</summary>
public enum ServerTokens
{
    /// <summary>Product and version of everything.</summary>
    Original,

    /// <summary>The product.</summary>
    ProductOnly,

    /// <summary>Product and version.</summary>
    Minimal,
}

/// <summary><c>restapi</c>.</summary>
public sealed record RestSettings
{
    /// <summary><c>listen</c>; the host may be <c>0.0.0.0</c>, <c>*</c> or <c>::</c>.</summary>
    public required HostPort Listen { get; init; }

    /// <summary><c>connect_address</c>: published in the member key as <c>api_url</c>.</summary>
    public required HostPort ConnectAddress { get; init; }

    /// <summary><c>authentication</c>, asked for by methods that change something; null: no authentication.</summary>
    public BasicCredentials? Authentication { get; init; }

    /// <summary><c>certfile</c>: PEM; TLS is on when it is given.</summary>
    public string? CertificateFile { get; init; }

    /// <summary><c>keyfile</c>: PEM; null: the key stands in the certificate's file.</summary>
    public string? KeyFile { get; init; }

    /// <summary><c>keyfile_password</c>.</summary>
    public string? KeyFilePassword { get; init; }

    /// <summary><c>cafile</c>: the authorities that client certificates must come from.</summary>
    public string? CaFile { get; init; }

    /// <summary><c>verify_client</c>. Default none.</summary>
    public ClientVerification VerifyClient { get; init; }

    /// <summary>
    /// <c>allowlist</c>: names, addresses and networks that may use methods that change something; empty: all.
    /// </summary>
    public ImmutableArray<string> AllowList { get; init; } = [];

    /// <summary><c>allowlist_include_members</c>: the members' own hosts may too. Default off.</summary>
    public bool AllowListIncludesMembers { get; init; }

    /// <summary><c>http_extra_headers</c>, and over them <c>https_extra_headers</c> when TLS is on.</summary>
    public ImmutableSortedDictionary<string, string> ExtraHeaders { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;

    /// <summary><c>request_queue_size</c>: connections waiting to be accepted. Default 5.</summary>
    public int RequestQueueSize { get; init; } = 5;

    /// <summary><c>server_tokens</c>. Default original.</summary>
    public ServerTokens ServerTokens { get; init; }

    /// <summary><c>http</c> or <c>https</c>.</summary>
    public string Scheme => CertificateFile is null ? "http" : "https";

    /// <summary>What the member key publishes as <c>api_url</c>.</summary>
    public string ApiUrl => $"{Scheme}://{ConnectAddress}/patroni";
}

/// <summary><c>ctl</c>: how this agent (and a command-line tool with the same file) speaks to members' REST.</summary>
public sealed record CtlSettings
{
    /// <summary><c>authentication</c>. Default: that of <c>restapi</c>.</summary>
    public BasicCredentials? Authentication { get; init; }

    /// <summary><c>insecure</c>: don't verify the server's certificate. Default off.</summary>
    public bool Insecure { get; init; }

    /// <summary><c>cacert</c>. Default: <c>restapi.cafile</c>.</summary>
    public string? CaFile { get; init; }

    /// <summary><c>certfile</c>: PEM with the client certificate.</summary>
    public string? CertificateFile { get; init; }

    /// <summary><c>keyfile</c>.</summary>
    public string? KeyFile { get; init; }

    /// <summary><c>keyfile_password</c>.</summary>
    public string? KeyFilePassword { get; init; }
}
