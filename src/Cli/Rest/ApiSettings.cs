namespace Routing.Cli.Rest;

/// <summary>How to talk to the members' REST API.</summary>
internal sealed record ApiSettings
{
    /// <summary>User and password of basic authentication, or null.</summary>
    public (string Username, string Password)? Credentials { get; init; }

    /// <summary>PEM file with the authorities to trust; null: the system's.</summary>
    public string? CaFile { get; init; }

    /// <summary>PEM file with the client certificate, or null.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM file with the client key; null: it stands in <see cref="CertificateFile"/>.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Password of the client key, or null.</summary>
    public string? KeyPassword { get; init; }

    /// <summary>Take any server certificate. Default false.</summary>
    public bool Insecure { get; init; }
}
