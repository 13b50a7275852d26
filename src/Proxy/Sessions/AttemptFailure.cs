namespace Routing.Proxy.Sessions;

/// <summary>Why an attempt to log in at a member failed.</summary>
internal enum AttemptFailure
{
    /// <summary>Refused by the kernel: no postmaster there.</summary>
    Refused,

    /// <summary>Unreachable, or any other socket error.</summary>
    Unreachable,

    /// <summary>No connection, or no first answer, in time.</summary>
    TimedOut,

    /// <summary>The connection ended or broke before the first answer.</summary>
    Dropped,

    /// <summary>57P01, 57P02 or 57P03: starting or stopping.</summary>
    NotReady,

    /// <summary>53300: no free slot.</summary>
    Full,

    /// <summary>In recovery where the leader was expected.</summary>
    WrongRole,

    /// <summary>TLS was refused.</summary>
    TlsRefused,

    /// <summary>The handshake failed, or the certificate is not the member's.</summary>
    TlsFailed,

    /// <summary>Answered with something that is not PostgreSQL's protocol.</summary>
    NotPostgres,

    /// <summary>No descriptor or no port of our own was left: no fault of the member.</summary>
    NoSocket,
}
