namespace Routing.Proxy.Sessions.Joined;

/// <summary>How many connections there are now; for gauges and for the status page.</summary>
/// <param name="Pending">Connections that have not sent their start-up message yet.</param>
/// <param name="Starting">Clients that are being routed or are logging in, those that wait included.</param>
/// <param name="Sessions">Open sessions by listener and member.</param>
/// <param name="NotMoved">The sessions that lost their server and did not move, since the start.</param>
internal sealed record SessionCounts(
    int Pending, int Starting, IReadOnlyList<SessionGroup> Sessions, NotMovedCounts NotMoved);

/// <summary>The open sessions of one listener at one member.</summary>
/// <param name="Listener">The listener's name.</param>
/// <param name="Member">The member's name.</param>
/// <param name="Open">How many.</param>
/// <param name="BytesFromClient">Bytes that the open ones took from their clients since they were joined.</param>
/// <param name="BytesFromServer">Bytes that the open ones took from their servers since they were joined.</param>
/// <param name="Movable">How many of them would go on at another server now.</param>
internal readonly record struct SessionGroup(
    string Listener, string Member, int Open, long BytesFromClient, long BytesFromServer, int Movable = 0);
