using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Routing.Cluster;
using Routing.Dcs;
using Routing.Driver.Members;
using Routing.Driver.Routes;
using Routing.Driver.Settings;
using Routing.Driver.Topology;

namespace Routing.Driver;

/// <summary>Makes a <see cref="RoutingDataSource"/>.</summary>
public sealed class RoutingDataSourceBuilder
{
    private Action<NpgsqlDataSourceBuilder>? _configureMember;
    private ILoggerFactory? _loggerFactory;
    private ConnectionInitializer _initialize;

    /// <summary>
    /// Begins with a string: <c>Cluster=orders;Etcd=10.0.0.1:2379,10.0.0.2:2379;Database=…;Username=…</c>.
    /// </summary>
    /// <exception cref="ArgumentException">A keyword or a value is not understood.</exception>
    public RoutingDataSourceBuilder(string connectionString)
        : this(RoutingConnectionString.Parse(
            connectionString ?? throw new ArgumentNullException(nameof(connectionString))))
    {
    }

    /// <summary>Begins with settings.</summary>
    public RoutingDataSourceBuilder(RoutingOptions? options = null) => Options = options ?? new RoutingOptions();

    /// <summary>The settings; they may be changed until <see cref="Build"/>.</summary>
    public RoutingOptions Options { get; }

    /// <summary>
    /// The name of the data source, part of its pools' names in Npgsql's metrics; default the cluster's name.
    /// </summary>
    public string? Name { get; set; }

    internal TimeProvider Time { get; set; } = TimeProvider.System;

    internal Random Random { get; set; } = new();

    internal IClusterViews? Views { get; set; }

    /// <summary>
    /// Configures Npgsql; called once by <see cref="Build"/> as a check, and for each pool with a fresh builder. Host,
    /// port, name and time-out are set afterwards.
    /// </summary>
    /// <remarks>
    /// A physical connection initializer set here runs in all pools, after the driver's check of the role and after
    /// <see cref="UsePhysicalConnectionInitializer"/>.
    /// </remarks>
    public RoutingDataSourceBuilder ConfigureMember(Action<NpgsqlDataSourceBuilder> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        _configureMember += configure;
        return this;
    }

    /// <summary>
    /// What to do on each new connection before it is used, as Npgsql's own method of this name; after the driver's
    /// check of the role.
    /// </summary>
    public RoutingDataSourceBuilder UsePhysicalConnectionInitializer(
        Action<NpgsqlConnection> initialize, Func<NpgsqlConnection, Task> initializeAsync)
    {
        ArgumentNullException.ThrowIfNull(initialize);
        ArgumentNullException.ThrowIfNull(initializeAsync);
        _initialize = new ConnectionInitializer(initialize, initializeAsync);
        return this;
    }

    /// <summary>Where log messages go, Npgsql's too.</summary>
    public RoutingDataSourceBuilder UseLoggerFactory(ILoggerFactory? loggerFactory)
    {
        _loggerFactory = loggerFactory;
        return this;
    }

    /// <summary>
    /// Makes the data source and begins to follow the cluster. Nothing is waited for: the first open does that.
    /// </summary>
    /// <exception cref="ArgumentException">A setting is wrong or missing; the message says which.</exception>
    public RoutingDataSource Build()
    {
        RoutingConnectionString.Check(Options);
        var loggerFactory = _loggerFactory ?? NullLoggerFactory.Instance;
        var factory = new MemberPoolFactory(
            Name ?? Options.Cluster, Options, _configureMember, _initialize, loggerFactory, Time);
        // A mistake in the settings of Npgsql shows here, with itself as the exception, and not when a member is first
        // met.
        factory.Create("check", new HostPort("localhost", 5432), PoolPurpose.Read, new TypeChanges()).Dispose();
        var topology = Views is null ? SharedTopology.Take(Options, loggerFactory, Time)
            : SharedTopology.Own(Views, loggerFactory);
        return new RoutingDataSource(new ClusterRouter(Options, topology, factory, loggerFactory, Time), Options.Target,
            Random, isOwner: true);
    }
}
