using System.Runtime.CompilerServices;
using Npgsql;
using Routing.Driver.Members;
using Routing.Driver.Routes;

namespace Routing.Driver.Opening;

/// <summary>Connections that live on when they are closed, and are opened again: those of EF Core's contexts.</summary>
/// <remarks>
/// The application may hold such an object (<c>GetDbConnection()</c>), perhaps for a transaction that begins later. So
/// it stays in its place while its member is right. But an attempt that it has begun can't be left; hence another
/// connection tries, waits and goes elsewhere first.
/// </remarks>
internal sealed class KeptConnections(ClusterRouter router, ConnectionOpener opener, TargetSessionAttributes target)
{
    // Npgsql gives a connection that is idle all the same, and begins nothing where there is none.
    private static readonly CancellationToken s_onlyIfIdle = new(canceled: true);

    /// <summary>Where the connections came from, in all targets of the source.</summary>
    private readonly ConditionalWeakTable<NpgsqlConnection, Origin> _origins = router.Origins;

    /// <summary>Whether a connection came from here, for this target, and has its settings still.</summary>
    public bool Owns(NpgsqlConnection connection) => OriginOf(connection) is not null;

    /// <summary>
    /// Whether a closed connection may be opened where it is bound to: its member still serves this target.
    /// </summary>
    public bool IsRight(NpgsqlConnection connection) =>
        OriginOf(connection) is { IsRetired: false } pool && router.Current.RouteFor(target).Serves(pool);

    /// <summary>A closed connection of a pool.</summary>
    public NpgsqlConnection Create(MemberPool pool)
    {
        var connection = pool.Create();
        Note(connection, pool);
        return connection;
    }

    /// <summary>Opens a connection.</summary>
    /// <param name="own">The closed connection to open; null: none.</param>
    /// <param name="isAsync">False: blocks the thread.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The same one, or another one where its member is not right, or could not be had.</returns>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    public async ValueTask<NpgsqlConnection> OpenAsync(
        NpgsqlConnection? own, bool isAsync, CancellationToken cancellationToken)
    {
        var first = own is not null && IsRight(own) ? OriginOf(own) : null;
        if (own is not null && first is not null
            && await TryOpenAsync(own, isAsync, s_onlyIfIdle).ConfigureAwait(false))
        {
            return own;
        }
        var other = isAsync ? await opener.OpenAsync(target, first, cancellationToken).ConfigureAwait(false)
            : opener.Open(target, first);
        var pool = router.PoolOf(other, target);
        if (own is not null && pool is not null && ReferenceEquals(pool, first) && IsRight(own))
        {
            // The member answers, and has room for one more: where another caller was quicker, its pool is waited for
            // in turn.
            await CloseAsync(other, isAsync).ConfigureAwait(false);
            if (await TryOpenAsync(own, isAsync, s_onlyIfIdle).ConfigureAwait(false)
                || await TryOpenAsync(own, isAsync, cancellationToken).ConfigureAwait(false))
            {
                return own;
            }
            other = isAsync ? await opener.OpenAsync(target, cancellationToken).ConfigureAwait(false)
                : opener.Open(target);
            pool = router.PoolOf(other, target);
        }
        if (pool is not null)
        {
            Note(other, pool);
        }
        return other;
    }

    private async ValueTask<bool> TryOpenAsync(NpgsqlConnection own, bool isAsync, CancellationToken limit)
    {
        try
        {
            var opening = own.OpenAsync(limit);
            if (!isAsync)
            {
                opening.GetAwaiter().GetResult();
            }
            await opening.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (limit == s_onlyIfIdle)
        {
            return false;
        }
        catch (NpgsqlException problem) when (problem.IsTransient)
        {
            return false;
        }
        if (OriginOf(own) is { } pool && opener.IsReady(pool, own, target))
        {
            return true;
        }
        await CloseAsync(own, isAsync).ConfigureAwait(false);   // the opener knows what to do about it
        return false;
    }

    private static Task CloseAsync(NpgsqlConnection connection, bool isAsync)
    {
        if (isAsync)
        {
            return connection.CloseAsync();
        }
        connection.Close();
        return Task.CompletedTask;
    }

    private void Note(NpgsqlConnection connection, MemberPool pool) =>
        _origins.AddOrUpdate(connection, new Origin(pool, target, connection.ConnectionString));

    // An application may give a connection another string: then it is its own.
    private MemberPool? OriginOf(NpgsqlConnection connection) =>
        _origins.TryGetValue(connection, out var origin) && origin.Target == target
            && origin.ConnectionString == connection.ConnectionString
            ? origin.Pool
            : null;
}
