using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace Routing.Driver.EntityFrameworkCore;

/// <summary>Puts the driver's services beside the provider's in each context.</summary>
internal sealed class RoutingOptionsExtension(RoutingDataSource source) : IDbContextOptionsExtension
{
    private DbContextOptionsExtensionInfo? _info;

    /// <summary>The data source that the context's own connections come from.</summary>
    public RoutingDataSource Source => source;

    public DbContextOptionsExtensionInfo Info => _info ??= new ExtensionInfo(this);

    public void ApplyServices(IServiceCollection services)
    {
        if (services.LastOrDefault(one =>
            one.ServiceType == typeof(IRelationalDatabaseCreator)) is not { ImplementationType: { } creator } provided)
        {
            throw NoProviderYet();
        }
        services.Remove(provided);
        services.AddScoped<IRelationalDatabaseCreator>(context => new LateBindingDatabaseCreator(
            source: context.GetRequiredService<IDbContextOptions>().FindExtension<RoutingOptionsExtension>()!.Source,
            creator: (IRelationalDatabaseCreator)ActivatorUtilities.CreateInstance(context, creator)));
        services.AddScoped<IResettableService, ConnectionRelease>();
    }

    public void Validate(IDbContextOptions options)
    {
    }

    private static InvalidOperationException NoProviderYet() =>
        new("UseRouting stands beside UseNpgsql, and after it: UseNpgsql(source).UseRouting(source).");

    private sealed class ExtensionInfo(IDbContextOptionsExtension extension) : DbContextOptionsExtensionInfo(extension)
    {
        public override bool IsDatabaseProvider => false;

        public override string LogFragment => "using Routing ";

        // The source is looked up in each context's options: one set of services serves all.
        public override int GetServiceProviderHashCode() => 0;

        public override bool ShouldUseSameServiceProvider(DbContextOptionsExtensionInfo other) =>
            other is ExtensionInfo;

        public override void PopulateDebugInfo(IDictionary<string, string> debugInfo) => debugInfo["Routing"] = "1";
    }
}
