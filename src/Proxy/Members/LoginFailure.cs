using Routing.Proxy.Wire;

namespace Routing.Proxy.Members;

/// <summary>
/// How an attempt to log in at a member failed: what the metrics, the client and the router are told of it.
/// </summary>
/// <remarks>The set is closed: the values below are all there are, so they can be compared by reference.</remarks>
internal sealed class LoginFailure
{
    /// <summary>The kernel refused: no postmaster listens there.</summary>
    public static readonly LoginFailure Refused =
        new("refused", SqlState.ConnectionFailure, "the server {0} refused the connection");

    /// <summary>Unreachable, or any other socket error.</summary>
    public static readonly LoginFailure Unreachable =
        new("unreachable", SqlState.ConnectionFailure, "the connection to the server {0} was lost");

    /// <summary>No connection, or no first answer, in time.</summary>
    public static readonly LoginFailure TimedOut =
        new("timed_out", SqlState.ConnectionFailure, "the server {0} did not answer in time");

    /// <summary>The connection ended or broke before the login was complete.</summary>
    public static readonly LoginFailure Dropped =
        new("dropped", SqlState.ConnectionFailure, "the connection to the server {0} was lost");

    /// <summary>57P01, 57P02 or 57P03: the server is starting or stopping.</summary>
    public static readonly LoginFailure NotReady =
        new("not_ready", SqlState.CannotConnectNow, "the server {0} is starting or stopping", Blame.Briefly);

    /// <summary>53300: the server has no free slot.</summary>
    public static readonly LoginFailure Full =
        new("full", SqlState.TooManyConnections, "the server {0} has no free connection slot", Blame.Briefly);

    /// <summary>The server is in recovery, where the primary was expected.</summary>
    public static readonly LoginFailure WrongRole =
        new("wrong_role", SqlState.CannotConnectNow, "the server {0} is in recovery where the primary is wanted",
            Blame.Role);

    /// <summary>The server refused TLS.</summary>
    public static readonly LoginFailure TlsRefused =
        new("tls_refused", SqlState.ConnectionFailure,
            "the server {0} does not do TLS, which the proxy demands") { IsLasting = true };

    /// <summary>
    /// The server hangs up on TLS that comes without a request; in the metrics one with <see cref="TlsRefused"/>.
    /// </summary>
    public static readonly LoginFailure DirectTlsRefused =
        new("tls_refused", SqlState.ConnectionFailure,
            "the server {0} does not take TLS without a request (direct TLS)") { IsLasting = true };

    /// <summary>The handshake failed, or the certificate is not the member's.</summary>
    public static readonly LoginFailure TlsFailed =
        new("tls_failed", SqlState.ConnectionFailure, "the TLS certificate of the server {0} could not be verified");

    /// <summary>The answer is not PostgreSQL's protocol.</summary>
    public static readonly LoginFailure NotPostgres =
        new("not_postgres", SqlState.ConnectionFailure, "the server {0} does not speak PostgreSQL's protocol");

    /// <summary>The proxy itself had no descriptor or no port left: no fault of the member.</summary>
    public static readonly LoginFailure NoSocket =
        new("no_socket", SqlState.TooManyConnections, "the proxy has no descriptor or no port left for a connection",
            Blame.Nobody);

    private readonly string _sentence;

    private LoginFailure(string label, string code, string sentence, Blame blame = Blame.Member)
    {
        (Label, Code, _sentence, Blame) = (label, code, sentence, blame);
    }

    /// <summary>Its label in metrics.</summary>
    public string Label { get; }

    /// <summary>The SQLSTATE that the client is told when this failure was the last one.</summary>
    public string Code { get; }

    /// <summary>What the router concludes about the member.</summary>
    public Blame Blame { get; }

    /// <summary>A server that fails in this way does so again: after a second attempt the client is told.</summary>
    public bool IsLasting { get; private init; }

    /// <summary>The sentence that the client is told when this failure was the last one.</summary>
    public string SentenceOf(string member) => string.Format(null, _sentence, member);

    /// <inheritdoc/>
    public override string ToString() => Label;
}

/// <summary>What a failed login says about its member.</summary>
internal enum Blame
{
    /// <summary>Nothing: the proxy itself is short of something.</summary>
    Nobody,

    /// <summary>It can't be used for a moment.</summary>
    Briefly,

    /// <summary>It can't be used for a while, which grows with each failure in a row.</summary>
    Member,

    /// <summary>It is not the primary.</summary>
    Role,
}
