using Microsoft.Extensions.Logging;
using Routing.Cli.Terminal;
using Routing.Dcs;
using Routing.Dcs.Etcd;

namespace Routing.Cli;

/// <summary>Opens the keys of one cluster.</summary>
/// <param name="options">How to reach etcd.</param>
/// <param name="clusterNamespace">What stands before the scope; <c>service</c> when empty.</param>
/// <param name="scope">The cluster's name, with its Citus group as a further part.</param>
/// <param name="time">The clock of its timeouts.</param>
/// <param name="loggers">Where it logs.</param>
internal delegate IClusterStore OpenStore(
    EtcdOptions options, string? clusterNamespace, string scope, TimeProvider time, ILoggerFactory loggers);

/// <summary>Everything that the program takes from the outside.</summary>
/// <param name="Screen">Prompts, output and errors.</param>
/// <param name="Time">The clock, and the local time zone.</param>
/// <param name="Variables">The environment's variables.</param>
internal sealed record CtlEnvironment(Screen Screen, TimeProvider Time, IReadOnlyDictionary<string, string> Variables)
{
    /// <summary>Opens clusters; etcd unless a test says otherwise.</summary>
    public OpenStore OpenStore { get; init; } =
        (options, clusterNamespace, scope, time, loggers) =>
            new EtcdClusterStore(options, clusterNamespace, scope, time, loggers);

    /// <summary>The source of random numbers, for a choice among equals.</summary>
    public Random Random { get; init; } = new();

    /// <summary>The value of a variable; null when it is unset or empty.</summary>
    public string? Variable(string name) =>
        Variables.TryGetValue(name, out var value) && value.Length > 0 ? value : null;
}
