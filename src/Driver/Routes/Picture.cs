using Npgsql;
using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Dcs;
using Routing.Driver.Members;

namespace Routing.Driver.Routes;

/// <summary>
/// One view of the cluster and all that follows from it; swapped whole. Routes are made when they are first asked for.
/// </summary>
internal sealed class Picture
{
    private readonly RoutingOptions _options;
    private readonly MemberPools _pools;
    private readonly ClusterSnapshot _routed;   // the view's, without a leader that is about to hand over
    private readonly Route?[] _routes = new Route?[Targets.Count];

    /// <param name="view">The view.</param>
    /// <param name="options">What the application has set.</param>
    /// <param name="pools">The pools.</param>
    /// <param name="held">The leader is about to hand over, and nothing new goes to it; null: it is not.</param>
    public Picture(ClusterView view, RoutingOptions options, MemberPools pools, SwitchoverIntent? held = null)
    {
        View = view;
        _options = options;
        _pools = pools;
        _routed = held is null ? view.Snapshot : view.Snapshot with { Leader = null };
        var leader = HostChooser.LeaderOf(_routed, view.HighestTerm, out var reason);
        NoLeaderReason = held is not null ? $"{held.Leader} is about to hand over" : leader is null ? reason : null;
        LeaderPool = leader is null ? null : pools[leader.Name, leader.Address!.Value, PoolPurpose.Write];
        HeldPool = held is not null && HostChooser.LeaderOf(view.Snapshot, view.HighestTerm, out _) is { } leaving
            ? pools[leaving.Name, leaving.Address!.Value, PoolPurpose.Write]
            : null;
        CandidatePool = held?.Candidate is { } candidate
            && view.Snapshot.Members.GetValueOrDefault(candidate) is { Address: { } address } named
            && named.State == PostgresState.Running
            ? pools[candidate, address, PoolPurpose.Write]
            : null;
    }

    public ClusterView View { get; }

    public Term HighestTerm => View.HighestTerm;

    /// <summary>The pool for writes; null: no member may be written to.</summary>
    public MemberPool? LeaderPool { get; }

    /// <summary>
    /// The pool for writes of a leader that is about to hand over: nothing new is opened there, and what is in use runs
    /// on. Null: none is.
    /// </summary>
    public MemberPool? HeldPool { get; }

    /// <summary>
    /// The pool for writes of the member that the leader is about to hand over to; null: it names none that runs.
    /// </summary>
    public MemberPool? CandidatePool { get; }

    /// <summary>Why there is no leader; null: there is one.</summary>
    public string? NoLeaderReason { get; }

    /// <summary>Whether the source of the topology has answered at all.</summary>
    public bool IsKnown => View.Snapshot.Revision != 0;

    /// <summary>Completes when a newer picture is there.</summary>
    public TaskCompletionSource Superseded { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Where connections for a target go.</summary>
    public Route RouteFor(TargetSessionAttributes target) => _routes[(int)target] ??= Build(target);

    /// <summary>The members that have replayed at least a position on a timeline, by what they published.</summary>
    public Route RouteFor(CausalToken token)
    {
        var request =
            Targets.RequestFor(TargetSessionAttributes.Standby, _options) with { Fallback = LeaderFallback.Never };
        var hosts = HostChooser.Select(_routed, HighestTerm, request);
        var onTimeline = hosts.Members.Where(member => member.Timeline == token.Timeline).ToList();
        var reached = onTimeline.FindAll(
            member => (member.ReplayLsn ?? member.XlogLocation) is { } replayed && replayed.Value >= (ulong)token.Lsn);
        var chosen = reached.Count > 0 ? reached : onTimeline;
        return Build(request, new HostSet
        {
            Members = [.. chosen],
            TierEnds = chosen.Count > 0 ? [chosen.Count] : [],
            Verdicts = hosts.Verdicts,
            Leader = hosts.Leader,
            Term = hosts.Term,
        });
    }

    private Route Build(TargetSessionAttributes target)
    {
        var request = Targets.RequestFor(target, _options);
        return Build(request, HostChooser.Select(_routed, HighestTerm, request));
    }

    private Route Build(HostRequest request, HostSet hosts)
    {
        var wantsPrimary = request.Role is WantedRole.Primary or WantedRole.PreferPrimary;
        var pools = new MemberPool[hosts.Members.Length];
        for (var at = 0; at < pools.Length; at++)
        {
            var member = hosts.Members[at];
            var purpose = wantsPrimary && ReferenceEquals(member, hosts.Leader) ? PoolPurpose.Write : PoolPurpose.Read;
            pools[at] = _pools[member.Name, member.Address!.Value, purpose];
        }
        return new Route(request.Policy, hosts, pools);
    }
}
