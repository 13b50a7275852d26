namespace Routing.Proxy.Configuration;

/// <summary>Which sessions at rest go on at another server when theirs is lost to them.</summary>
internal enum MoveMode
{
    /// <summary>None: each ends with its server.</summary>
    Off,

    /// <summary>
    /// Those that are known to hold no state: nothing was asked for since the login, or since <c>DISCARD ALL</c>.
    /// </summary>
    Clean,

    /// <summary>
    /// Those as well that hold state of which the server can tell, when the server still answers: the proxy asks for
    /// it, and makes it anew.
    /// </summary>
    Carry,

    /// <summary>All: the applications keep no state in sessions.</summary>
    AssumeClean,
}
