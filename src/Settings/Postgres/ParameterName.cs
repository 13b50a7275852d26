using System.Text.RegularExpressions;

namespace Routing.Settings.Postgres;

/// <summary>Names of PostgreSQL's parameters.</summary>
public static partial class ParameterName
{
    /// <summary>
    /// Whether a configuration file can hold a parameter of this name: letters, digits and underscores, perhaps a class
    /// and a dot before it.
    /// </summary>
    public static bool IsValid(string name) => Pattern().IsMatch(name);

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
