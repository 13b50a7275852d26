using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Routing.Cluster;

namespace Routing.Settings.Postgres;

/// <summary>The section <c>postgresql</c> of the dynamic configuration. Pure.</summary>
public static class DynamicPostgresSection
{
    /// <summary>What stands in each member's own file: here it has no effect.</summary>
    public static ImmutableArray<string> LocalNames { get; } =
    [
        "connect_address", "proxy_address", "listen", "config_dir", "config_base_name", "data_dir", "bin_dir",
        "bin_name", "database", "pgpass", "authentication",
    ];

    /// <summary>Reads it. A wrong value counts as missing.</summary>
    /// <param name="config">The dynamic configuration.</param>
    /// <param name="problems">Takes one sentence for each wrong value.</param>
    public static SharedPostgresSettings Read(DynamicConfig config, ImmutableArray<string>.Builder problems)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(problems);
        if (config.Postgresql.ValueKind != JsonValueKind.Object)
        {
            return new SharedPostgresSettings();
        }
        var report = new SettingsReport();
        var section =
            new SectionReader(new SettingsTree(), report, "postgresql", JsonObject.Create(config.Postgresql));
        section.Ignore(LocalNames.AsSpan());
        var shared = PostgresSectionReader.ReadShared(section);
        problems.AddRange(report.Errors
            .Where(error =>
                !config.Problems.Any(known => known.StartsWith($"{error.Path} ", StringComparison.Ordinal)))
            .Select(error => error.ToString()));
        return shared;
    }

    /// <summary>
    /// What is wrong in it by itself, whatever the file of a member says: one sentence each, with the path, the value
    /// and what is allowed.
    /// </summary>
    public static ImmutableArray<string> ProblemsOf(DynamicConfig config)
    {
        var problems = ImmutableArray.CreateBuilder<string>();
        var shared = Read(config, problems);
        var given = shared.Parameters ?? SharedPostgresSettings.NoParameters;
        foreach (var parameters in shared.RoleParameters.Values.Append(given)
            .Append(shared.RecoveryConf ?? SharedPostgresSettings.NoParameters))
        {
            problems.AddRange(Unwritable(parameters).Values);
        }
        foreach (var _ in ControlledParameters.From(given, (problem, _) => problems.Add(problem)))
        {
            // reading a value reports what is wrong with it
        }
        return problems.ToImmutable();
    }

    /// <summary>The parameters that no configuration file can hold, by name, with the reason.</summary>
    public static IReadOnlyDictionary<string, string> Unwritable(
        ImmutableSortedDictionary<string, string> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return parameters
            .Where(pair => !ParameterName.IsValid(pair.Key) || pair.Value.Contains('\0', StringComparison.Ordinal))
            .ToDictionary(pair => pair.Key, pair => ParameterName.IsValid(pair.Key)
                ? $"postgresql.parameters.{pair.Key}: its value holds a null character"
                : $"postgresql.parameters: '{pair.Key}' is no name of a parameter");
    }
}
