using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;

namespace Routing.Driver;

/// <summary>
/// Healthy: a connection for the data source's target can be had. Degraded: it can, and the source of the topology is
/// silent. Otherwise the registration's failure status, with what was tried and what the topology said.
/// </summary>
/// <param name="source">The data source.</param>
public sealed class RoutingHealthCheck(RoutingDataSource source) : IHealthCheck
{
    /// <inheritdoc/>
    public async Task<HealthCheckResult> CheckHealthAsync(
        HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(context);
        try
        {
            var connection = await source.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            await using var _ = connection.ConfigureAwait(false);
            var command = new NpgsqlCommand("SELECT 1", connection);
            await using var __ = command.ConfigureAwait(false);
            await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception problem) when (problem is NpgsqlException or OperationCanceledException or TimeoutException)
        {
            var failed = source.Topology;
            return new HealthCheckResult(context.Registration.FailureStatus, problem.Message, problem, Facts(failed));
        }
        var topology = source.Topology;
        return topology.IsLive
            ? HealthCheckResult.Healthy(topology.ToString(), Facts(topology))
            : HealthCheckResult.Degraded(topology.ToString(), data: Facts(topology));
    }

    private static Dictionary<string, object> Facts(ClusterTopology topology) => new(StringComparer.Ordinal)
    {
        ["cluster"] = topology.Cluster,
        ["leader"] = topology.Leader ?? "",
        ["term"] = topology.Term,
        ["members"] = topology.Members.Length,
        ["live"] = topology.IsLive,
    };
}
