using Routing.Cluster;
using Routing.Ha;
using Xunit;

namespace Routing.Simulation.Tests;

/// <summary>
/// A cluster that follows a remote primary: faults on both sides, a switch to this side, and a switch back.
/// </summary>
public sealed class StandbyClusterTests
{
    [Fact]
    public void Two_clusters_switch_to_and_fro_and_lose_nothing()
    {
        var count = int.TryParse(Environment.GetEnvironmentVariable("ROUTING_SIM_COUNT"), out var wanted) ? wanted : 40;
        for (var seed = 1; seed <= count; seed++)
        {
            var problem = new Rig(seed).Run();

            Assert.True(problem is null, $"seed {seed}: {problem}\n{(problem is null ? "" : DiaryOf(seed))}");
        }
    }

    private static string DiaryOf(int seed)
    {
        var rig = new Rig(seed, keepDiary: true);
        rig.Run();
        return string.Join('\n', rig.Diary.TakeLast(120));
    }

    /// <summary>A cluster of three, and the primary of another one.</summary>
    private sealed class Rig
    {
        private const int RemotePort = 5999;
        private const string Followed = """{"host":"remote","port":5999}""";

        private readonly SimCluster _cluster;
        private readonly SimServer _remote;
        private readonly List<Commit> _acknowledged = [];
        private long _commits;
        private bool _isFollower = true;
        private bool _isCalm;
        private long _mayWriteUntil;
        private string? _problem;

        public Rig(int seed, bool keepDiary = false)
        {
            _cluster = new SimCluster(seed, new SimOptions
            {
                Faults = [Fault.CutFromDcs],   // the weather is made here
                Mode = (seed % 3) switch { 0 => SynchronousMode.Quorum, 1 => SynchronousMode.Priority, _ => default },
            }, keepDiary: keepDiary);
            _remote = new SimServer(World, _cluster.Network, "remote", RemotePort)
            {
                Acknowledged = (_, commit) => _acknowledged.Add(commit),
            };
            _cluster.Network.Add(_remote);
            foreach (var node in _cluster.Nodes)
            {
                node.Server.Acknowledged = (server, commit) =>
                {
                    _cluster.Invariants.CommitAcknowledged(server, commit);
                    _acknowledged.Add(commit);
                };
                node.Server.BecamePrimary = (server, wasPromoted) =>
                {
                    _cluster.Invariants.BecamePrimary(server, wasPromoted);
                    if (_isFollower && World.Now > _mayWriteUntil)
                    {
                        _problem ??= $"{server.Name} became a primary of a standby cluster";
                    }
                };
            }
            var check = World.AfterStep;
            World.AfterStep = () =>
            {
                check?.Invoke();
                if (_isFollower && World.Now > _mayWriteUntil
                    && _cluster.Nodes.Find(node => node.AcceptsWrites) is { } writer)
                {
                    _problem ??= $"{writer.Name} accepts writes in a standby cluster";
                }
            };
        }

        public IReadOnlyList<string> Diary => World.Diary ?? [];

        private SimWorld World => _cluster.World;

        private SimNode? Holder =>
            _cluster.Nodes.Find(node => node.Name == _cluster.Dcs.Snapshot.Leader?.Holder);

        /// <summary>One leads and streams from the remote primary; the others stream from it.</summary>
        private bool Follows =>
            Holder is { } leader && leader.Server.StreamsFrom == _remote
            && _cluster.Dcs.Snapshot.LeaderMember is { Role: Role.StandbyLeader, State: PostgresState.Running }
            && _cluster.Nodes.TrueForAll(node => node == leader || node.Server.StreamsFrom == leader.Server)
            && _cluster.Nodes.TrueForAll(node => node.Server.Timeline == _remote.Timeline);

        public string? Run()
        {
            _remote.Initialize("7555555555555555555");
            _remote.Start(asPrimary: true, null);
            Commits();
            Configure(Followed);
            _cluster.Nodes.ForEach(node => World.At(World.Between(0, 2000), node.StartAgent));
            if (!Until(() => Follows, 120, "the cluster is made as a copy of the remote primary"))
            {
                return Problem;
            }
            Storm();
            _ = Until(() => Follows, 180, "after the faults all follow again") && Mistake() && SwitchHere()
                && SwitchBack();
            return Problem;
        }

        private string? Problem => _problem ?? _cluster.Invariants.Violation;

        /// <summary>
        /// The section is taken away while the remote primary runs: nobody is promoted, whatever fails in the cluster
        /// while the remote primary can be asked.
        /// </summary>
        private bool Mistake()
        {
            Configure(null);
            for (var i = 0; i < 6; i++)
            {
                World.At(World.Between(1000, 15000), () => Strike(World.Random.Next(2)));
            }
            World.RunUntil(() => Problem is not null, TimeSpan.FromSeconds(20));
            _cluster.Network.MendAll();
            _cluster.Nodes.ForEach(node => node.StartAgent());
            Configure(Followed);
            return Until(() => Follows, 180, "after a mistake all follow again");
        }

