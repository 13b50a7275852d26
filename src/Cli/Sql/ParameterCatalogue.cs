using System.Collections.Immutable;
using System.Globalization;
using Npgsql;
using Routing.Cluster;

namespace Routing.Cli.Sql;

/// <summary>Reads what a server knows of its parameters.</summary>
internal static class ParameterCatalogue
{
    private const string Query = """
        SELECT name, vartype, unit, min_val, max_val, array_to_string(enumvals, ','), context FROM pg_settings
        WHERE pg_has_role(current_user, 'pg_read_all_settings', 'member')
        """;

    /// <summary>The parameters by name, in any case; null when the user may not see all of them.</summary>
    /// <exception cref="NpgsqlException">No answer, or a refusal.</exception>
    public static async Task<IReadOnlyDictionary<string, ParameterDefinition>?> ReadAsync(
        SqlLogin login, HostPort address, CancellationToken cancellationToken)
    {
        await using var connection = await login.OpenAsync(address, cancellationToken);
        await using var command = new NpgsqlCommand(Query, connection) { AllResultTypesAreUnknown = true };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var parameters = new Dictionary<string, ParameterDefinition>(StringComparer.OrdinalIgnoreCase);
        while (await reader.ReadAsync(cancellationToken))
        {
            var name = reader.GetString(0);
            parameters[name] = new ParameterDefinition(
                name, reader.GetString(1), Text(2), Number(Text(3)), Number(Text(4)), Words(Text(5)),
                reader.GetString(6));
        }
        return parameters.Count == 0 ? null : parameters;

        string? Text(int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
    }

    private static double? Number(string? text) =>
        text is null ? null : double.Parse(text, CultureInfo.InvariantCulture);

    private static ImmutableArray<string> Words(string? text) => text is null ? [] : [.. text.Split(',')];
}
