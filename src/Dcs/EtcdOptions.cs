namespace Routing.Dcs;

/// <summary>How to reach etcd: the <c>etcd3</c> section of a configuration.</summary>
public sealed record EtcdOptions
{
    /// <summary>Endpoints such as <c>http://10.0.0.1:2379</c>; at least one (or <see cref="Source"/>).</summary>
    public required IReadOnlyList<Uri> Endpoints { get; init; }

    /// <summary>User name, or null for no authentication.</summary>
    public string? Username { get; init; }

    /// <summary>Password of <see cref="Username"/>.</summary>
    public string? Password { get; init; }

    /// <summary>PEM file with the authorities to trust; null: the system's.</summary>
    public string? CaFile { get; init; }

    /// <summary>PEM file with the client certificate (and perhaps its key).</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM file with the client key; null: it stands in <see cref="CertificateFile"/>.</summary>
    public string? KeyFile { get; init; }

    /// <summary>The endpoints are proxies: do not ask for the members' own addresses.</summary>
    public bool UseProxies { get; init; }

    /// <summary>Where endpoints are found while <see cref="Endpoints"/> is empty, or null.</summary>
    public IEndpointSource? Source { get; init; }

    /// <summary>
    /// The longest that one operation may take with all its retries (<c>retry_timeout</c>). Default 10 s.
    /// </summary>
    public TimeSpan OperationTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Reads the certificate files, as the first connection will.</summary>
    /// <exception cref="ClusterStoreException">A file can't be used; it says which.</exception>
    public void CheckCertificates() => TlsFiles.Read(CaFile, CertificateFile, KeyFile);
}
