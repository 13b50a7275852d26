namespace Routing.Demo;

/// <summary>What the demonstration was asked to do; <c>./demo</c> passes the folders.</summary>
internal sealed record DemoOptions
{
    public const string Usage =
        "./demo [--scenario switchover|crash-primary|stop-agent|kill-node|stop-etcd|operator]";

    /// <summary>Runs unattended when given; else the cluster is shown until Ctrl-C.</summary>
    public ScenarioKind? Scenario { get; init; }

    /// <summary>Where everything of the demonstration lies; removed by <c>./demo</c> at the end.</summary>
    public required string Folder { get; init; }

    /// <summary>Holds <c>routing-agent</c> and <c>routingctl</c>.</summary>
    public required string Programs { get; init; }

    /// <summary>Holds PostgreSQL's programs.</summary>
    public required string PostgresPrograms { get; init; }

    /// <summary>How the user calls <c>routingctl</c>.</summary>
    public required string Routingctl { get; init; }

    public static DemoOptions? Parse(string[] args)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < args.Length; i++)
        {
            var (name, value) = args[i].Split('=', 2) is [var left, var right] ? (left, right) : (args[i], null);
            if (name is not ("--scenario" or "--folder" or "--programs" or "--postgres-programs" or "--routingctl"))
            {
                return null;
            }
            if (value is null && ++i < args.Length)
            {
                value = args[i];
            }
            values[name] = value ?? "";
        }
        ScenarioKind? scenario = null;
        if (values.TryGetValue("--scenario", out var wanted))
        {
            if (Scenarios.Named(wanted) is not { } kind)
            {
                return null;
            }
            scenario = kind;
        }
        return values.TryGetValue("--folder", out var folder) && values.TryGetValue("--programs", out var programs)
            && values.TryGetValue("--postgres-programs", out var postgres)
            ? new DemoOptions
            {
                Scenario = scenario,
                Folder = folder,
                Programs = programs,
                PostgresPrograms = postgres,
                Routingctl = values.GetValueOrDefault("--routingctl", "routingctl"),
            }
            : null;
    }
}
