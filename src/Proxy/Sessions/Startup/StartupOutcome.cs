using Routing.Proxy.Sessions.Refusals;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Startup;

/// <summary>How a client's start-up ended.</summary>
internal abstract record StartupOutcome
{
    private StartupOutcome()
    {
    }

    /// <summary>The client is to be turned away.</summary>
    public sealed record Refused(Refusal Refusal) : StartupOutcome;

    /// <summary>The client wants a session's query to be cancelled.</summary>
    public sealed record Cancel(byte[] Packet) : StartupOutcome;

    /// <summary>The client wants a session.</summary>
    public sealed record Login(LoginRequest Request) : StartupOutcome;
}

/// <summary>What a client asks a member for.</summary>
/// <param name="Message">Its start-up message; null under TLS that passes through.</param>
/// <param name="Packet">The bytes that the member is sent.</param>
internal sealed record LoginRequest(StartupMessage? Message, byte[] Packet)
{
    /// <summary>TLS passes through.</summary>
    public bool IsOpaque => Message is null;

    /// <summary>The session streams: no limit counts for it.</summary>
    public bool IsReplication => Message is { Replication: not ReplicationKind.None };
}
