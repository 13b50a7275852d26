namespace Routing.Driver;

/// <summary>When the leader serves opens that ask for a standby.</summary>
public enum ReadFallback
{
    /// <summary>Never: the opens wait, and fail in the end.</summary>
    Never,

    /// <summary>When no replica fits.</summary>
    WhenEmpty,

    /// <summary>Always: the leader is one of the choices.</summary>
    Always,
}
