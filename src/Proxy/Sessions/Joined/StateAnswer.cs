using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>What a session has answered to the question for its state.</summary>
/// <param name="State">Its state; null: it could not be told.</param>
/// <param name="IsUsable">The session may go on where it is: the question has left nothing open.</param>
/// <param name="HasToldParameters">Its client was told changed parameters meanwhile.</param>
internal sealed record StateAnswer(SessionState? State, bool IsUsable, bool HasToldParameters)
{
    /// <summary>Why it can't be made anew elsewhere; null: it can.</summary>
    public NotMoved? Reason => State switch
    {
        null => NotMoved.StateUnknown,
        { Obstacle: null } => null,
        { Obstacle: StateObstacle.HeldCursors } => NotMoved.HeldCursors,
        { Obstacle: StateObstacle.TemporaryObjects } => NotMoved.TemporaryObjects,
        { Obstacle: StateObstacle.AdvisoryLocks } => NotMoved.AdvisoryLocks,
        { Obstacle: StateObstacle.SessionAuthorization } => NotMoved.SessionAuthorization,
        { Obstacle: StateObstacle.Extension } => NotMoved.Extension,
        _ => NotMoved.Functions,
    };
}
