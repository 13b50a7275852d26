using System.Collections.Immutable;
using System.Net;
using Routing.Cluster.HostChoice;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Configuration;

/// <summary>One listener as its user wrote it. Immutable: a reload brings a new one for new sessions.</summary>
internal sealed record ListenerConfig
{
    /// <summary>Its name, such as <c>write</c>: also its label in metrics.</summary>
    public required string Name { get; init; }

    /// <summary>Where it listens: <c>host:port</c>, or <c>unix:/path</c>.</summary>
    public required ListenAddress Address { get; init; }

    /// <summary>Which members its sessions may go to.</summary>
    public required HostRequest Request { get; init; }

    /// <summary>
    /// How long a session waits for a target. Default 10 s: less than the shortest connect timeout of the usual
    /// drivers.
    /// </summary>
    public TimeSpan HoldTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How many sessions wait at once; more are refused at once. Default 5,000.</summary>
    public int HoldQueue { get; init; } = 5_000;

    /// <summary>How many of the sessions that waited are let through in a second. Default 500.</summary>
    public int LoginsPerSecond { get; init; } = 500;

    /// <summary>How many sessions that move and had to wait are let through in a second. Default 5,000.</summary>
    public int MovesPerSecond { get; init; } = 5_000;

    /// <summary>A server in recovery is the wrong one.</summary>
    public bool MustBePrimary => Request.Role == WantedRole.Primary;

    /// <summary>Sessions that it may have at once; 0 (the default): no limit of its own.</summary>
    public int MaximumSessions { get; init; }

    /// <summary>
    /// A session in which no byte moved for this long, and which is at rest, is ended with 57P05. Zero (the default):
    /// never. A running query, an open transaction and replication are never idle.
    /// </summary>
    public TimeSpan IdleTimeout { get; init; }

    /// <summary>
    /// Which of its sessions go on at another server when they lose theirs at rest. Default those that hold no state,
    /// or state that can be carried. Replication and TLS that passes through never do.
    /// </summary>
    public MoveMode Move { get; init; } = MoveMode.Carry;

    /// <summary>
    /// Which statements of sessions that may move are repeated at the server that they move to. Default none.
    /// </summary>
    public ReplayMode Replay { get; init; }

    /// <summary>
    /// Which kinds of replication it serves. Default both; a read listener should have none unless its user asked for
    /// it.
    /// </summary>
    public ReplicationAccess Replication { get; init; } = ReplicationAccess.Physical | ReplicationAccess.Logical;

    /// <summary>Encryption on the client's side. Default off: <c>SSLRequest</c> is answered with <c>N</c>.</summary>
    public ClientTlsSettings Tls { get; init; } = ClientTlsSettings.Off;

    /// <summary>
    /// Encryption on the member's side. Default off. Not used with <see cref="ClientTlsMode.PassThrough"/>.
    /// </summary>
    public MemberTlsSettings MemberTls { get; init; } = MemberTlsSettings.Off;

    /// <summary>
    /// Networks whose connections must begin with a PROXY header (v1 or v2); connections from elsewhere are refused
    /// then. Empty (the default): no client has to send a header.
    /// </summary>
    public ImmutableArray<IPNetwork> ProxyProtocolFrom { get; init; } = [];

    /// <summary>
    /// The PROXY header that is sent to members ahead of everything else. Default none. PostgreSQL itself does not
    /// understand it and drops the connection: use it only where something between proxy and server takes it off again.
    /// </summary>
    public ProxyProtocolVersion ProxyProtocolToMember { get; init; }

    /// <summary>
    /// Adds the client's address to <c>application_name</c> (<c>name [10.0.0.7:5123]</c>), cut to PostgreSQL's 63
    /// bytes. Default no: the start-up message is then relayed byte for byte.
    /// </summary>
    public bool AddClientAddress { get; init; }

    /// <summary>
    /// Socket options of clients' connections. Default: keepalive 30 s + 3 × 10 s, user timeout 60 s.
    /// </summary>
    public SocketTuning ClientTuning { get; init; } =
        new(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(10), 3, TimeSpan.FromSeconds(60));

    /// <summary>
    /// Socket options of connections to members. Default: keepalive 10 s + 3 × 3 s, user timeout 30 s.
    /// </summary>
    /// <remarks>
    /// The user timeout also counts the time in which a live peer does not read, on kernels since 5.11: below 30 s it
    /// may cut a healthy session whose server waits for a lock in the middle of a <c>COPY</c>.
    /// </remarks>
    public SocketTuning MemberTuning { get; init; } =
        new(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(3), 3, TimeSpan.FromSeconds(30));
}
