using System.Data.Common;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace Routing.Driver.EntityFrameworkCore;

/// <summary>Binds a context's connection when it is opened, not when it was made.</summary>
internal sealed class LateBindingInterceptor(RoutingDataSource source) : DbConnectionInterceptor
{
    private static readonly ConditionalWeakTable<RoutingDataSource, LateBindingInterceptor> s_known = [];

    public static LateBindingInterceptor For(RoutingDataSource source) =>
        s_known.GetValue(source, static one => new LateBindingInterceptor(one));

    public override InterceptionResult ConnectionOpening(
        DbConnection connection, ConnectionEventData eventData, InterceptionResult result)
    {
        if (!IsStale(connection, eventData, result))
        {
            return result;
        }
        eventData.Context!.Database.SetDbConnection(source.OpenForLater(), contextOwnsConnection: true);
        return InterceptionResult.Suppress();   // it is open already
    }

    public override async ValueTask<InterceptionResult> ConnectionOpeningAsync(
        DbConnection connection, ConnectionEventData eventData, InterceptionResult result,
        CancellationToken cancellationToken = default)
    {
        if (!IsStale(connection, eventData, result))
        {
            return result;
        }
        var fresh = await source.OpenForLaterAsync(cancellationToken).ConfigureAwait(false);
        eventData.Context!.Database.SetDbConnection(fresh, contextOwnsConnection: true);
        return InterceptionResult.Suppress();
    }

    private bool IsStale(DbConnection connection, ConnectionEventData eventData, InterceptionResult result) =>
        !result.IsSuppressed && eventData.Context is not null && connection is NpgsqlConnection npgsql
            && !source.IsRight(npgsql);
}
