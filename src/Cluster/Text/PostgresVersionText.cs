using System.Globalization;

namespace Routing.Cluster.Text;

/// <summary>
/// Reads the version of a PostgreSQL as operators write it: <c>X.Y</c> from 10 on, <c>X.Y.Z</c> before.
/// </summary>
public static class PostgresVersionText
{
    /// <summary>
    /// The number that the server shows as <c>server_version_num</c>: 15.18 is 150018, 9.6.3 is 90603.
    /// </summary>
    /// <param name="text">The version.</param>
    /// <param name="number">The number; 0 when the text is none.</param>
    public static bool TryParse(string? text, out int number)
    {
        number = 0;
        var parts = (text ?? "").Trim().Split('.');
        var values = new int[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out values[i])
                || values[i] > 99)
            {
                return false;
            }
        }
        number = values switch
        {
            [>= 10 and var major, var minor] => (major * 10_000) + minor,
            [var major, var minor, var patch] => (major * 10_000) + (minor * 100) + patch,
            _ => -1,
        };
        if (number >= 0)
        {
            return true;
        }
        number = 0;
        return false;
    }
}
