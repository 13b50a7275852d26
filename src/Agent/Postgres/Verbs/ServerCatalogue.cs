using System.Globalization;
using Npgsql;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>What the local server knows of its parameters.</summary>
internal sealed class ServerCatalogue(ServerContext context)
{
    /// <summary>
    /// The parameters by name, in any case; null when the server does not run, or does not answer.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, ParameterDefinition>?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var session = await context.Connections.OpenAsync(ServerSession.Heartbeat, cancellationToken);
            await using var command = new NpgsqlCommand(ParameterDefinition.Query, session.Connection);
            command.AllResultTypesAreUnknown = true;
            await using var row = await command.ExecuteReaderAsync(cancellationToken);
            var parameters = new Dictionary<string, ParameterDefinition>(StringComparer.OrdinalIgnoreCase);
            while (await row.ReadAsync(cancellationToken))
            {
                var definition = ParameterDefinition.FromRow(column => row.IsDBNull(column)
                    ? null
                    : Convert.ToString(row.GetValue(column), CultureInfo.InvariantCulture));
                parameters[definition.Name] = definition;
            }
            return parameters.Count == 0 ? null : parameters;
        }
        catch (Exception silent) when (silent is IOException or NpgsqlException)
        {
            return null;   // the loop tells of a server that does not answer
        }
    }
}
