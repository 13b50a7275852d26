using System.Collections.Immutable;
using System.Text.Json;

namespace Routing.Cluster;

/// <summary>How commits wait for standbys.</summary>
public enum SynchronousMode
{
    /// <summary>They don't.</summary>
    Off,

    /// <summary>For named standbys, by priority.</summary>
    Priority,

    /// <summary>For any k of the voters.</summary>
    Quorum,
}

/// <summary>
/// The <c>config</c> key: settings that hold for every member. Typed where the agent uses them; the rest is kept.
/// </summary>
/// <remarks>
/// A value that is wrong or out of range does not spoil the others: its default holds and <see cref="Problems"/> names
/// it.
/// </remarks>
public sealed record DynamicConfig
{
    /// <summary>The whole object as it was read.</summary>
    public required JsonElement Raw { get; init; }

    /// <summary>The revision of the key's last write: to compare with at the next one.</summary>
    public long ModRevision { get; init; }

    /// <summary>
    /// <c>ttl</c>, <c>loop_wait</c> and <c>retry_timeout</c> as written (defaults 30, 10, 10 s), before any correction.
    /// </summary>
    public Timing Timing { get; init; } = Timing.Default;

    /// <summary><c>pause</c>: automatic actions are suspended. Default false.</summary>
    public bool Pause { get; init; }

    /// <summary><c>maximum_lag_on_failover</c>, bytes. Default 1 MiB.</summary>
    public long MaximumLagOnFailoverBytes { get; init; } = 1_048_576;

    /// <summary><c>maximum_lag_on_syncnode</c>, bytes; 0 or less: off. Default -1.</summary>
    public long MaximumLagOnSyncNodeBytes { get; init; } = -1;

    /// <summary><c>check_timeline</c>: a candidate must be on the cluster's timeline. Default false.</summary>
    public bool CheckTimeline { get; init; }

    /// <summary>
    /// <c>primary_start_timeout</c>: time to restart a crashed primary; zero: fail over at once. Default 300 s.
    /// </summary>
    public TimeSpan PrimaryStartTimeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary><c>primary_stop_timeout</c>: bound for stopping in synchronous mode; zero: none. Default 0.</summary>
    public TimeSpan PrimaryStopTimeout { get; init; }

    /// <summary>
    /// <c>primary_race_backoff</c>: how long a standby that still receives WAL postpones the race. Default 0.
    /// </summary>
    public TimeSpan PrimaryRaceBackoff { get; init; }

    /// <summary>
    /// <c>switchover_grace</c>: how long a leader waits for quiet before it hands over; zero: a switchover is not
    /// announced. Default 2 s.
    /// </summary>
    public TimeSpan SwitchoverGrace { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// <c>switchover_strict</c>: without quiet in that time the switchover is called off. Default false.
    /// </summary>
    public bool SwitchoverStrict { get; init; }

    /// <summary><c>max_timelines_history</c>: lines kept in the history; 0: all. Default 0.</summary>
    public int MaximumHistoryLines { get; init; }

    /// <summary><c>synchronous_mode</c>. Default off.</summary>
    public SynchronousMode SynchronousMode { get; init; }

    /// <summary><c>synchronous_mode_strict</c>: a commit waits while there is no standby. Default false.</summary>
    public bool SynchronousModeStrict { get; init; }

    /// <summary><c>synchronous_node_count</c>. Default 1.</summary>
    public int SynchronousNodeCount { get; init; } = 1;

    /// <summary>
    /// <c>failsafe_mode</c>: the leader stays while the DCS is silent, as long as every member consents. Default false.
    /// </summary>
    public bool FailsafeMode { get; init; }

    /// <summary><c>member_slots_ttl</c>: how long the slot of an absent member is kept. Default 30 min.</summary>
    public TimeSpan MemberSlotsTtl { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary><c>slots</c> (or its older names): slots that always exist, by name.</summary>
    public ImmutableSortedDictionary<string, PermanentSlot> PermanentSlots { get; init; } =
        ImmutableSortedDictionary<string, PermanentSlot>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary><c>ignore_slots</c>: slots that the agent leaves alone.</summary>
    public ImmutableArray<SlotMatcher> IgnoreSlots { get; init; } = [];

    /// <summary><c>standby_cluster</c>; null unless it names a host, a port or a restore_command.</summary>
    public StandbyClusterConfig? StandbyCluster { get; init; }

    /// <summary>
    /// <c>routing_promote_beside_remote</c>: without <c>standby_cluster</c> its leader is promoted though a remote
    /// server is a primary of the same database. Default false.
    /// </summary>
    public bool PromoteBesideRemote { get; init; }

    /// <summary><c>routing_health</c>: what is done about a server that is unwell.</summary>
    public HealthConfig Health { get; init; } = HealthConfig.Default;

    /// <summary><c>postgresql.use_slots</c>. Default true.</summary>
    public bool UseSlots { get; init; } = true;

    /// <summary><c>postgresql.use_pg_rewind</c>. Default false. A local setting has precedence.</summary>
    public bool UseRewind { get; init; }

    /// <summary>The <c>postgresql</c> object, or an undefined element when there is none.</summary>
    public JsonElement Postgresql { get; init; }

    /// <summary>What was wrong in the object, one sentence per value: path, value, what is allowed.</summary>
    public ImmutableArray<string> Problems { get; init; } = [];

    /// <summary>Every default, as when the key holds <c>{}</c>.</summary>
    public static DynamicConfig Default { get; } = new() { Raw = JsonElement.Parse("{}") };
}

/// <summary>A slot that always exists.</summary>
/// <param name="IsLogical">
/// Logical (with <paramref name="Database"/> and <paramref name="Plugin"/>) or physical.
/// </param>
/// <param name="Database">The database of a logical slot.</param>
/// <param name="Plugin">The output plugin of a logical slot.</param>
/// <param name="ClusterType"><c>primary</c> or <c>standby</c>: only in such a cluster; null: in both.</param>
public sealed record PermanentSlot(bool IsLogical, string? Database, string? Plugin, string? ClusterType);

/// <summary>Matches slots: every attribute that is given must fit.</summary>
/// <param name="Name">The slot's name.</param>
/// <param name="Type"><c>physical</c> or <c>logical</c>.</param>
/// <param name="Database">Its database.</param>
/// <param name="Plugin">Its plugin.</param>
public sealed record SlotMatcher(string? Name, string? Type, string? Database, string? Plugin);

