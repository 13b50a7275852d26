using System.Diagnostics;
using Npgsql;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;
using Routing.Driver.Routes;

namespace Routing.Driver.Opening;

/// <summary>
/// Opens connections: from a member's pool at once where that is possible, else by an <see cref="OpenRun"/>.
/// </summary>
internal sealed class ConnectionOpener
{
    private readonly ClusterRouter _router;
    private readonly SharedTypes _types;

    public ConnectionOpener(ClusterRouter router)
    {
        _router = router;
        _types = new SharedTypes(router, this);
    }

    /// <summary>Keeps the database's types of all pools alike.</summary>
    public SharedTypes Types => _types;

    /// <summary>Opens a connection for a target.</summary>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    public ValueTask<NpgsqlConnection> OpenAsync(TargetSessionAttributes target, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<NpgsqlConnection>(cancellationToken);
        }
        var began = DriverMetrics.MeasuresOpens ? _router.Time.GetTimestamp() : 0;
        var picture = _router.Current;
        if (picture.RouteFor(target).Pick() is not { IsSilent: false } pool)
        {
            return OpenSlowlyAsync(target, null, null, isAsync: true, cancellationToken);
        }
        // The token is the member's, not the caller's: an attempt ends with the member's term. A caller who gives up
        // sooner leaves it behind.
        var end = pool.Attempts;
        if (!ReferenceEquals(picture, _router.Current))
        {
            // it may be the token of the member's next term
            return OpenSlowlyAsync(target, null, null, isAsync: true, cancellationToken);
        }
        var connection = pool.Create();
        var opening = connection.OpenAsync(end);
        if (opening.IsCompletedSuccessfully && IsReady(pool, connection, target))
        {
            Measure(pool, target, began);
            return new ValueTask<NpgsqlConnection>(connection);
        }
        return OpenSlowlyAsync(target, null, new Attempt(pool, connection, opening, end), isAsync: true,
            cancellationToken);
    }

    /// <summary>Opens a connection for a target; blocks the thread.</summary>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    /// <param name="target">What it is for.</param>
    /// <param name="first">The pool to begin with; null: the choice is free.</param>
    public NpgsqlConnection Open(TargetSessionAttributes target, MemberPool? first = null)
    {
        var opening = OpenSlowlyAsync(target, null, Begin(first), isAsync: false, CancellationToken.None);
        Debug.Assert(opening.IsCompleted, "without await there is nothing to wait for");
        return opening.GetAwaiter().GetResult();
    }

    /// <summary>Whether an opened connection may be handed out as it is.</summary>
    public bool IsReady(MemberPool pool, NpgsqlConnection connection, TargetSessionAttributes target) =>
        MemberPool.MayServe(connection, target) && pool.TypesVersion == _router.Types.Version
        && !(pool.MayHoldStandbySessions && MemberPool.WasInRecovery(connection));

    private void Measure(MemberPool pool, TargetSessionAttributes target, long began)
    {
        if (began != 0)
        {
            DriverMetrics.Opened(_router.Name, Targets.Word(target), pool.Member, _router.Time.GetElapsedTime(began));
        }
    }

    /// <summary>Opens a connection for a target, to a certain member where that is possible.</summary>
    /// <param name="target">What it is for.</param>
    /// <param name="first">The pool to begin with; null: the choice is free.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NoHostException">None could be had within <see cref="RoutingOptions.OpenTimeout"/>.</exception>
    public ValueTask<NpgsqlConnection> OpenAsync(
        TargetSessionAttributes target, MemberPool? first, CancellationToken cancellationToken) =>
        Begin(first) is { } begun && !cancellationToken.IsCancellationRequested
            ? OpenSlowlyAsync(target, null, begun, isAsync: true, cancellationToken)
            : OpenAsync(target, cancellationToken);

    private static Attempt? Begin(MemberPool? first) =>
        first is { IsSilent: false, Health.IsOut: false }
            ? new Attempt(first, first.Create(), null, first.Attempts)
            : null;

    /// <summary>Opens a connection by a route of the caller's; for causal reads.</summary>
    /// <param name="target">What it is for, in messages.</param>
    /// <param name="routeOf">
    /// The route by the newest picture. With no member on it this gives up at once: the caller has another way.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="NoHostException">No member is on the route, or none could be had in time.</exception>
    public ValueTask<NpgsqlConnection> OpenAsync(
        TargetSessionAttributes target, Func<Picture, Route> routeOf, CancellationToken cancellationToken) =>
        OpenSlowlyAsync(target, routeOf, null, isAsync: true, cancellationToken);

    private async ValueTask<NpgsqlConnection> OpenSlowlyAsync(
        TargetSessionAttributes target, Func<Picture, Route>? routeOf, Attempt? begun, bool isAsync,
        CancellationToken cancellationToken)
    {
        using var run = new OpenRun(_router, _types, target, routeOf, begun, isAsync, cancellationToken);
        return await run.RunAsync().ConfigureAwait(false);
    }
}
