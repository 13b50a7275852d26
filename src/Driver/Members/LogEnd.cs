using Npgsql;
using NpgsqlTypes;

namespace Routing.Driver.Members;

/// <summary>Asks a primary where its log ends.</summary>
internal static class LogEnd
{
    // The name of the segment begins with the timeline that is written to now; the control file tells it only after a
    // checkpoint.
    private const string Query = "SELECT pg_current_wal_insert_lsn(), pg_walfile_name(pg_current_wal_insert_lsn())";

    /// <summary>The timeline that is written to now, and the position up to which it is written.</summary>
    /// <param name="connection">An open connection to a primary; a standby answers with an error.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async ValueTask<CausalToken> CaptureAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connection);
        var command = new NpgsqlCommand(Query, connection);
        await using (command.ConfigureAwait(false))
        {
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                var segment = reader.GetString(1);
                return new CausalToken(Convert.ToUInt32(segment[..8], 16),
                    reader.GetFieldValue<NpgsqlLogSequenceNumber>(0));
            }
        }
    }
}
