namespace Routing.Proxy.Sessions.Joined;

/// <summary>Why a statement was repeated at another server.</summary>
internal enum RepeatReason
{
    /// <summary>The server has refused it as read-only (25006), and is the primary no more.</summary>
    ReadOnly,

    /// <summary>The server has refused it as not ready (57P03).</summary>
    NotReady,

    /// <summary>It was not sent before its server was lost.</summary>
    Unsent,
}

/// <summary>Why a statement that has had no effect was not repeated.</summary>
internal enum NotRepeated
{
    /// <summary>Its server is the primary still: it was refused for what the application has set.</summary>
    StillPrimary,

    /// <summary>It was repeated often enough.</summary>
    TooOften,

    /// <summary>It came with something that is never repeated, such as the data of a COPY.</summary>
    NotRepeatable,

    /// <summary>Its session could not move: see <see cref="NotMoved"/>.</summary>
    NotMoved,
}
