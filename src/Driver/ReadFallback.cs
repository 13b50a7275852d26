namespace Routing.Driver;

/// <summary>When the leader serves those who ask for a standby.</summary>
public enum ReadFallback
{
    /// <summary>Never: they wait, and are refused in the end.</summary>
    Never,

    /// <summary>When no replica fits.</summary>
    WhenEmpty,

    /// <summary>Always: it is one of the choices.</summary>
    Always,
}
