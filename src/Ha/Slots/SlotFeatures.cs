namespace Routing.Ha.Slots;

/// <summary>What a version of PostgreSQL can do with replication slots: the one place where versions differ.</summary>
public static class SlotFeatures
{
    /// <summary>
    /// A slot can be marked <c>failover</c>, and the server copies such slots to its standbys itself (since
    /// PostgreSQL 17).
    /// </summary>
    /// <param name="serverMajor">Major version, for example 17.</param>
    public static bool HasSlotSync(int serverMajor) => serverMajor >= 17;

    /// <summary>The columns of <c>pg_replication_slots</c> that only a server with slot synchronisation has.</summary>
    /// <param name="serverMajor">Major version, for example 17.</param>
    /// <returns>With a comma before each; empty for a server without them.</returns>
    public static string SyncColumns(int serverMajor) => HasSlotSync(serverMajor) ? ", failover, synced" : "";
}
