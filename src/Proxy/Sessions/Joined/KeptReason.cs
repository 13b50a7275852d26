namespace Routing.Proxy.Sessions.Joined;

/// <summary>Why a session stays in its process when another one takes over.</summary>
internal enum KeptReason
{
    /// <summary>TLS ends in its process, which alone has the keys.</summary>
    Tls,

    /// <summary>The transport of one of both processes can't share connections.</summary>
    Transport,

    /// <summary>
    /// It did not come to stand between two messages in time, or it was held or moved for all that time.
    /// </summary>
    Busy,

    /// <summary>The other process does not know the format of its state.</summary>
    UnknownState,

    /// <summary>The other process has no listener of its name.</summary>
    NoListener,

    /// <summary>The other process may not open so many files.</summary>
    NoDescriptors,
}
