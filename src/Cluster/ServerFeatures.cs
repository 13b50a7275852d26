namespace Routing.Cluster;

/// <summary>
/// What the major versions of PostgreSQL and its libpq differ in, as far as it matters here: the one place that
/// compares versions.
/// </summary>
/// <remarks>Major versions are numbers such as 17; 0 is a version that is not known.</remarks>
public static class ServerFeatures
{
    /// <summary>The oldest version that the agent takes.</summary>
    public const int OldestMajor = 13;

    /// <summary>The newest version that the agent takes.</summary>
    public const int NewestMajor = 18;

    /// <summary>Whether the agent takes a server: it reads the files of these versions.</summary>
    public static bool IsSupported(int major) => major is >= OldestMajor and <= NewestMajor;

    /// <summary>
    /// A slot can be marked <c>failover</c>, and the server copies such slots to its standbys itself (17).
    /// </summary>
    public static bool HasSlotSync(int major) => major >= 17;

    /// <summary>The columns of <c>pg_replication_slots</c> that only a server with slot synchronisation has.</summary>
    /// <returns>With a comma before each; empty for a server without them.</returns>
    public static string SyncColumns(int major) => HasSlotSync(major) ? ", failover, synced" : "";

    /// <summary>The parameter <c>in_hot_standby</c> tells a standby, also where no query can be run (14).</summary>
    public static bool HasInHotStandby(int major) => major >= 14;

    /// <summary>The parameter <c>promote_trigger_file</c> exists (until 15).</summary>
    public static bool HasPromoteTriggerFile(int major) => major < 16;

    /// <summary>The view <c>pg_ident_file_mappings</c> exists (15).</summary>
    public static bool HasIdentView(int major) => major >= 15;

    /// <summary><c>pg_rewind</c> takes <c>--config-file</c>, for a configuration outside of the data (15).</summary>
    public static bool RewindTakesConfigFile(int major) => major >= 15;

    /// <summary>libpq's keyword <c>sslnegotiation</c>: whether TLS is asked for or begins directly (17).</summary>
    public static bool HasTlsNegotiation(int major) => major >= 17;

    /// <summary>The statement <c>WAIT FOR LSN</c>: a standby says when it has replayed that far (19).</summary>
    public static bool HasWaitForLsn(int major) => major >= 19;

    /// <summary>Whether libpq knows a keyword of connection strings that not all versions have.</summary>
    public static bool HasKeyword(int major, string keyword) => keyword switch
    {
        "gssencmode" or "tcp_user_timeout" => major >= 12,
        "sslpassword" or "channel_binding" => major >= 13,
        "sslcrldir" => major >= 14,
        "sslnegotiation" => HasTlsNegotiation(major),
        _ => true,
    };
}
