namespace Routing.Driver;

/// <summary>Where the driver learns which member leads.</summary>
public enum TopologySource
{
    /// <summary>From etcd, which pushes each change: milliseconds.</summary>
    Etcd,

    /// <summary>From the agents' REST, asked again and again: for applications that may not reach etcd.</summary>
    Rest,
}
