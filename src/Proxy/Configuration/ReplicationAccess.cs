namespace Routing.Proxy.Configuration;

/// <summary>Kinds of replication connections that a listener serves.</summary>
[Flags]
internal enum ReplicationAccess
{
    /// <summary>None: refused with a sentence that names the setting.</summary>
    None = 0,

    /// <summary><c>replication=true</c>: base backups, WAL receivers, standbys of others.</summary>
    Physical = 1,

    /// <summary><c>replication=database</c>: logical decoding.</summary>
    Logical = 2,
}
