using System.Collections.Immutable;
using System.Net;
using Routing.Proxy.Tls;
using Routing.Proxy.Transport;

namespace Routing.Proxy.Sessions;

/// <summary>How the sessions of one listener are treated. Immutable: a reload brings a new one for new sessions.</summary>
internal sealed record ListenerSettings
{
    /// <summary>Its name, such as <c>write</c>: the one that the router knows it by, and its label in metrics.</summary>
    public required string Name { get; init; }

    /// <summary>Sessions that it may have at once; 0 (the default): no limit of its own.</summary>
    public int MaximumSessions { get; init; }

    /// <summary>
    /// A session in which no byte moved for this long, and which is at rest, is ended with 57P05. Zero (the default): never.
    /// A running query, an open transaction and replication are never idle.
    /// </summary>
    public TimeSpan IdleTimeout { get; init; }

    /// <summary>Which kinds of replication it serves. Default both; a read listener should have none unless its user asked for it.</summary>
    public ReplicationAccess Replication { get; init; } = ReplicationAccess.Physical | ReplicationAccess.Logical;

    /// <summary>Encryption on the client's side. Default off: <c>SSLRequest</c> is answered with <c>N</c>.</summary>
    public ClientTlsSettings Tls { get; init; } = ClientTlsSettings.Off;

    /// <summary>Encryption on the member's side. Default off. Not used with <see cref="ClientTlsMode.PassThrough"/>.</summary>
    public MemberTlsSettings MemberTls { get; init; } = MemberTlsSettings.Off;

    /// <summary>
    /// Networks whose connections must begin with a PROXY header (v1 or v2); connections from elsewhere are refused then.
    /// Empty (the default): no header is expected from anybody.
    /// </summary>
    public ImmutableArray<IPNetwork> ProxyProtocolFrom { get; init; } = [];

    /// <summary>
    /// The PROXY header that is sent to members ahead of everything else. Default none. PostgreSQL itself does not understand
    /// it and drops the connection: use it only where something between proxy and server takes it off again.
    /// </summary>
    public ProxyProtocolVersion ProxyProtocolToMember { get; init; }

    /// <summary>
    /// Adds the client's address to <c>application_name</c> (<c>name [10.0.0.7:5123]</c>), cut to PostgreSQL's 63 bytes.
    /// Default no: the start-up message is then relayed byte for byte.
    /// </summary>
    public bool AddClientAddress { get; init; }

    /// <summary>Socket options of clients' connections. Default: keepalive 30 s + 3 × 10 s, user timeout 60 s.</summary>
    public SocketTuning ClientTuning { get; init; } =
        new(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(10), 3, TimeSpan.FromSeconds(60));

    /// <summary>Socket options of connections to members. Default: keepalive 10 s + 3 × 3 s, user timeout 30 s.</summary>
    /// <remarks>
    /// The user timeout also counts the time in which a live peer does not read, on kernels since 5.11: below 30 s it may cut
    /// a healthy session whose server waits for a lock in the middle of a <c>COPY</c>.
    /// </remarks>
    public SocketTuning MemberTuning { get; init; } =
        new(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(3), 3, TimeSpan.FromSeconds(30));
}
