namespace Routing.Dcs;

/// <summary>How to reach the agents' REST, for clients that may not reach the store.</summary>
public sealed record RestOptions
{
    /// <summary>
    /// Addresses such as <c>http://10.0.0.1:8008</c>; at least one. Members that an answer names are asked, too.
    /// </summary>
    public required IReadOnlyList<Uri> Endpoints { get; init; }

    /// <summary>PEM file with the authorities to trust; null: the system's.</summary>
    public string? CaFile { get; init; }

    /// <summary>PEM file with the client certificate (and perhaps its key).</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM file with the client key; null: it stands in <see cref="CertificateFile"/>.</summary>
    public string? KeyFile { get; init; }

    /// <summary>
    /// Time between two rounds of questions; while there is no leader, or the leader's agent is silent, 0.1 s at most.
    /// Default 1 s.
    /// </summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);
}
