using System.Runtime.CompilerServices;
using Npgsql;

namespace Routing.Driver.Members;

/// <summary>
/// Reads the initializer that an application has set on Npgsql's builder, which has room for one, so that it runs
/// beside the driver's own.
/// </summary>
/// <remarks>
/// Npgsql does not show it. A test tells when a newer version keeps it elsewhere; there it would be replaced, in all
/// pools alike.
/// </remarks>
internal static class MemberInitializer
{
    public static ConnectionInitializer Of(NpgsqlDataSourceBuilder builder)
    {
        try
        {
            var inner = Inner(builder);
            return new ConnectionInitializer(Sync(inner), Async(inner));
        }
        catch (MissingFieldException)
        {
            return default;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_internalBuilder")]
    private static extern ref NpgsqlSlimDataSourceBuilder Inner(NpgsqlDataSourceBuilder builder);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_connectionInitializer")]
    private static extern ref Action<NpgsqlConnection>? Sync(NpgsqlSlimDataSourceBuilder builder);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_connectionInitializerAsync")]
    private static extern ref Func<NpgsqlConnection, Task>? Async(NpgsqlSlimDataSourceBuilder builder);
}
