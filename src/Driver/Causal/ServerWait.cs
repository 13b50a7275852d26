using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using Routing.Cluster;

namespace Routing.Driver.Causal;

/// <summary>
/// Lets a replica say itself when it has replayed far enough, where its PostgreSQL can (19 and later).
/// </summary>
internal static class ServerWait
{
    /// <summary>At most this long at once: the position alone says nothing of a timeline that has changed.</summary>
    private static readonly TimeSpan s_longest = TimeSpan.FromMilliseconds(100);

    /// <summary>Waits until the replica is there, or for a moment; ask it how far it is then.</summary>
    /// <returns>False: the server can not wait, or does not in this session.</returns>
    public static async ValueTask<bool> TryAsync(
        NpgsqlConnection connection, NpgsqlLogSequenceNumber lsn, TimeSpan left, CancellationToken cancellationToken)
    {
        if (!ServerFeatures.HasWaitForLsn(connection.PostgreSqlVersion.Major))
        {
            return false;
        }
        var moment = Math.Max(1, (int)Math.Min(left.TotalMilliseconds, s_longest.TotalMilliseconds));
        var text = string.Create(
            CultureInfo.InvariantCulture, $"WAIT FOR LSN '{lsn}' WITH (TIMEOUT '{moment}ms', NO_THROW)");
        var command = new NpgsqlCommand(text, connection);
        await using (command.ConfigureAwait(false))
        {
            try
            {
                // Other answers are "timeout" and "not in recovery".
                var outcome = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
                return outcome is "success" or "timeout";
            }
            catch (PostgresException refusal) when (!refusal.IsTransient)
            {
                return false;   // sessions whose transactions are repeatable read by default must not wait so
            }
        }
    }
}
