using Routing.Cluster;
using Routing.Cluster.HostChoice;
using Routing.Cluster.Keys;

namespace Routing.Simulation.Tests;

/// <summary>
/// A router with one session: it follows the cluster by views that come late, not at all, or from an earlier time,
/// holds its session while the leader is about to hand over, and mostly says that it is ready.
/// </summary>
internal sealed class SimRouter(SimCluster cluster, string id)
{
    private static readonly TimeSpan s_holdTime = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_lateness = TimeSpan.FromMilliseconds(100);

    private readonly string _key = ClusterKeys.RoutersPrefix + id;
    private readonly List<ClusterSnapshot> _views = [];
    private Term _highest;
    private LeaderHold? _hold;
    private (string Member, Term Term)? _session;
    private long? _heldSince;
    private long _cutUntil;

    /// <summary>How many sessions were released, of all that were held.</summary>
    public int Released { get; private set; }

    /// <summary>Begins to follow.</summary>
    public void Begin()
    {
        cluster.Dcs.Put(_key, KeyWriter.Router(new RouterRecord(id, "sim", null, 0)));
        Follow();
    }

    private SimWorld World => cluster.World;

    private bool Holds => _hold is { IsOver: false } hold && _session?.Member == hold.Leader
        && World.Now < hold.GraceEnds + s_holdTime.Ticks;

    private void Follow()
    {
        if (World.Chance(0.002))
        {
            _cutUntil = World.Now + World.Between(500, 15_000).Ticks;
        }
        if (World.Now >= _cutUntil)
        {
            See(Look());
        }
        World.At(World.Between(5, 80), Follow);
    }

    private ClusterSnapshot Look()
    {
        var newest = cluster.Dcs.Snapshot;
        if (_views.Count == 0 || !ReferenceEquals(_views[^1], newest))
        {
            _views.Add(newest);
        }
        // As a source without revisions may answer.
        return World.Chance(0.05) ? World.Pick(_views) : newest;
    }

    private void See(ClusterSnapshot view)
    {
        var highest = view.Leader is { } key && key.Term > _highest ? key.Term : _highest;
        _highest = cluster.Options.RouterForgetsTerms ? view.Leader?.Term ?? default : highest;
        var before = _hold;
        _hold = LeaderHold.After(_hold, view, _highest, grace => World.Now + grace.Ticks);
        if (_hold is { IsOver: false } hold && hold.Id != before?.Id)
        {
            World.Note(id, $"holds for {hold.Leader} ({hold.Id})");
            World.At(World.Between(0, 300), () => ComeToRest(hold));
            if (!cluster.Options.RouterNeverGivesUp)
            {
                World.At(TimeSpan.FromTicks(hold.GraceEnds + s_holdTime.Ticks - World.Now), () => Release(view));
            }
        }
        Release(view);
        if (_session is null && HostChooser.LeaderOf(view, _highest, out _) is { } leader && !IsHeldBack(leader.Name))
        {
            _session = (leader.Name, view.Leader!.Term);
        }
    }

    private bool IsHeldBack(string member) =>
        _hold is { IsOver: false } hold && hold.Leader == member && World.Now < hold.GraceEnds + s_holdTime.Ticks;

    private void ComeToRest(LeaderHold hold)
    {
        if (_hold != hold || !Holds)
        {
            return;
        }
        _heldSince ??= World.Now;
        if (World.Chance(0.8))
        {
            // It may arrive when the leader waits no more, or be for an intent that is over.
            World.At(World.Between(1, 400), () => cluster.Dcs.Put(
                _key, KeyWriter.Router(new RouterRecord(id, "sim", hold.Id, 0))));
        }
        var latest = TimeSpan.FromTicks(hold.GraceEnds - World.Now) + s_holdTime + s_lateness;
        var since = _heldSince;
        World.At(latest, () =>
        {
            if (_heldSince == since && since is not null)
            {
                cluster.Invariants.Violated(
                    $"{id} holds a session of {hold.Leader} beyond the grace and its hold time");
            }
        });
    }

    private void Release(ClusterSnapshot view)
    {
        if (_session is not { } session)
        {
            return;
        }
        var leader = HostChooser.LeaderOf(view, _highest, out _);
        if (_heldSince is null)
        {
            // One that was not held is cut when another leads, as without an intent.
            _session = leader is not null && leader.Name != session.Member ? null : session;
            return;
        }
        if (Holds && !cluster.Options.RouterNeverGivesUp
            || (cluster.Options.RouterNeverGivesUp && _hold is { IsOver: false }))
        {
            return;
        }
        _heldSince = null;
        if (leader is null)
        {
            _session = null;   // nobody leads, and its time is over
            return;
        }
        Released++;
        if (view.Leader!.Term < session.Term)
        {
            cluster.Invariants.Violated(
                $"{id} releases a session of term {session.Term} to {leader.Name} of the lower term "
                    + $"{view.Leader.Term}");
        }
        World.Note(id, $"releases its session to {leader.Name}");
        _session = (leader.Name, view.Leader.Term);
    }
}
