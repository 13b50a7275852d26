using System.Data.Common;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using Routing.Driver;
using Routing.Driver.Settings;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the driver.</summary>
public static class RoutingServiceCollectionExtensions
{
    /// <summary>
    /// Registers a data source by one string: <c>Cluster=orders;Etcd=10.0.0.1:2379;Database=…;Username=…</c>.
    /// </summary>
    /// <inheritdoc cref="AddRoutingDataSource(IServiceCollection, Action{RoutingOptions},
    /// Action{IServiceProvider, RoutingDataSourceBuilder}?, string?)"/>
    public static IServiceCollection AddRoutingDataSource(
        this IServiceCollection services, string connectionString,
        Action<IServiceProvider, RoutingDataSourceBuilder>? configure = null, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(connectionString);
        var parsed = RoutingConnectionString.Parse(connectionString);   // a wrong string fails here, where it stands
        return Add(services, options => parsed.CopyTo(options), configure, name);
    }

    /// <summary>
    /// Registers a data source whose settings stand in a section of the configuration. Its keys are the names of the
    /// options, or keywords of the connection string, Npgsql's too; a key that is neither is refused when the host
    /// starts.
    /// </summary>
    /// <inheritdoc cref="AddRoutingDataSource(IServiceCollection, Action{RoutingOptions},
    /// Action{IServiceProvider, RoutingDataSourceBuilder}?, string?)"/>
    public static IServiceCollection AddRoutingDataSource(
        this IServiceCollection services, IConfiguration section,
        Action<IServiceProvider, RoutingDataSourceBuilder>? configure = null, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(section);
        return Add(services, options => RoutingSection.Read(section, options), configure, name);
    }

    /// <summary>
    /// Registers a data source: <see cref="RoutingDataSource"/> and <see cref="DbDataSource"/> with the settings' own
    /// target, and under the keys of <see cref="RoutingServiceKeys"/> for writes, reads and causal reads. The settings
    /// are checked when the host starts.
    /// </summary>
    /// <param name="services">The services.</param>
    /// <param name="options">Sets the settings.</param>
    /// <param name="configure">Goes on with the builder: Npgsql's settings for each member, initializers.</param>
    /// <param name="name">
    /// For a second cluster: a name; then all is registered under keys alone (<see cref="RoutingServiceKeys.Of"/>).
    /// </param>
    public static IServiceCollection AddRoutingDataSource(
        this IServiceCollection services, Action<RoutingOptions> options,
        Action<IServiceProvider, RoutingDataSourceBuilder>? configure = null, string? name = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(options);
        return Add(services, options, configure, name);
    }

    /// <summary>Adds a health check that opens a connection (<see cref="RoutingHealthCheck"/>).</summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="name">The check's name. Default <c>postgresql</c>.</param>
    /// <param name="serviceKey">
    /// The key of the data source: one of <see cref="RoutingServiceKeys"/>; null: the one without a key.
    /// </param>
    /// <param name="failureStatus">What a failure means; null: unhealthy.</param>
    /// <param name="tags">Tags of the check.</param>
    /// <param name="timeout">The longest that it takes; null: 5 s.</param>
    public static IHealthChecksBuilder AddRoutingDataSource(
        this IHealthChecksBuilder builder, string name = "postgresql", object? serviceKey = null,
        Diagnostics.HealthChecks.HealthStatus? failureStatus = null, IEnumerable<string>? tags = null,
        TimeSpan? timeout = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new Diagnostics.HealthChecks.HealthCheckRegistration(
            name,
            provider => new RoutingHealthCheck(serviceKey is null
                ? provider.GetRequiredService<RoutingDataSource>()
                : provider.GetRequiredKeyedService<RoutingDataSource>(serviceKey)),
            failureStatus, tags, timeout ?? TimeSpan.FromSeconds(5)));
    }

    private static IServiceCollection Add(
        IServiceCollection services, Action<RoutingOptions> set,
        Action<IServiceProvider, RoutingDataSourceBuilder>? configure, string? name)
    {
        var optionsName = name ?? Options.Options.DefaultName;
        services.AddOptions<RoutingOptions>(optionsName).Configure(set).ValidateOnStart();
        services.TryAddEnumerable(
            ServiceDescriptor.Singleton<IValidateOptions<RoutingOptions>, RoutingOptionsValidator>());

        // The root alone owns the pools; the container may dispose of the others as often as it likes.
        object rootKey = name ?? (object)RootKey;
        services.AddKeyedSingleton(rootKey, (provider, _) =>
        {
            var builder = new RoutingDataSourceBuilder(
                provider.GetRequiredService<IOptionsMonitor<RoutingOptions>>().Get(optionsName)) { Name = name };
            builder.UseLoggerFactory(provider.GetService<ILoggerFactory>());
            configure?.Invoke(provider, builder);
            return builder.Build();
        });
        if (name is null)
        {
            services.AddSingleton(provider => provider.GetRequiredKeyedService<RoutingDataSource>(rootKey));
            services.AddSingleton<DbDataSource>(
                provider => provider.GetRequiredKeyedService<RoutingDataSource>(rootKey));
            services.AddScoped(
                provider => provider.GetRequiredKeyedService<CausalDataSource>(RoutingServiceKeys.Causal));
        }
        AddKeyed(services, rootKey, Key(RoutingServiceKeys.Write), _ => TargetSessionAttributes.Primary);
        AddKeyed(services, rootKey, Key(RoutingServiceKeys.Read), root =>
            root.Router.Options.Target is TargetSessionAttributes.Standby or TargetSessionAttributes.ReadOnly
                ? root.Router.Options.Target
                : TargetSessionAttributes.PreferStandby);
        services.AddKeyedScoped(Key(RoutingServiceKeys.Causal), (provider, _) =>
            new CausalDataSource(provider.GetRequiredKeyedService<RoutingDataSource>(rootKey)));
        services.AddKeyedScoped<DbDataSource>(Key(RoutingServiceKeys.Causal), (provider, key) =>
            provider.GetRequiredKeyedService<CausalDataSource>(key));
        return services;

        string Key(string key) => name is null ? key : RoutingServiceKeys.Of(name, key);
    }

    private const string RootKey = "Routing.Driver";

    private static void AddKeyed(IServiceCollection services, object rootKey, string key,
        Func<RoutingDataSource, TargetSessionAttributes> target)
    {
        services.AddKeyedSingleton(key, (provider, _) =>
        {
            var root = provider.GetRequiredKeyedService<RoutingDataSource>(rootKey);
            return root.WithTarget(target(root));
        });
        services.AddKeyedSingleton<DbDataSource>(
            key, (provider, same) => provider.GetRequiredKeyedService<RoutingDataSource>(same));
    }
}
