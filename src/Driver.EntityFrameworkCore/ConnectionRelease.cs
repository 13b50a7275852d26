using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace Routing.Driver.EntityFrameworkCore;

/// <summary>
/// Takes the closed connection from a pooled context when its lease ends. The next lease makes one, to the member that
/// is right then, also for an application that opens what <c>GetDbConnection()</c> gives without EF Core.
/// </summary>
internal sealed class ConnectionRelease(IRelationalConnection connection, IDbContextOptions options)
    : IResettableService
{
    private readonly RoutingDataSource _source = options.FindExtension<RoutingOptionsExtension>()!.Source;

    public void ResetState()
    {
        (connection as IResettableService)?.ResetState();   // whatever the order: it is closed now
        Release();
    }

    public async Task ResetStateAsync(CancellationToken cancellationToken = default)
    {
        if (connection is IResettableService resettable)
        {
            await resettable.ResetStateAsync(cancellationToken).ConfigureAwait(false);
        }
        Release();
    }

    private void Release()
    {
        if (connection.DbConnection is NpgsqlConnection own && _source.Owns(own))
        {
            connection.SetDbConnection(null, contextOwnsConnection: true);
        }
    }
}
