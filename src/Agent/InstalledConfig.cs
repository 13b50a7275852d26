namespace Routing.Agent;

/// <summary>Where an installed agent finds its configuration, when no file is given.</summary>
internal static class InstalledConfig
{
    /// <summary>The agent's own file.</summary>
    public const string Own = "/etc/routing/agent.yml";

    /// <summary>
    /// The files in the order in which they are looked for. Behind the agent's own stand Patroni's: of Debian's
    /// <c>patroni.service</c>, and of the one in PGDG's packages for EL.
    /// </summary>
    public static IReadOnlyList<string> Files { get; } = [Own, "/etc/patroni/config.yml", "/etc/patroni/patroni.yml"];

    /// <summary>The first of <see cref="Files"/> that exists; null: none does.</summary>
    /// <param name="exists">Whether a file exists.</param>
    public static string? Find(Func<string, bool> exists) => Files.FirstOrDefault(exists);
}
