using System.Buffers;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// The last words to the client of a session that did not end by itself: the code that drivers act on, and a sentence
/// for people.
/// </summary>
internal static class Farewell
{
    private const string OutcomeUnknown =
        "A transaction was asked to be committed, and no answer has come: it may or may not have been committed.";
    private const string Reconnect = "Connect again: the proxy knows the way to the right server.";

    /// <summary>Writes them; only where the client stands between two messages.</summary>
    /// <param name="output">The client's; not flushed.</param>
    /// <param name="end">How the session ended.</param>
    /// <param name="tap">What was under way.</param>
    /// <param name="member">The server's name.</param>
    public static void Write(IBufferWriter<byte> output, SessionEnd end, SessionTap tap, string member)
    {
        var isStopped = end >= SessionEnd.Idle;   // by the proxy; else the server went away
        if (!isStopped && tap.IsClientMalformed)
        {
            ErrorResponse.WriteFatal(output, SqlState.ProtocolViolation,
                "the client sent a message with an impossible length");
            return;
        }
        var message = !isStopped ? $"the connection to the server {member} was lost"
            : end switch
            {
                SessionEnd.Idle => "terminating connection due to the idle timeout of the proxy",
                SessionEnd.CutAtRest => $"terminating connection: {member} does not serve this port any more",
                SessionEnd.Drained => "terminating connection: the proxy is shutting down",
                _ => $"terminating connection: {member} is not the right server for this port any more, or answers "
                    + "nothing",
            };
        if (tap.IsOutcomeOpen)
        {
            ErrorResponse.WriteFatal(output, SqlState.TransactionResolutionUnknown, message, OutcomeUnknown,
                "Look at the data before you try again.");
            return;
        }
        var code = end == SessionEnd.Idle ? SqlState.IdleSessionTimeout
            : isStopped || tap.AtRest ? SqlState.AdminShutdown   // drivers evict the pool of the server then
            : SqlState.ConnectionFailure;
        ErrorResponse.WriteFatal(output, code, message, hint: Reconnect);
    }
}
