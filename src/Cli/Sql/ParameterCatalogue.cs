using Npgsql;
using Routing.Cluster;

namespace Routing.Cli.Sql;

/// <summary>Reads what a server knows of its parameters.</summary>
internal static class ParameterCatalogue
{
    /// <summary>The parameters by name, in any case; null when the user may not see all of them.</summary>
    /// <exception cref="NpgsqlException">No answer, or a refusal.</exception>
    public static async Task<IReadOnlyDictionary<string, ParameterDefinition>?> ReadAsync(
        SqlLogin login, HostPort address, CancellationToken cancellationToken)
    {
        await using var connection = await login.OpenAsync(address, cancellationToken);
        await using var command =
            new NpgsqlCommand(ParameterDefinition.Query, connection) { AllResultTypesAreUnknown = true };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var parameters = new Dictionary<string, ParameterDefinition>(StringComparer.OrdinalIgnoreCase);
        while (await reader.ReadAsync(cancellationToken))
        {
            var definition =
                ParameterDefinition.FromRow(column => reader.IsDBNull(column) ? null : reader.GetString(column));
            parameters[definition.Name] = definition;
        }
        return parameters.Count == 0 ? null : parameters;
    }
}
