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

    /// <summary>All: the applications keep no state in sessions.</summary>
    AssumeClean,
}
