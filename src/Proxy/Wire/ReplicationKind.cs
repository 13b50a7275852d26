namespace Routing.Proxy.Wire;

/// <summary>Whether a connection is for replication.</summary>
internal enum ReplicationKind
{
    /// <summary>An ordinary session.</summary>
    None,

    /// <summary><c>replication=true</c>.</summary>
    Physical,

    /// <summary><c>replication=database</c>.</summary>
    Logical,
}
