using Npgsql;
using NpgsqlTypes;
using Routing.Cluster;
using Routing.Driver.Diagnostics;
using Routing.Driver.Opening;
using Routing.Driver.Routes;

namespace Routing.Driver.Causal;

/// <summary>
/// Reads that see what was written before: tokens are captured after a commit, and replicas asked whether they have got
/// that far.
/// </summary>
/// <remarks>
/// A replica counts only while it says that it is on the token's own timeline: on an older one a position means another
/// history. What it published is a hint where to go, never a proof: a replica that crashed may serve again from an
/// earlier position.
/// </remarks>
internal sealed class CausalReads(ClusterRouter router, ConnectionOpener opener)
{
    private const TargetSessionAttributes Replica = TargetSessionAttributes.Standby;
    private const TargetSessionAttributes Leader = TargetSessionAttributes.Primary;
    private static readonly Backoff s_pauses = new(TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(5));

    // A replica that was promoted in the meantime answers for its own log.
    private const string Reached =
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END";

    public async ValueTask<NpgsqlConnection> OpenAsync(CausalToken token, CancellationToken cancellationToken)
    {
        if (token.IsEmpty)
        {
            return await opener.OpenAsync(TargetSessionAttributes.PreferStandby, cancellationToken)
                .ConfigureAwait(false);
        }
        if (IsOfTheLeadersTimeline(token)
            && await TryReplicaAsync(token, cancellationToken).ConfigureAwait(false) is { } connection)
        {
            return connection;
        }
        DriverMetrics.CausalRead(router.Name, "leader");
        return await opener.OpenAsync(Leader, cancellationToken).ConfigureAwait(false);
    }

    // Of an older timeline: a failover lies between, and the leader alone surely has what was kept. Of a newer one: we
    // know too little yet.
    private bool IsOfTheLeadersTimeline(CausalToken token) =>
        router.Current.View.Snapshot.LeaderMember?.Timeline is not { } timeline || timeline == token.Timeline;

    private async ValueTask<NpgsqlConnection?> TryReplicaAsync(CausalToken token, CancellationToken cancellationToken)
    {
        var began = router.Time.GetTimestamp();
        NpgsqlConnection connection;
        try
        {
            connection = await opener.OpenAsync(Replica, picture => picture.RouteFor(token), cancellationToken)
                .ConfigureAwait(false);
        }
        catch (NoHostException)
        {
            return null;   // the leader has it anyway
        }
        try
        {
            var questions = 0;
            while (!await HasReachedAsync(connection, token, cancellationToken).ConfigureAwait(false))
            {
                if (router.Time.GetElapsedTime(began) >= router.Options.CausalWait || !IsOfTheLeadersTimeline(token))
                {
                    await connection.DisposeAsync().ConfigureAwait(false);
                    return null;
                }
                var left = router.Options.CausalWait - router.Time.GetElapsedTime(began);
                if (!await ServerWait.TryAsync(connection, token.Lsn, left, cancellationToken).ConfigureAwait(false))
                {
                    await Task.Delay(s_pauses.After(questions), router.Time, cancellationToken).ConfigureAwait(false);
                }
            }
            DriverMetrics.CausalRead(router.Name, questions > 0 ? "caught_up" : "replica");
            return connection;
        }
        catch (NpgsqlException problem) when (problem.IsTransient)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            return null;   // the replica went away
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async ValueTask<bool> HasReachedAsync(
        NpgsqlConnection connection, CausalToken token, CancellationToken cancellationToken)
    {
        var command = new NpgsqlCommand(Reached, connection);
        await using (command.ConfigureAwait(false))
        {
            return await command.ExecuteScalarAsync(cancellationToken)
                .ConfigureAwait(false) is NpgsqlLogSequenceNumber reached && reached >= token.Lsn;
        }
    }
}
