namespace Routing.Driver.Members;

/// <summary>
/// A member answers, but an attempt is not over in the time that it has: says nothing against the member.
/// </summary>
internal sealed class StillWaitingException() : TimeoutException(
    "It answers, but the login was not over in time, or no connection of its pool came free.");
