using Routing.Cluster;

namespace Routing.Agent.Postgres.Files;

/// <summary>Where the WAL in the files of a data directory ends.</summary>
/// <param name="Position">The end of the last whole record.</param>
/// <param name="Timeline">The timeline of the file that holds it.</param>
internal readonly record struct WalEnd(Lsn Position, uint Timeline)
{
    private const int Attempts = 20;

    /// <summary>Reads the WAL from the latest checkpoint on, whether a server runs or not.</summary>
    /// <remarks>
    /// This is what a standby has confirmed to its primary, at least: a standby that was restarted answers long before
    /// it has replayed that far, and with <c>recovery_min_apply_delay</c> hours before.
    /// </remarks>
    /// <exception cref="IOException">A file could not be read.</exception>
    /// <exception cref="FormatException">A history file makes no sense.</exception>
    /// <exception cref="InvalidDataException">pg_control is damaged.</exception>
    public static WalEnd Read(string dataDirectory, CancellationToken cancellationToken)
    {
        var control = PgControl.Read(dataDirectory);
        for (var attempt = 1; ; attempt++)
        {
            var systemId = ulong.Parse(control.File.SystemId, System.Globalization.CultureInfo.InvariantCulture);
            using var reader = new WalReader(WalFiles.Of(dataDirectory, control), systemId);
            var end = reader.EndFrom(control.File.Checkpoint, cancellationToken);
            var timeline = Math.Max(reader.Timeline, control.File.Timeline);
            // The server removes old segments after it has moved the checkpoint in pg_control: what was missing may be
            // one of those.
            var now = PgControl.Read(dataDirectory);
            if (now.File.Checkpoint == control.File.Checkpoint)
            {
                return new WalEnd(end, timeline);
            }
            if (attempt == Attempts)
            {
                throw new IOException("The latest checkpoint changed each time that the WAL was read.");
            }
            control = now;
        }
    }

    /// <summary>The part of it that lies in the history of a later timeline.</summary>
    /// <param name="dataDirectory">The data directory, whose <c>pg_wal</c> holds the history file.</param>
    /// <param name="timeline">The timeline that the server has gone on to.</param>
    /// <exception cref="IOException">The history file cannot be read.</exception>
    /// <exception cref="FormatException">It makes no sense.</exception>
    public Lsn Within(string dataDirectory, uint timeline)
    {
        if (timeline <= Timeline)
        {
            return Position;
        }
        foreach (var ancestor in WalFiles.ReadHistory(Path.Combine(dataDirectory, "pg_wal"), timeline))
        {
            if (ancestor.Timeline == Timeline)
            {
                return ancestor.SwitchPoint < Position ? ancestor.SwitchPoint : Position;
            }
        }
        return Lsn.Zero;
    }
}
