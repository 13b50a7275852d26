using System.Globalization;
using Routing.Cluster.Text;

namespace Routing.Agent.Postgres.Configuration;

/// <summary>Compares a controlled parameter's configured value with pg_settings. None of them has a unit.</summary>
internal static class ParameterValue
{
    /// <summary>Whether both mean the same.</summary>
    /// <param name="configured">As in a configuration file: <c>yes</c>, <c>0100</c>.</param>
    /// <param name="setting">pg_settings.setting: <c>on</c>, <c>100</c>.</param>
    /// <param name="type">pg_settings.vartype: bool, integer, enum, string.</param>
    public static bool Same(string configured, string setting, string type) => type switch
    {
        "bool" => Scalars.TryBoolean(configured, out var left) && Scalars.TryBoolean(setting, out var right)
            && left == right,
        "integer" => Number(configured) is { } wanted && wanted == Number(setting),
        "enum" => configured.Equals(setting, StringComparison.OrdinalIgnoreCase),
        _ => configured == setting,
    };

    private static long? Number(string text) =>
        long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : null;
}
