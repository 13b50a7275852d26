using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Configuration;

/// <summary>
/// The password file that libpq's programs and the WAL receiver read (PostgreSQL manual, "The Password File").
/// </summary>
internal static class PasswordFile
{
    /// <summary>
    /// Writes one line per address and user that has a password; whole or not at all, readable by nobody else.
    /// </summary>
    public static void Write(string path, IEnumerable<(string Host, int Port, PostgresUser User)> entries)
    {
        var text = new StringBuilder();
        foreach (var (host, port, user) in entries)
        {
            if (user.Password is not { } password)
            {
                continue;
            }
            Append(host);
            if (host.StartsWith('/'))
            {
                Append("localhost");   // what libpq looks for when it connects by the default socket directory
            }

            void Append(string name) => text.Append(CultureInfo.InvariantCulture,
                $"{Escape(name)}:{port}:*:{Escape(user.Username)}:{Escape(password)}\n");
        }
        WholeFile.Replace(path, text.ToString());
    }

    /// <summary>As above, for the users that connect to one member: replication and rewinding.</summary>
    public static void Write(string path, HostPort address, AuthenticationSettings users) =>
        Write(path, [address], users);

    /// <summary>As above, for several servers.</summary>
    public static void Write(string path, ImmutableArray<HostPort> addresses, AuthenticationSettings users) => Write(
        path,
        from address in addresses
        from user in new[] { users.Replication, users.RewindOrSuperuser }.DistinctBy(user => user.Username)
        select (address.Host, address.Port, user));

    private static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace(":", "\\:", StringComparison.Ordinal);
}
