// Experimental; the one place where Npgsql tells that it loads types. Tests hold it to that.
#pragma warning disable NPG9001, NPG9002, NPG9003
using System.Data;
using Npgsql;
using Npgsql.Internal;
using Npgsql.Internal.Postgres;
using Npgsql.TypeMapping;

namespace Routing.Driver.Members;

/// <summary>
/// Sees when a pool's data source loads the database's types: at its first login, and when the application asks for it.
/// </summary>
internal sealed class TypeLoadObserver
{
    private static readonly AsyncLocal<bool> s_isOwn = new();
    private int _loads;

    /// <summary>
    /// Called when the application has made the data source load its types anew, on one of its connections.
    /// </summary>
    public Action? Reloaded { get; set; }

    /// <summary>Takes part in a builder's data source.</summary>
    public void Observe(NpgsqlDataSourceBuilder builder) =>
        ((INpgsqlTypeMapper)builder).AddDbTypeResolverFactory(new Factory(this));

    /// <summary>Loads the types anew for the driver itself: that is not told to <see cref="Reloaded"/>.</summary>
    public static async Task ReloadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        s_isOwn.Value = true;   // seen only by what is called from here
        await connection.ReloadTypesAsync(cancellationToken).ConfigureAwait(false);
    }

    private void Loaded()
    {
        if (Interlocked.Increment(ref _loads) > 1 && !s_isOwn.Value)
        {
            Reloaded?.Invoke();
        }
    }

    private sealed class Factory(TypeLoadObserver observer) : DbTypeResolverFactory
    {
        public override IDbTypeResolver CreateDbTypeResolver(NpgsqlDatabaseInfo databaseInfo)
        {
            observer.Loaded();
            return Nothing.Instance;
        }
    }

    /// <summary>Resolves nothing: Npgsql goes on with its own.</summary>
    private sealed class Nothing : IDbTypeResolver
    {
        public static readonly Nothing Instance = new();

        public string? GetDataTypeName(DbType dbType, Type? type) => null;

        public DbType? GetDbType(DataTypeName dataTypeName) => null;
    }
}
