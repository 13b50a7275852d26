using System.Collections.Concurrent;
using Routing.Proxy.Members;
using Routing.Proxy.Sessions.Joined;
using Routing.Proxy.Sessions.Refusals;

namespace Routing.Proxy.Tests.Sessions;

/// <summary>What sessions report, as one short line each: <c>opened a</c>, <c>refused NoTarget</c>.</summary>
internal sealed class SessionDiary : ISessionEvents
{
    private readonly ConcurrentQueue<string> _lines = new();

    /// <summary>What has been reported, in order.</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    void ISessionEvents.Accepted(string listener)
    {
    }

    void ISessionEvents.Refused(string listener, RefusalReason reason) => _lines.Enqueue($"refused {reason}");

    void ISessionEvents.Held(string listener, TimeSpan waited, bool routed) => _lines.Enqueue($"held {routed}");

    void ISessionEvents.AttemptFailed(string listener, string member, LoginFailure failure) =>
        _lines.Enqueue($"failed {member} {failure}");

    void ISessionEvents.Opened(string listener, string member, TimeSpan login) => _lines.Enqueue($"opened {member}");

    void ISessionEvents.Closed(
        string listener, string member, SessionEnd end, long bytesFromClient, long bytesFromServer) =>
        _lines.Enqueue($"closed {member} {end}");

    void ISessionEvents.Moved(
        string listener, string from, string to, TimeSpan pause, long bytesFromClient, long bytesFromServer) =>
        _lines.Enqueue($"moved {from} {to}");

    void ISessionEvents.SessionHeld(string listener, TimeSpan time) => _lines.Enqueue("held at rest");

    void ISessionEvents.NotMoved(string listener, NotMoved reason) => _lines.Enqueue($"not moved {reason}");

    void ISessionEvents.TakenOver(string listener, string member) => _lines.Enqueue($"taken over {member}");

    void ISessionEvents.Repeated(string listener, RepeatReason reason) => _lines.Enqueue($"repeated {reason}");

    void ISessionEvents.NotRepeated(string listener, NotRepeated reason) => _lines.Enqueue($"not repeated {reason}");

    void ISessionEvents.Cancelled(string listener, CancelOutcome outcome) => _lines.Enqueue($"cancelled {outcome}");
}
