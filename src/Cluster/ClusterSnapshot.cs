using System.Collections.Immutable;
using System.Globalization;

namespace Routing.Cluster;

/// <summary>Everything the DCS held at one revision. Read once, shared freely, never changed.</summary>
public sealed record ClusterSnapshot
{
    /// <summary>The DCS's own counter: larger is newer; gaps are normal.</summary>
    public required long Revision { get; init; }

    /// <summary>The life of the store that <see cref="Revision"/>, and every revision in here, belongs to.</summary>
    public StoreLife Life { get; init; }

    /// <summary>The leader key; null while no member holds it.</summary>
    public LeaderKey? Leader { get; init; }

    /// <summary>
    /// A leader key that came back with a restored store and is not proven: it counts as free, so
    /// <see cref="Leader"/> is null. Null when there is none.
    /// </summary>
    public LeaderKey? Returned { get; init; }

    /// <summary>The members by name, in ordinal order.</summary>
    public ImmutableSortedDictionary<string, Member> Members { get; init; } =
        ImmutableSortedDictionary<string, Member>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>The dynamic configuration; null when the key is missing or is not a JSON object.</summary>
    public DynamicConfig? Config { get; init; }

    /// <summary>The <c>initialize</c> key.</summary>
    public InitializeKey Initialize { get; init; }

    /// <summary>
    /// The timeline history; null when the key is missing or broken (then the cluster's timeline is unknown).
    /// </summary>
    public TimelineHistory? History { get; init; }

    /// <summary>A request for a change of leader; null when there is none (also for an empty record).</summary>
    public FailoverRequest? Failover { get; init; }

    /// <summary>The living cluster is taken back in time; null: it is not.</summary>
    public RestoreRequest? Restore { get; init; }

    /// <summary>What a leader has announced, as it was written; see <see cref="Intent"/>. Null: nothing.</summary>
    public SwitchoverIntent? Switchover { get; init; }

    /// <summary>The routers that have registered, by their names.</summary>
    public ImmutableSortedDictionary<string, RouterRecord> Routers { get; init; } =
        ImmutableSortedDictionary<string, RouterRecord>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>The synchronous state; <see cref="SyncState.None"/> without a key.</summary>
    public SyncState Sync { get; init; } = SyncState.None;

    /// <summary>The leader's position and slots.</summary>
    public LeaderStatus Status { get; init; } = LeaderStatus.None;

    /// <summary>Whether the <c>status</c> key exists; only without it does <see cref="LegacyOptime"/> count.</summary>
    public bool HasStatusKey { get; init; }

    /// <summary>The leader's position as versions before 2.1 publish it; null when they don't.</summary>
    public Lsn? LegacyOptime { get; init; }

    /// <summary>Our own keys below <c>routing/</c>, by their key below the base path, as they were written.</summary>
    public ImmutableSortedDictionary<string, string> RoutingKeys { get; init; } =
        ImmutableSortedDictionary<string, string>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>Failsafe members: name to api_url; null when the key is missing or not an object.</summary>
    public ImmutableSortedDictionary<string, string>? Failsafe { get; init; }

    /// <summary>Keys whose value could not be read, with the reason: shown, never fatal.</summary>
    public ImmutableArray<KeyProblem> Problems { get; init; } = [];

    /// <summary>
    /// The leader of now is about to hand over. Null: it is not. What an earlier leader has announced, or this one in
    /// an earlier term, counts for nothing.
    /// </summary>
    public SwitchoverIntent? Intent =>
        Switchover is { CalledOff: null } intent && Leader is { } key && key.Holder == intent.Leader
        && key.Term.Revision == intent.Term
            ? intent
            : null;

    /// <summary>The leader's own member record, when there is one.</summary>
    public Member? LeaderMember => Leader is { } leader ? Members.GetValueOrDefault(leader.Holder) : null;

    /// <summary>
    /// False: the leader key may have come back with a restored store, and nothing shows that its holder still leads.
    /// It is proven by a write of the key in this life, or of the holder's own record as that of a primary.
    /// </summary>
    public bool IsLeaderProven => Leader is not { } leader || Life.HasWritten(leader.ModRevision)
        || (LeaderMember is { Role: Role.Primary or Role.StandbyLeader } member && Life.HasWritten(member.ModRevision));

    /// <summary>The life of a leader's lease without a renewal, by the configuration.</summary>
    public TimeSpan LeaseTtl => (Config?.Timing ?? Timing.Default).Ttl;

    /// <summary>The cluster's timeline by its history; 0 when unknown.</summary>
    public uint Timeline => History?.CurrentTimeline ?? 0;

    /// <summary>The highest timeline that any member has opened or was about to, by all keys; 0 when unknown.</summary>
    public uint UsedTimeline => UsedTimelines.DefaultIfEmpty(0u).Max();

    /// <summary>
    /// The timelines that were opened or were about to be, by each key that names one: the history, our own key, the
    /// members.
    /// </summary>
    public IEnumerable<uint> UsedTimelines
    {
        get
        {
            yield return Timeline;
            if (RoutingKeys.TryGetValue(ClusterKeys.Timeline, out var text)
                && uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var reserved))
            {
                yield return reserved;
            }
            foreach (var member in Members.Values)
            {
                yield return member.Timeline ?? 0;
            }
        }
    }

    /// <summary>The last time that its primary made room for that of a remote cluster; null: it never did.</summary>
    public CleanDemotion? Demotion => CleanDemotion.Read(RoutingKeys.GetValueOrDefault(ClusterKeys.Demotion));

    /// <summary>An empty cluster at revision 0.</summary>
    public static readonly ClusterSnapshot Empty = new() { Revision = 0 };
}

/// <summary>A key whose value could not be read.</summary>
/// <param name="Key">The key below the base path, such as <c>members/a</c>.</param>
/// <param name="Problem">What is wrong with it, in one sentence.</param>
public sealed record KeyProblem(string Key, string Problem);
