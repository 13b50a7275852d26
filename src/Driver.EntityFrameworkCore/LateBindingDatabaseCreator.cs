using Microsoft.EntityFrameworkCore.Storage;

namespace Routing.Driver.EntityFrameworkCore;

/// <summary>
/// Creates and deletes databases as the provider does, at the leader, after it has emptied the pools.
/// </summary>
/// <remarks>
/// The provider asks whether a database exists with a connection of its own, made after the context's. So within these
/// methods the context's connection is bound to the right member and left closed.
/// </remarks>
internal sealed class LateBindingDatabaseCreator(RoutingDataSource source, IRelationalDatabaseCreator creator)
    : IRelationalDatabaseCreator
{
    public bool Exists() => Run(creator.Exists);

    public Task<bool> ExistsAsync(CancellationToken cancellationToken = default) =>
        RunAsync(creator.ExistsAsync, cancellationToken);

    public bool HasTables() => Run(creator.HasTables);

    public Task<bool> HasTablesAsync(CancellationToken cancellationToken = default) =>
        RunAsync(creator.HasTablesAsync, cancellationToken);

    public void Create() => Change(() =>
    {
        creator.Create();
        return true;
    });

    public Task CreateAsync(CancellationToken cancellationToken = default) => ChangeAsync(
        async token =>
        {
            await creator.CreateAsync(token).ConfigureAwait(false);
            return true;
        },
        cancellationToken);

    public void Delete() => Change(() =>
    {
        creator.Delete();
        return true;
    });

    public Task DeleteAsync(CancellationToken cancellationToken = default) => ChangeAsync(
        async token =>
        {
            await creator.DeleteAsync(token).ConfigureAwait(false);
            return true;
        },
        cancellationToken);

    public void CreateTables() => Run(() =>
    {
        creator.CreateTables();
        return true;
    });

    public Task CreateTablesAsync(CancellationToken cancellationToken = default) => RunAsync(
        async token =>
        {
            await creator.CreateTablesAsync(token).ConfigureAwait(false);
            return true;
        },
        cancellationToken);

    public string GenerateCreateScript() => creator.GenerateCreateScript();

    public bool EnsureDeleted() => Change(creator.EnsureDeleted);

    public Task<bool> EnsureDeletedAsync(CancellationToken cancellationToken = default) =>
        ChangeAsync(creator.EnsureDeletedAsync, cancellationToken);

    public bool EnsureCreated() => Run(creator.EnsureCreated);

    public Task<bool> EnsureCreatedAsync(CancellationToken cancellationToken = default) =>
        RunAsync(creator.EnsureCreatedAsync, cancellationToken);

    public bool CanConnect() => Run(creator.CanConnect);

    public Task<bool> CanConnectAsync(CancellationToken cancellationToken = default) =>
        RunAsync(creator.CanConnectAsync, cancellationToken);

    private static T Run<T>(Func<T> work)
    {
        using (LateBindingInterceptor.LeaveClosed())
        {
            return work();
        }
    }

    private static async Task<T> RunAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        using (LateBindingInterceptor.LeaveClosed())
        {
            return await work(cancellationToken).ConfigureAwait(false);
        }
    }

    // A database is there anew, or not at all: sessions with the old one are of no use, and keep it from being deleted.
    private T Change<T>(Func<T> work)
    {
        source.Clear();
        try
        {
            return Run(work);
        }
        finally
        {
            source.TypesMayHaveChanged();
        }
    }

    private async Task<T> ChangeAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        source.Clear();
        try
        {
            return await RunAsync(work, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            source.TypesMayHaveChanged();
        }
    }
}
