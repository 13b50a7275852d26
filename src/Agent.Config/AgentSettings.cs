using System.Collections.Immutable;
using System.Text.Json;
using Routing.Dcs;
using Routing.Hosting.Logging;

namespace Routing.Agent.Config;

/// <summary>
/// The local configuration of one agent: its file with the environment over it. The cluster's own settings stand in the
/// DCS.
/// </summary>
public sealed record AgentSettings
{
    /// <summary>The files or the variable that this was read from, for messages.</summary>
    public required string Source { get; init; }

    /// <summary><c>scope</c>: the cluster's name. Not reloadable.</summary>
    public required string Scope { get; init; }

    /// <summary><c>name</c>: this node's name, unique in the cluster. Not reloadable.</summary>
    public required string Name { get; init; }

    /// <summary><c>namespace</c>: the prefix of the cluster's keys. Default <c>/service</c>. Not reloadable.</summary>
    public string Namespace { get; init; } = "/service";

    /// <summary><c>site</c>: where this node stands, such as a data centre; null: sites play no part.</summary>
    public string? Site { get; init; }

    /// <summary><c>log</c>.</summary>
    public required LogSettings Log { get; init; }

    /// <summary><c>restapi</c>.</summary>
    public required RestSettings Rest { get; init; }

    /// <summary><c>ctl</c>: the agent's own requests to other members' REST.</summary>
    public required CtlSettings Ctl { get; init; }

    /// <summary><c>etcd3</c> (or <c>etcd</c>).</summary>
    public required EtcdOptions Etcd { get; init; }

    /// <summary><c>bootstrap</c>; null: this node never initialises a new cluster.</summary>
    public BootstrapSettings? Bootstrap { get; init; }

    /// <summary><c>postgresql</c>.</summary>
    public required PostgresSettings Postgres { get; init; }

    /// <summary><c>watchdog</c>.</summary>
    public WatchdogSettings Watchdog { get; init; } = new();

    /// <summary><c>pgbackrest</c>; null: none, so no restore of the living cluster and no checks of backups.</summary>
    public PgBackRestSettings? PgBackRest { get; init; }

    /// <summary><c>tags</c> as published in the member key.</summary>
    public ImmutableSortedDictionary<string, JsonElement> Tags { get; init; } =
        ImmutableSortedDictionary<string, JsonElement>.Empty.WithComparers(StringComparer.Ordinal);
}
