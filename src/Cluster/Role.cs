namespace Routing.Cluster;

/// <summary>What a member says it is, in its member key.</summary>
public enum Role
{
    /// <summary>The field is missing or holds a word we do not know.</summary>
    Unknown,

    /// <summary><c>primary</c> (also <c>master</c>, written by versions before 4.0): accepts writes.</summary>
    Primary,

    /// <summary><c>standby_leader</c>: leads a standby cluster; read-only.</summary>
    StandbyLeader,

    /// <summary><c>replica</c>: a standby.</summary>
    Replica,

    /// <summary><c>demoted</c>: has just stepped down.</summary>
    Demoted,

    /// <summary><c>promoted</c>: promotion was triggered and is not confirmed.</summary>
    Promoted,

    /// <summary><c>uninitialized</c>: its data directory is empty.</summary>
    Uninitialized,
}
