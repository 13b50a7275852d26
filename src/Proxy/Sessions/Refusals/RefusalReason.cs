namespace Routing.Proxy.Sessions.Refusals;

/// <summary>Why a client that connected never had a session.</summary>
internal enum RefusalReason
{
    /// <summary>Closed before it sent a byte: a probe of a load balancer.</summary>
    Probe,

    /// <summary>Went away in the middle of its start-up, while it waited, or during its login.</summary>
    ClientGone,

    /// <summary>Not PostgreSQL's protocol.</summary>
    NotPostgres,

    /// <summary>A start-up message that breaks the protocol: 08P01.</summary>
    BadStartup,

    /// <summary>A message during the login whose length is impossible: 08P01.</summary>
    BadMessage,

    /// <summary>A protocol or encryption that is not served, or an encryption asked for twice: 0A000.</summary>
    Unsupported,

    /// <summary>
    /// Bytes ahead of the TLS handshake that was just agreed on: an injection, closed without a word.
    /// </summary>
    Injected,

    /// <summary>The start-up took too long.</summary>
    StartupTimeout,

    /// <summary>The PROXY header was missing, broken, or came from a network that is not trusted.</summary>
    ProxyHeader,

    /// <summary>The TLS handshake failed or took too long.</summary>
    TlsFailed,

    /// <summary>The listener demands TLS: 28000.</summary>
    TlsRequired,

    /// <summary>Too many connections in their start-up.</summary>
    TooManyPending,

    /// <summary>The limit of all listeners together: 53300.</summary>
    TooManySessions,

    /// <summary>The listener's limit: 53300.</summary>
    TooManyOnListener,

    /// <summary>The user's limit: 53300.</summary>
    TooManyOfUser,

    /// <summary>The queue of waiting clients is full: 53300.</summary>
    QueueFull,

    /// <summary>No target within the hold time: 57P03.</summary>
    NoTarget,

    /// <summary>The proxy is about to end: 57P03.</summary>
    Draining,

    /// <summary>This kind of replication is not served here: 0A000.</summary>
    Replication,

    /// <summary>No member could be reached within the retry time: 08006, or 57P03 where the server said so.</summary>
    MemberFailed,

    /// <summary>The server refused the login (password, database, pg_hba); its own words were relayed.</summary>
    ServerRefused,

    /// <summary>A standby answered where the leader was expected: 57P03.</summary>
    WrongRole,

    /// <summary>The login took too long.</summary>
    LoginTimeout,
}
