namespace Routing.Agent.Config;

/// <summary>
/// <c>pgbackrest</c>: where the backups of this cluster are, for restores of the living cluster, backups and checks.
/// </summary>
public sealed record PgBackRestSettings
{
    /// <summary><c>stanza</c>: this cluster's part of the repository.</summary>
    public required string Stanza { get; init; }

    /// <summary><c>command</c>: the program. Default <c>pgbackrest</c>.</summary>
    public string Command { get; init; } = "pgbackrest";

    /// <summary><c>config</c>: its configuration file; null: where it looks by itself.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>
    /// <c>maximum_age</c>: <c>routingctl check</c> names a last backup that is older. Default 26 h.
    /// </summary>
    public TimeSpan MaximumAge { get; init; } = TimeSpan.FromHours(26);

    /// <summary>The words that every command begins with: the program's own, and those that name the stanza.</summary>
    public IReadOnlyList<string> Words => ConfigFile is null
        ? [Command, $"--stanza={Stanza}"]
        : [Command, $"--config={ConfigFile}", $"--stanza={Stanza}"];

    /// <summary>A command for PostgreSQL's own settings, which a shell runs.</summary>
    public string ForShell(string what) => string.Join(' ', Words.Select(Quoted)) + " " + what;

    private static string Quoted(string word) => $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