        /// <summary>The remote primary ends cleanly, and this cluster is promoted when it has everything.</summary>
        private bool SwitchHere()
        {
            _remote.StopFast();
            if (!Until(() => _remote.Life == Life.Down && Holder is { } leader && leader.Server.End >= _remote.End, 60,
                "the standby leader has all that the remote primary has written"))
            {
                return false;
            }
            _isFollower = false;
            Configure(null);
            if (!Until(() => _cluster.Leader is not null, 90, "the standby leader is promoted"))
            {
                return false;
            }
            var before = _acknowledged.Count;
            return Holds(_cluster.Leader!.Server)
                && Until(() => _acknowledged.Count > before + 10 && _cluster.IsWhole, 120, "the cluster serves");
        }

        /// <summary>The remote side comes back as a standby, this side makes room, and it is promoted.</summary>
        private bool SwitchBack()
        {
            _remote.Start(asPrimary: false, new Upstream(new HostPort("here", _cluster.Leader!.Server.Port), null));
            if (!Until(() => _remote.StreamsFrom is { AcceptsWrites: true }, 60, "the remote side streams from here"))
            {
                return false;
            }
            _isFollower = true;
            _mayWriteUntil = World.Now + TimeSpan.FromSeconds(30).Ticks;
            Configure(Followed);
            if (!Until(() => _cluster.Dcs.Snapshot.Demotion is not null, 30, "the primary has made room")
                || !Until(() => _remote.End >= _cluster.Dcs.Snapshot.Demotion!.Lsn.Value, 30,
                    "the remote side has everything"))
            {
                return false;
            }
            _mayWriteUntil = World.Now;
            if (!Holds(_remote))
            {
                return false;
            }
            _remote.Promote(0, World.Between(20, 400));
            return Until(() => Follows, 120, "all follow the remote primary again");
        }

        /// <summary>Half a minute in which servers, agents and links fail, here and there.</summary>
        private void Storm()
        {
            for (var at = World.Between(500, 3000); at < TimeSpan.FromSeconds(30); at += World.Between(500, 5000))
            {
                World.At(at, Strike);
            }
            World.RunUntil(() => Problem is not null, TimeSpan.FromSeconds(30));
            _isCalm = true;   // the remote primary comes back at once, and by no strike any more
            _cluster.Network.MendAll();
            foreach (var node in _cluster.Nodes)
            {
                Link(node, DcsLink.Open);
                node.StartAgent();
            }
            if (_remote.Life == Life.Down)
            {
                _remote.Start(asPrimary: true, null);
            }
        }

        private void Strike() => Strike(World.Random.Next(6));

        private void Strike(int kind)
        {
            var node = _cluster.Nodes[World.Random.Next(_cluster.Nodes.Count)];
            var lasts = World.Between(200, 9000);
            switch (kind)
            {
                case 0:
                    node.Server.Kill("a crash");
                    break;
                case 1:
                    node.KillAgent("a crash");
                    World.At(lasts, node.StartAgent);
                    break;
                case 2:
                    _cluster.Network.Isolate(node.Name);
                    World.At(lasts, () => _cluster.Network.Join(node.Name));
                    break;
                case 3:
                    Link(node, DcsLink.RequestsLost);
                    World.At(lasts, () => Link(node, DcsLink.Open));
                    break;
                case 4:
                    _cluster.Network.Isolate(_remote.Name);
                    World.At(lasts, () => _cluster.Network.Join(_remote.Name));
                    break;
                default:
                    _remote.Kill("a crash");
                    World.At(lasts, () =>
                    {
                        if (!_isCalm)
                        {
                            _remote.Start(asPrimary: true, null);
                        }
                    });
                    break;
            }
        }

        private static void Link(SimNode node, DcsLink link)
        {
            node.DcsLink = link;
            node.ApplyLinks();
        }

        private void Configure(string? section)
        {
            var config = _cluster.ConfigElement.GetRawText();
            _cluster.Dcs.Put(ClusterKeys.Config, section is null
                ? config
                : $$"""{{config[..config.LastIndexOf('}')]}},"standby_cluster":{{section}}}""");
        }

        private bool Holds(SimServer server)
        {
            var held = server.Wal.Select(record => record.Commit).OfType<Commit>().ToHashSet();
            if (_acknowledged.Find(commit => !held.Contains(commit)) is { } lost)
            {
                _problem ??= $"{server.Name} lacks commit {lost.Id}, which {lost.AcknowledgedBy} acknowledged";
            }
            return Problem is null;
        }

        private bool Until(Func<bool> condition, int seconds, string what)
        {
            World.RunUntil(() => Problem is not null || condition(), TimeSpan.FromSeconds(seconds));
            if (Problem is null && !condition())
            {
                _problem = $"not within {seconds} s: {what}: {_cluster.Describe()}; remote {_remote.Life}, "
                    + $"timeline {_remote.Timeline}";
            }
            return Problem is null;
        }

        /// <summary>A client tries every server, always.</summary>
        private void Commits()
        {
            _remote.TryCommit(new Commit(++_commits));
            foreach (var node in _cluster.Nodes)
            {
                if (node.AcceptsWrites)
                {
                    node.Server.TryCommit(new Commit(++_commits));
                }
            }
            World.At(World.Between(50, 300), Commits);
        }
    }
}
