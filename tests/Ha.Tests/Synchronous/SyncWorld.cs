using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Synchronous;

namespace Routing.Ha.Tests.Synchronous;

/// <summary>
/// A small model of a replicating cluster: logs of numbered commits, one primary, standbys that come and go.
/// </summary>
/// <remarks>Made to be obviously right and not clever: what counts as lost is found by trying every race.</remarks>
internal sealed class SyncWorld(Random random, string[] names, Func<SyncObservation, SyncObservation> eyes)
{
    private sealed class Node
    {
        public List<int> Log { get; set; } = [];
        public uint Timeline { get; set; } = 1;
        public bool Connected { get; set; }
    }

    private readonly Dictionary<string, Node> _nodes = names.ToDictionary(name => name, _ => new Node());
    private readonly List<string> _diary = [];
    private int _nextCommit = 1;
    private int _acknowledged;      // the length of the leader's log that clients were told about
    private int _forkedAt;          // the length of the leader's log when it was promoted
    private long _revision = 1;
    private TimeSpan _now;
    private SyncMemory _memory = SyncMemory.Empty;

    /// <summary>The leader died and nobody was promoted since: nothing is written, sent or acknowledged.</summary>
    public bool IsLeaderless { get; private set; }

    /// <summary>A planted bug: candidates compare positions alone.</summary>
    public bool IgnoresTimelines { get; init; }

    public string Leader { get; private set; } = names[0];
    public string StandbyNames { get; private set; } = "";
    public SyncState Sync { get; private set; } = SyncState.None;
    public DynamicConfig Config { get; set; } = DynamicConfig.Default;
    public string Diary => string.Join('\n', _diary);

    public void Configure(SynchronousMode mode, int count, bool strict)
    {
        Config = Config with { SynchronousMode = mode, SynchronousNodeCount = count, SynchronousModeStrict = strict };
        Note($"config {mode} {count} {(strict ? "strict" : "")}");
    }

    public void Write()
    {
        if (IsLeaderless)
        {
            return;
        }
        for (var n = random.Next(1, 4); n > 0; n--)
        {
            _nodes[Leader].Log.Add(_nextCommit++);
        }
        Acknowledge();
        Note($"{Leader} writes, has {_nodes[Leader].Log.Count}");
    }

    public void Receive(string name, bool all = false)
    {
        var (node, leader) = (_nodes[name], _nodes[Leader]);
        if (IsLeaderless || name == Leader || !node.Connected)
        {
            return;
        }
        var target = all ? leader.Log.Count : random.Next(node.Log.Count, leader.Log.Count + 1);
        node.Log = leader.Log.Take(target).ToList();
        if (node.Log.Count >= _forkedAt)
        {
            node.Timeline = leader.Timeline;
        }
        Acknowledge();
        Note($"{name} has {node.Log.Count}");
    }

    public void Connect(string name)
    {
        var node = _nodes[name];
        if (IsLeaderless || name == Leader || node.Connected)
        {
            return;
        }
        node.Connected = true;
        node.Log = node.Log.Zip(_nodes[Leader].Log).TakeWhile(pair => pair.First == pair.Second)
            .Select(pair => pair.First).ToList();
        Acknowledge();
        Note($"{name} connects with {node.Log.Count}");
    }

    public void Disconnect(string name)
    {
        _nodes[name].Connected = false;
        Note($"{name} is gone");
    }

    public void Pass(TimeSpan time) => _now += time;

    public void RestartAgent() => _memory = SyncMemory.Empty;

    /// <summary>One run of the planner; the step may fail to happen.</summary>
    public SyncDecision? Step(bool failing = false)
    {
        if (IsLeaderless)
        {
            return null;
        }
        var decision = SyncPlanner.Next(eyes(new SyncObservation
        {
            Self = Leader,
            Config = Config,
            Sync = Sync,
            Members = names.ToImmutableSortedDictionary(
                name => name, name => new Member { Name = name, State = PostgresState.Running }),
            Senders = [.. names.Where(name => _nodes[name].Connected && name != Leader).Select(Sender)],
            StandbyNames = StandbyNames,
            FlushLsn = Position(Leader),
            Now = _now,
            Memory = _memory,
        }));
        _memory = decision.Memory;
        if (failing)
        {
            return decision;
        }
        switch (decision.Step)
        {
            case SyncStep.WriteSync write:
                Sync = write.Content with { ModRevision = ++_revision };
                break;
            case SyncStep.DeleteSync:
                Sync = SyncState.None;
                break;
            case SyncStep.SetStandbyNames set:
                StandbyNames = set.Text ?? "";
                Acknowledge();
                break;
        }
        Note($"{Leader} {decision.Reason}: {decision.Step.GetType().Name}; key {Print(Sync)}, '{StandbyNames}'");
        return decision;
    }

