using System.Collections.Immutable;
using Routing.Agent.Config;
using Routing.Agent.Native;
using Routing.Agent.Postgres.Configuration;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Programs;

/// <summary>
/// How a program of libpq's, or a user's script, connects: a connection string without secrets, and its environment.
/// </summary>
/// <remarks>
/// Command lines can be read by every user of the machine. The password comes from the password file, the one of the
/// client's key (<c>sslpassword</c>) from a service file (PostgreSQL manual, "The Connection Service File"); both are
/// readable by the agent's user alone.
/// </remarks>
/// <param name="Text">The connection string.</param>
/// <param name="Environment">Variables that belong to it.</param>
internal sealed record ProgramConnection(string Text, ImmutableDictionary<string, string?> Environment)
{
    private const string Service = "routing";
    private const string SecretKeyword = "sslpassword";

    /// <summary>
    /// A peer that goes dark is given up within a minute: else a copy or a rewind would wait for it as long as the
    /// kernel does, for hours.
    /// </summary>
    private static readonly ImmutableArray<KeyValuePair<string, string?>> s_patience =
    [
        new("connect_timeout", "10"),
        new("keepalives_idle", "10"),
        new("keepalives_interval", "5"),
        new("keepalives_count", "4"),
        new("tcp_user_timeout", "30000"),
    ];

    /// <summary>For a program of PostgreSQL's that reads from another member.</summary>
    /// <exception cref="InvalidDataException">The password of the key cannot stand in a service file.</exception>
    public static ProgramConnection ForProgram(
        AgentSettings settings, PostgresUser user, HostPort address, PostgresConfig config, int majorVersion,
        string? application = null)
    {
        var connection = Of(settings, user, address, settings.Postgres.PasswordFile, config, majorVersion, application);
        return connection with { Text = $"{connection.Text} {ConnectionText.Write(s_patience)}" };
    }

    /// <summary>
    /// For a user's script: the keywords that every reader of such texts knows. The password file comes by environment.
    /// </summary>
    /// <exception cref="InvalidDataException">The password of the key cannot stand in a service file.</exception>
    public static ProgramConnection ForScript(
        AgentSettings settings, PostgresUser user, HostPort address, PostgresConfig config, int majorVersion)
    {
        var connection = Of(settings, user, address, null, config, majorVersion, null);
        return connection
            with { Environment = connection.Environment.SetItem("PGPASSFILE", settings.Postgres.PasswordFile) };
    }

    private static ProgramConnection Of(
        AgentSettings settings, PostgresUser user, HostPort address, string? passwordFile, PostgresConfig config,
        int majorVersion,
        string? application)
    {
        var environment = ImmutableDictionary<string, string?>.Empty;
        if (config.KerberosServiceName is { } service)
        {
            environment = environment.SetItem("PGKRBSRVNAME", service);
        }
        var text = RecoverySettings.ConnectionStringFor(
            user with { Options = user.Options.Remove(SecretKeyword) }, address, settings.Postgres.Database,
            passwordFile, majorVersion,
            application);
        if (user.OptionsFor(majorVersion).FirstOrDefault(option => option.Key == SecretKeyword).Value is not { } secret)
        {
            return new ProgramConnection(text, environment);
        }
        var file = settings.Postgres.PasswordFile + ".service";
        WriteService(file, secret);
        return new ProgramConnection($"{ConnectionText.Write([new("service", Service)])} {text}",
            environment.SetItem("PGSERVICEFILE", file));
    }

    private static void WriteService(string file, string secret)
    {
        // A service file knows no quotes: its reader takes a line as it is, without the blanks at its end.
        if (secret.AsSpan().IndexOfAny('\n', '\r', '\0') >= 0 || secret.Length != secret.TrimEnd().Length)
        {
            throw new InvalidDataException(
                "sslpassword has a line break or a blank at its end; libpq's service file, which keeps it off the "
                    + "command line, cannot hold that");
        }
        WholeFile.Replace(file, $"[{Service}]\n{SecretKeyword}={secret}\n");
    }
}
