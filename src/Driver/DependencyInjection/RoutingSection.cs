using System.Data.Common;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Routing.Driver.Settings;

namespace Routing.Driver;

/// <summary>
/// Reads a section of the configuration into options. It takes what the connection string takes, and refuses what it
/// does not know.
/// </summary>
internal static class RoutingSection
{
    /// <summary>Names of properties that differ from the keyword of the string.</summary>
    private static readonly Dictionary<string, string> s_keywords = new(StringComparer.OrdinalIgnoreCase)
    {
        [nameof(RoutingOptions.Target)] = "Target Session Attributes",
        [nameof(RoutingOptions.ConnectTimeout)] = "Timeout",
    };

    /// <summary>
    /// Sets what the section says. What it can't understand goes to <see cref="RoutingOptions.ConfigurationProblems"/>.
    /// </summary>
    public static void Read(IConfiguration section, RoutingOptions options)
    {
        var npgsql = new DbConnectionStringBuilder();
        foreach (var entry in section.GetChildren())
        {
            try
            {
                Read(entry, options, npgsql);
            }
            catch (Exception problem) when (problem is FormatException or ArgumentException or InvalidCastException)
            {
                options.ConfigurationProblems.Add($"{PathOf(entry)}: {problem.Message}");
            }
        }
        if (npgsql.Count > 0)
        {
            // After the whole string: what stands by itself has precedence over what stands in it.
            options.ConnectionString = options.ConnectionString.Length == 0
                ? npgsql.ConnectionString
                : $"{options.ConnectionString.TrimEnd(';')};{npgsql.ConnectionString}";
        }
    }

    private static void Read(IConfigurationSection entry, RoutingOptions options, DbConnectionStringBuilder npgsql)
    {
        var keyword = s_keywords.GetValueOrDefault(entry.Key, entry.Key);
        if (keyword.Equals(nameof(RoutingOptions.ConnectionString), StringComparison.OrdinalIgnoreCase))
        {
            options.ConnectionString = entry.Value ?? "";
            return;
        }
        var children = entry.GetChildren().ToList();
        var values = children.Count == 0
            ? [entry.Value ?? ""]
            : Plain(keyword) is "RequiredTags"
                ? children.ConvertAll(child => $"{child.Key}:{child.Value}")
                : children.ConvertAll(child => int.TryParse(child.Key, out _) && child.Value is { } value
                    ? value
                    : throw new FormatException("It must be one value, or a list of values."));
        if (children.Count > 1 && Plain(keyword) is not ("Etcd" or "Rest" or "RequiredTags"))
        {
            throw new FormatException("It must be one value.");
        }
        foreach (var value in values)
        {
            if (RoutingConnectionString.TrySet(options, keyword, value))
            {
                continue;
            }
            if (!new NpgsqlConnectionStringBuilder().ContainsKey(keyword))
            {
                throw new FormatException("It is no setting of the driver, and none of Npgsql's.");
            }
            npgsql[keyword] = value;
        }
    }

    private static string Plain(string keyword) =>
        new[] { nameof(RoutingOptions.Etcd), nameof(RoutingOptions.Rest), nameof(RoutingOptions.RequiredTags) }
            .FirstOrDefault(
                one => one.Equals(keyword.Replace(" ", "", StringComparison.Ordinal),
                    StringComparison.OrdinalIgnoreCase)) ?? keyword;

    private static string PathOf(IConfigurationSection entry) => entry.Path.Length > 0 ? entry.Path : entry.Key;
}
