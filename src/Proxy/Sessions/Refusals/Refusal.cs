using System.Globalization;
using Routing.Proxy.Members;
using Routing.Proxy.Routes;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Refusals;

/// <summary>Why a client has no session, and what it is told.</summary>
/// <param name="Reason">The reason: a label in metrics and in the log.</param>
/// <param name="Code">The SQLSTATE for the client; null: the connection is closed without a word.</param>
/// <param name="Message">One sentence for the client and the log, or null.</param>
/// <param name="Detail">A second sentence for the client and the log, or null.</param>
/// <param name="Hint">What to do, or null.</param>
internal sealed record Refusal(
    RefusalReason Reason, string? Code = null, string? Message = null, string? Detail = null, string? Hint = null)
{
    /// <summary>A client asked twice for the same kind of encryption.</summary>
    public static readonly Refusal EncryptionAskedTwice =
        new(RefusalReason.Unsupported, SqlState.FeatureNotSupported, "encryption was asked for twice");

    /// <summary>The listener demands TLS.</summary>
    public static readonly Refusal TlsRequired = new(
        RefusalReason.TlsRequired, SqlState.InvalidAuthorization, "this port of the proxy demands TLS",
        Hint: "Connect with sslmode=require or stronger.");

    /// <summary>The proxy is about to end.</summary>
    public static readonly Refusal Draining = new(
        RefusalReason.Draining, SqlState.CannotConnectNow, "the proxy is shutting down",
        Hint: "Connect again in a moment.");

    /// <summary>
    /// A message during the login whose length is impossible: the server hangs up on it without a word.
    /// </summary>
    public static readonly Refusal BadMessage = new(
        RefusalReason.BadMessage, SqlState.ProtocolViolation, "the client sent a message with an impossible length");

    /// <summary>A version of the protocol that is not served.</summary>
    public static Refusal UnsupportedProtocol(int code) => new(
        RefusalReason.Unsupported, SqlState.FeatureNotSupported,
        $"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: the proxy serves protocol 3");

    /// <summary>A start-up message that breaks the protocol.</summary>
    public static Refusal BadStartup(StartupFault fault) => new(RefusalReason.BadStartup, fault.Code, fault.Sentence);

    /// <summary>This kind of replication is not served on the listener.</summary>
    public static Refusal Replication(ReplicationKind kind, string listener) => new(
        RefusalReason.Replication, SqlState.FeatureNotSupported,
        $"{(kind == ReplicationKind.Physical ? "physical" : "logical")} replication is not served on the listener "
            + $"\"{listener}\"",
        Hint: "Use the port for writes, or allow it there with the setting \"replication\" of the listener.");

    /// <summary>A limit was met.</summary>
    public static Refusal TooMany(RefusalReason limit, string message) => new(
        limit, SqlState.TooManyConnections, message, Hint: "Close sessions that are not needed, or raise the limit.");

    /// <summary>The router has no target.</summary>
    public static Refusal NoTarget(in RouteChoice choice) => choice.Reason switch
    {
        RouteReason.QueueFull => new(RefusalReason.QueueFull, SqlState.TooManyConnections, choice.Sentence),
        RouteReason.Draining => new(RefusalReason.Draining, SqlState.CannotConnectNow, choice.Sentence),
        _ => new(RefusalReason.NoTarget, SqlState.CannotConnectNow, choice.Sentence),
    };

    /// <summary>No member could be reached within the retry time.</summary>
    /// <param name="last">The last failure.</param>
    /// <param name="member">The member that it happened at.</param>
    /// <param name="retryTime">For how long attempts were repeated.</param>
    /// <param name="tried">All members that were tried.</param>
    public static Refusal MemberFailed(
        LoginFailure last, string member, TimeSpan retryTime, IEnumerable<string> tried) => new(
        RefusalReason.MemberFailed, last.Code, last.SentenceOf(member),
        string.Create(CultureInfo.InvariantCulture,
            $"Tried for {retryTime.TotalSeconds:0.#} s: {string.Join(", ", tried)}."),
        "Connect again in a moment.");

    /// <summary>The server refused the login; its own words were relayed.</summary>
    public static Refusal ByServer(string member, string? code) =>
        new(RefusalReason.ServerRefused, Message: $"{member} said {code}");

    /// <summary>The server said at the end of the login that it is in recovery.</summary>
    public static Refusal WrongRole(string member) => new(
        RefusalReason.WrongRole, SqlState.CannotConnectNow, $"{member} is in recovery: it is not the primary any more",
        Hint: "Connect again: the proxy will go to the new primary.");

    /// <summary>The login broke off after the server's first answer.</summary>
    /// <param name="reason">Too late, or the member's fault.</param>
    /// <param name="member">The member.</param>
    /// <param name="isLost">The connection was lost; else the server broke the protocol.</param>
    public static Refusal LoginBroke(RefusalReason reason, string member, bool isLost) => new(
        reason, SqlState.ConnectionFailure,
        isLost ? $"the connection to the server {member} was lost during the login"
        : $"the server {member} broke the protocol during the login", Hint: "Connect again.");
}
