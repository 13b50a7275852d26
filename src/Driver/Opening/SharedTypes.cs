using System.Transactions;
using Npgsql;
using NpgsqlTypes;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;
using Routing.Driver.Routes;

namespace Routing.Driver.Opening;

/// <summary>Keeps what the pools know of the database's types alike: Npgsql loads them once for each pool.</summary>
/// <remarks>
/// A change is a number that counts up, and a position in the log. A pool whose number is older loads its types before
/// its next connection is handed out; on a replica only when that has replayed the position, since before it would load
/// the old ones.
/// </remarks>
internal sealed class SharedTypes(ClusterRouter router, ConnectionOpener opener)
{
    // How long a reload waits for pools of members that are silent, lag, or are full. They load before their next use.
    private static readonly TimeSpan s_longestWait = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    /// <summary>The types have changed, or may have: every pool is to load them.</summary>
    /// <param name="position">Where the change stands in the log; null: asked of the leader when it is needed.</param>
    public void Changed(CausalToken? position) => router.Types.Advance(position);

    /// <summary>Loads the types in every pool that is in use.</summary>
    /// <exception cref="NoHostException">There is no leader to ask how far the replicas must be.</exception>
    public async Task ReloadAsync(CancellationToken cancellationToken)
    {
        var leader = await opener.OpenAsync(TargetSessionAttributes.Primary, cancellationToken).ConfigureAwait(false);
        await using (leader.ConfigureAwait(false))
        {
            Changed(await LogEnd.CaptureAsync(leader, cancellationToken).ConfigureAwait(false));
            if (router.WritePoolOf(leader) is { } pool)
            {
                await EnsureAsync(pool, leader, cancellationToken).ConfigureAwait(false);
            }
        }
        await Task.WhenAll(router.Pools.Where(pool => pool.WasUsed && pool.TypesVersion != router.Types.Version)
            .Select(pool => ReloadAsync(pool, cancellationToken))).ConfigureAwait(false);
    }

    /// <summary>Sees to it that a connection that has just been opened knows the types.</summary>
    public async Task EnsureAsync(MemberPool pool, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await pool.TypesGate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var change = router.Types.Newest;
            if (change is null || pool.TypesVersion == change.Version)
            {
                // another caller was quicker; Npgsql gives what it loaded to a connection when it is next taken from
                // the pool
                return;
            }
            if (await HasItAsync(connection, change, cancellationToken).ConfigureAwait(false))
            {
                await TypeLoadObserver.ReloadAsync(connection, cancellationToken).ConfigureAwait(false);
                pool.TypesVersion = change.Version;
                router.Logger.TypesLoaded(router.Name, pool.Member);
            }
        }
        finally
        {
            pool.TypesGate.Release();
        }
    }

    private async Task ReloadAsync(MemberPool pool, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(s_longestWait, router.Time);
        using var either =
            CancellationTokenSource.CreateLinkedTokenSource(limit.Token, pool.Attempts, cancellationToken);
        try
        {
            var connection = pool.Create();
            await using (connection.ConfigureAwait(false))
            {
                await connection.OpenAsync(either.Token).ConfigureAwait(false);
                await EnsureAsync(pool, connection, either.Token).ConfigureAwait(false);
                while (pool.TypesVersion != router.Types.Version)
                {
                    await Task.Delay(s_pause, router.Time, either.Token).ConfigureAwait(false);
                    await EnsureAsync(pool, connection, either.Token).ConfigureAwait(false);
                }
            }
        }
        catch (Exception problem) when (!cancellationToken.IsCancellationRequested
            && problem is NpgsqlException or OperationCanceledException or ObjectDisposedException or TimeoutException)
        {
            // before its next connection is handed out
            router.Logger.TypesWait(router.Name, pool.Member, problem.Message);
        }
    }

    /// <summary>Whether the connection's server has the change.</summary>
    private async ValueTask<bool> HasItAsync(
        NpgsqlConnection connection, TypeChange change, CancellationToken cancellationToken)
    {
        if (await ReplayedAsync(connection, cancellationToken).ConfigureAwait(false) is not { } replayed)
        {
            return true;
        }
        return (change.Position ??= await AskLeaderAsync(cancellationToken).ConfigureAwait(false)) is { } position
            && replayed >= position.Lsn;
    }

    /// <returns>Where the leader's log ends now; null: it does not say so soon.</returns>
    private async ValueTask<CausalToken?> AskLeaderAsync(CancellationToken cancellationToken)
    {
        // Apart from the transaction of the caller that waits for a connection to a replica.
        using var apart =
            new TransactionScope(TransactionScopeOption.Suppress, TransactionScopeAsyncFlowOption.Enabled);
        using var limit = new CancellationTokenSource(s_longestWait, router.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var leader = await opener.OpenAsync(
                TargetSessionAttributes.Primary, static picture => picture.RouteFor(TargetSessionAttributes.Primary),
                either.Token).ConfigureAwait(false);
            await using (leader.ConfigureAwait(false))
            {
                return await LogEnd.CaptureAsync(leader, either.Token).ConfigureAwait(false);
            }
        }
        catch (Exception problem) when (!cancellationToken.IsCancellationRequested
            && problem is NpgsqlException or OperationCanceledException)
        {
            router.Logger.TypesWait(router.Name, "the leader", problem.Message);
            return null;
        }
    }

    /// <returns>How far a replica has replayed; null: the server is a primary.</returns>
    private static async ValueTask<NpgsqlLogSequenceNumber?> ReplayedAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var question = new NpgsqlCommand(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END", connection);
        await using (question.ConfigureAwait(false))
        {
            return await question.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is string text
                ? NpgsqlLogSequenceNumber.Parse(text.AsSpan())
                : null;
        }
    }
}
