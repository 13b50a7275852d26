using System.Collections.Immutable;
using System.Text.Json;
using Routing.Settings.Postgres;

namespace Routing.Agent.Config;

/// <summary><c>bootstrap</c>: how a new cluster is made.</summary>
public sealed record BootstrapSettings
{
    /// <summary>
    /// <c>dcs</c>, with <c>bootstrap.postgresql</c> merged under its <c>postgresql</c>: the first dynamic
    /// configuration.
    /// </summary>
    public required JsonElement Dcs { get; init; }

    /// <summary>
    /// Nothing in the section is wrong. If something is, this node makes no new cluster, and may join one.
    /// </summary>
    public bool IsUsable { get; init; } = true;

    /// <summary><c>initdb</c>: options, checked against those that the agent sets itself.</summary>
    public ImmutableArray<ProgramOption> InitDb { get; init; } = [];

    /// <summary><c>pg_hba</c>: lines appended to the file that initdb made.</summary>
    public ImmutableArray<string> PgHba { get; init; } = [];

    /// <summary>
    /// <c>post_bootstrap</c> or <c>post_init</c>: a command, called once on the new primary with a connection string.
    /// </summary>
    public string? PostBootstrapCommand { get; init; }

    /// <summary>
    /// The top-level list <c>post_bootstrap</c>: SQL texts run once on the new primary as superuser, in order.
    /// </summary>
    public ImmutableArray<string> PostBootstrapSql { get; init; } = [];

    /// <summary><c>method</c> when it names a section with a command; null: initdb.</summary>
    public CustomBootstrapSettings? Custom { get; init; }
}

/// <summary>A custom bootstrap method.</summary>
public sealed record CustomBootstrapSettings
{
    /// <summary>The section's name.</summary>
    public required string Name { get; init; }

    /// <summary><c>command</c>, split like a shell does.</summary>
    public required string Command { get; init; }

    /// <summary><c>no_params</c>: call it without <c>--scope</c> and <c>--datadir</c>.</summary>
    public bool NoParameters { get; init; }

    /// <summary><c>keep_existing_recovery_conf</c>.</summary>
    public bool KeepExistingRecoveryConf { get; init; }

    /// <summary><c>recovery_conf</c>: exactly these recovery settings; null: none were given.</summary>
    public ImmutableSortedDictionary<string, string>? RecoveryConf { get; init; }

    /// <summary>Every other key, to be passed as <c>--key=value</c>.</summary>
    public ImmutableSortedDictionary<string, string> Arguments { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty;
}
