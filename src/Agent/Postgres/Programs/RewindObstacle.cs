namespace Routing.Agent.Postgres.Programs;

/// <summary>
/// Distinguishes failures of pg_rewind that say something about the data from those of the machine and the network,
/// which pass.
/// </summary>
internal static class RewindObstacle
{
    /// <summary>In the words of the C library and of PostgreSQL, in English.</summary>
    private static readonly string[] s_words =
    [
        "No space left on device", "Disk quota exceeded", "Read-only file system", "Input/output error",
        "Cannot allocate memory",
        "Too many open files", "Permission denied", "Resource temporarily unavailable", "Device or resource busy",
        "lock file \"postmaster.pid\"", "pre-existing shared memory block",
        "the database system is", "too many clients", "remaining connection slots",
        "Connection refused", "Connection timed out", "Connection reset", "No route to host", "Network is unreachable",
        "timeout expired", "server closed the connection", "could not translate host name",
    ];

    /// <summary>
    /// Whether what a program said names an obstacle that passes: then the data are no worse, and must not be removed
    /// for it.
    /// </summary>
    public static bool Passes(string words) => s_words.Any(word => words.Contains(word, StringComparison.Ordinal));
}
