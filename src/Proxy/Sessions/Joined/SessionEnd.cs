namespace Routing.Proxy.Sessions.Joined;

/// <summary>
/// How a session that was open ended. Every ending has its value; of those that the proxy makes, a later one is
/// sharper.
/// </summary>
internal enum SessionEnd
{
    /// <summary>The client said Terminate and closed.</summary>
    ClientTerminated,

    /// <summary>The client closed without a word.</summary>
    ClientClosed,

    /// <summary>The client's connection broke.</summary>
    ClientBroke,

    /// <summary>The server said why (a FATAL error) and closed.</summary>
    ServerTerminated,

    /// <summary>The server closed without a word.</summary>
    ServerClosed,

    /// <summary>The server's connection broke, or keepalive gave it up.</summary>
    ServerBroke,

    /// <summary>Not ended: another process of the proxy goes on with it.</summary>
    HandedOver,

    /// <summary>Not ended: held at rest, while its member is about to hand over.</summary>
    Held,

    /// <summary>Ended by the proxy: nothing moved for the idle timeout.</summary>
    Idle,

    /// <summary>Ended by the proxy at rest: its member does not fit any more.</summary>
    CutAtRest,

    /// <summary>Ended by the proxy because it drains.</summary>
    Drained,

    /// <summary>Cut by the proxy at once: its member is not the right one any more.</summary>
    Cut,

    /// <summary>Cut by the proxy at once, while the outcome of a COMMIT was open: 08007.</summary>
    CutInCommit,
}