    /// <summary>The leader dies; one of the members that can win does, if any.</summary>
    public bool TryFailOver(bool diesBeforePromotion)
    {
        var wins = Races().Where(race => IsLeaderless || race.Candidate != Leader).ToList();
        if (wins.Count == 0)
        {
            return false;
        }
        var winner = wins[random.Next(wins.Count)].Candidate;
        var promotion = SyncPlanner.BeforePromotion(winner, Config, Sync);
        if (promotion.Write is { } write)
        {
            Sync = write with { ModRevision = ++_revision };
        }
        IsLeaderless = diesBeforePromotion;
        Note($"{winner} wins: key {Print(Sync)}, '{promotion.StandbyNames}'");
        if (diesBeforePromotion)
        {
            return true;
        }
        foreach (var node in _nodes.Values)
        {
            node.Connected = false;
        }
        _nodes[winner].Timeline = _nodes.Values.Max(node => node.Timeline) + 1;
        Leader = winner;
        _forkedAt = _nodes[winner].Log.Count;
        StandbyNames = promotion.StandbyNames ?? "";
        _memory = promotion.Memory;
        Acknowledge();
        return true;
    }

    /// <summary>The first race that would lose an acknowledged commit, or null.</summary>
    public string? Loss()
    {
        var promised = _nodes[Leader].Log.Take(_acknowledged).ToList();
        foreach (var (candidate, reachable) in Races())
        {
            if (!_nodes[candidate].Log.Take(promised.Count).SequenceEqual(promised))
            {
                return $"{candidate}, seeing {string.Concat(reachable)}, would win without all of {promised.Count} "
                    + "commits";
            }
        }
        return null;
    }

    public bool IsSteady(out string text)
    {
        text = $"key {Print(Sync)}, '{StandbyNames}'";
        var standbys = names.Where(name => name != Leader).ToHashSet();
        var count = Math.Min(Config.SynchronousNodeCount, standbys.Count);
        var force = SyncStandbyNames.Parse(StandbyNames);
        return Config.SynchronousMode switch
        {
            SynchronousMode.Quorum =>
                Sync.IsOwner(Leader) && Sync.Standbys.SetEquals(standbys) && Sync.Quorum == standbys.Count - count
                && force.Method == SyncMethod.Any && force.Count == count && force.Names.SetEquals(standbys),
            SynchronousMode.Priority => Sync.IsOwner(Leader) && Sync.Standbys.Count == count && Sync.Quorum == 0
                && force.Method == SyncMethod.First && force.Count == count && force.Names.SetEquals(Sync.Standbys),
            _ => Sync.ModRevision == 0 && StandbyNames.Length == 0,
        };
    }

    /// <summary>Every candidate with every set of peers that may answer it, where the key lets it win.</summary>
    private IEnumerable<(string Candidate, string[] Reachable)> Races()
    {
        if (!Sync.IsActive || Config.SynchronousMode == SynchronousMode.Off)
        {
            yield break;   // nothing is promised
        }
        foreach (var candidate in names)
        {
            var peers = names.Where(name => name != candidate).ToArray();
            for (var bits = 0; bits < 1 << peers.Length; bits++)
            {
                var reachable = peers.Where((_, i) => (bits >> i & 1) == 1).ToArray();
                var wins = Config.SynchronousMode == SynchronousMode.Quorum || Sync.Quorum > 0
                    ? QuorumVote.Evaluate(
                        Sync, candidate, Position(candidate),
                        reachable.Select(name => new PeerPosition(name, Position(name), _nodes[name].Timeline)),
                        IgnoresTimelines ? 0 : _nodes[candidate].Timeline).Wins
                    : Sync.Includes(candidate);
                if (wins)
                {
                    yield return (candidate, reachable);
                }
            }
        }
    }

    /// <summary>PostgreSQL lets go every commit that enough standbys have reported.</summary>
    private void Acknowledge()
    {
        var force = SyncStandbyNames.Parse(StandbyNames);
        var connected = force.Names.Where(
            name => name != Leader && _nodes.TryGetValue(name, out var node) && node.Connected).ToList();
        var reached = force.Method switch
        {
            SyncMethod.None => _nodes[Leader].Log.Count,
            _ when connected.Count < force.Count => 0,
            SyncMethod.Any => connected.Select(Length).OrderDescending().ElementAt(force.Count - 1),
            _ => connected.Take(force.Count).Min(Length),
        };
        if (reached > _forkedAt)
        {
            // What the leader brought along from before its promotion was never acknowledged to anybody, or already
            // counts.
            _acknowledged = Math.Max(_acknowledged, reached);
        }

        int Length(string name) => _nodes[name].Log.Count;
    }

    private WalSender Sender(string name)
    {
        var force = SyncStandbyNames.Parse(StandbyNames);
        var state = !force.Names.Contains(name) ? "async" : force.Method == SyncMethod.Any ? "quorum" : "sync";
        return new WalSender(name, "streaming", state, Position(name), Position(name), Position(name));
    }

    private Lsn Position(string name) => new((ulong)_nodes[name].Log.Count + 1);

    private void Note(string line) => _diary.Add(line);

    private static string Print(SyncState sync) => $"({sync.Leader}; {string.Concat(sync.Standbys)}; {sync.Quorum})";
}
