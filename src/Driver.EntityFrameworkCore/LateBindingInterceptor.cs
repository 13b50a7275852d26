using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace Routing.Driver.EntityFrameworkCore;

/// <summary>
/// Opens the connections of a context as the data source does: to the member that is right when they are opened.
/// </summary>
/// <remarks>
/// Connections from elsewhere are left alone. One whose member is still right stays the same object, for the
/// application may hold it; another takes its place only where it could not be opened.
/// </remarks>
internal sealed class LateBindingInterceptor(RoutingDataSource source) : DbConnectionInterceptor
{
    private const int MostNestedOpens = 8;
    private static readonly ConditionalWeakTable<RoutingDataSource, LateBindingInterceptor> s_known = [];
    private static readonly AsyncLocal<bool> s_leaveClosed = new();

    public static LateBindingInterceptor For(RoutingDataSource source) =>
        s_known.GetValue(source, static one => new LateBindingInterceptor(one));

    /// <summary>Within it connections are bound to the right member, and left to the provider to open.</summary>
    public static IDisposable LeaveClosed()
    {
        var restore = new Restore(s_leaveClosed.Value);
        s_leaveClosed.Value = true;
        return restore;
    }

    /// <summary>
    /// Makes a context's connection without waiting for etcd: it may be wanted for its parameters alone.
    /// </summary>
    public override InterceptionResult<DbConnection> ConnectionCreating(
        ConnectionCreatingEventData eventData, InterceptionResult<DbConnection> result) =>
        !result.HasResult && eventData.Context?.Database.GetConnectionString() == source.ConnectionString
            ? InterceptionResult<DbConnection>.SuppressWithResult(source.CreateForLater())
            : result;   // the application has given the context a string of its own

    public override InterceptionResult ConnectionOpening(
        DbConnection connection, ConnectionEventData eventData, InterceptionResult result)
    {
        if (!IsOurs(connection, eventData, result, out var own, out var context))
        {
            return result;
        }
        if (s_leaveClosed.Value)
        {
            if (!source.IsRight(own))
            {
                Bind(context);
            }
            return result;
        }
        TakeUnlessSame(context, own, source.OpenForLater(own));
        return InterceptionResult.Suppress();   // it is open already
    }

    public override async ValueTask<InterceptionResult> ConnectionOpeningAsync(
        DbConnection connection, ConnectionEventData eventData, InterceptionResult result,
        CancellationToken cancellationToken = default)
    {
        if (!IsOurs(connection, eventData, result, out var own, out var context))
        {
            return result;
        }
        if (s_leaveClosed.Value)
        {
            if (!source.IsRight(own))
            {
                await BindAsync(context, cancellationToken).ConfigureAwait(false);
            }
            return result;
        }
        TakeUnlessSame(context, own, await source.OpenForLaterAsync(own, cancellationToken).ConfigureAwait(false));
        return InterceptionResult.Suppress();
    }

    private bool IsOurs(
        DbConnection connection, ConnectionEventData eventData, InterceptionResult result,
        [NotNullWhen(true)] out NpgsqlConnection? own,
        [NotNullWhen(true)] out DbContext? context)
    {
        (own, context) = (connection as NpgsqlConnection, eventData.Context);
        return !result.IsSuppressed && context is not null && own is not null && source.Owns(own);
    }

    private void Bind(DbContext context)
    {
        NpgsqlConnection bound;
        try
        {
            bound = source.OpenForLater(null);
            bound.Close();
        }
        catch (PostgresException problem) when (problem.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            bound = source.CreateForLater();   // the provider is about to find out that there is no such database
        }
        Take(context, bound);
    }

    private async ValueTask BindAsync(DbContext context, CancellationToken cancellationToken)
    {
        NpgsqlConnection bound;
        try
        {
            bound = await source.OpenForLaterAsync(null, cancellationToken).ConfigureAwait(false);
            await bound.CloseAsync().ConfigureAwait(false);
        }
        catch (PostgresException problem) when (problem.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            bound = source.CreateForLater();
        }
        Take(context, bound);
    }

    private static void TakeUnlessSame(DbContext context, NpgsqlConnection own, NpgsqlConnection opened)
    {
        if (!ReferenceEquals(own, opened))
        {
            Take(context, opened);
        }
    }

    private static void Take(DbContext context, NpgsqlConnection connection)
    {
        for (var nested = 0; ; nested++)
        {
            try
            {
                context.Database.SetDbConnection(connection, contextOwnsConnection: true);
                return;
            }
            catch (InvalidOperationException) when (nested < MostNestedOpens)
            {
                // The application opened it by OpenConnection, and it broke. EF Core counts it as open until it is
                // closed as often.
                context.Database.CloseConnection();
            }
        }
    }

    private sealed class Restore(bool before) : IDisposable
    {
        public void Dispose() => s_leaveClosed.Value = before;
    }
}
