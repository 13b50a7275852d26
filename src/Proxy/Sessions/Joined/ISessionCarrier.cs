using Routing.Proxy.Members;
using Routing.Proxy.Transport;
using Routing.Proxy.Wire;

namespace Routing.Proxy.Sessions.Joined;

/// <summary>Carries sessions to another process.</summary>
internal interface ISessionCarrier
{
    /// <summary>
    /// Hands a session over, that is stopped and whose sockets nobody uses meanwhile. Any thread; never throws.
    /// </summary>
    /// <param name="session">The session.</param>
    /// <param name="parcel">What the other process needs. Its secret is read within this call.</param>
    /// <param name="mayGo">
    /// Asked once the other process has all that it needs, and ahead of the word that lets it begin. False: the session
    /// stays here.
    /// </param>
    /// <returns>
    /// True: the other process was told to begin, and nothing here may use the sockets any more. False: it never will.
    /// </returns>
    ValueTask<bool> PassAsync(Session session, SessionParcel parcel, Func<bool> mayGo);
}

/// <summary>All that another process needs to go on with a session.</summary>
internal sealed record SessionParcel
{
    /// <summary>The name of its listener.</summary>
    public required string Listener { get; init; }

    /// <summary>Whom it counts for; null where users are not limited.</summary>
    public required string? User { get; init; }

    /// <summary>Where it runs.</summary>
    public required RouteTarget Target { get; init; }

    /// <summary>Whether it streams.</summary>
    public required bool IsReplication { get; init; }

    /// <summary>The key that its client has; null: none is known.</summary>
    public required BackendKey? Key { get; init; }

    /// <summary>The key that its server has given it, where that is another one.</summary>
    public required BackendKey? ServerKey { get; init; }

    /// <summary>What is known of its messages; null: TLS passes through.</summary>
    public required TapState? Tap { get; init; }

    /// <summary>What another login takes; null: the session never moves.</summary>
    public required RepeatableLogin? Login { get; init; }

    /// <summary>Its client knows other parameters than those of its login.</summary>
    public required bool HasToldMore { get; init; }

    /// <summary>The client's socket.</summary>
    public required SharedSocket Client { get; init; }

    /// <summary>The server's.</summary>
    public required SharedSocket Server { get; init; }
}
