namespace Routing.Proxy.Sessions.Joined;

/// <summary>The counts that a session takes part in; default: none (replication).</summary>
/// <param name="OnListener">Of its listener.</param>
/// <param name="OfUser">Of its user; null where users are not limited.</param>
/// <param name="User">The user's name; null where users are not limited.</param>
internal readonly record struct SessionPlace(SessionCounter? OnListener, SessionCounter? OfUser, string? User = null);
