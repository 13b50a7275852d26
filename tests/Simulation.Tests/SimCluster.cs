using System.Text.Json;
using Routing.Cluster;
using Routing.TestKit;

namespace Routing.Simulation.Tests;

/// <summary>A whole cluster in one process, and one schedule of it.</summary>
internal sealed class SimCluster
{
    private readonly IReadOnlyList<Strike> _strikes;
    private readonly Clients _clients;

    /// <param name="seed">Of everything that is drawn besides the strikes.</param>
    /// <param name="options">What it is made of.</param>
    /// <param name="strikes">What goes wrong; null: the plan of this seed.</param>
    /// <param name="keepDiary">Whether a diary is kept.</param>
    public SimCluster(int seed, SimOptions options, IReadOnlyList<Strike>? strikes = null, bool keepDiary = false)
    {
        (Seed, Options, _strikes) = (seed, options, strikes ?? Strike.PlanOf(seed, options));
        World = new SimWorld(seed) { Diary = keepDiary ? [] : null };
        Invariants = new Invariants(this);
        _clients = new Clients(this);
        Consumer = new SlotConsumer(this);
        ConfigElement = options.Config();
        Dcs = new InMemoryDcs(
            new SimClock(World, null, TimeSpan.FromSeconds(10), 0, TimeSpan.Zero)) { Committed = Invariants.Changed };
        for (var i = 0; i < options.Nodes; i++)
        {
            AddNode();
        }
        World.AfterStep = Invariants.Check;
    }

    public int Seed { get; }

    public SimOptions Options { get; }

    public SimWorld World { get; }

    public SimNetwork Network { get; } = new();

    public InMemoryDcs Dcs { get; }

    public List<SimNode> Nodes { get; } = [];

    /// <summary>The routers that follow it.</summary>
    public List<SimRouter> Routers { get; } = [];

    public Invariants Invariants { get; }

    /// <summary>Reads from a logical slot, where the schedule has slots.</summary>
    public SlotConsumer Consumer { get; }

    public JsonElement ConfigElement { get; }

    /// <summary>Called after each decision of a member, with its code.</summary>
    public Action<SimNode, string>? Decided { get; set; }

    public bool IsPaused => Dcs.Snapshot.Config?.Pause == true;

    /// <summary>The node that the leader key names and whose server accepts writes.</summary>
    public SimNode? Leader
    {
        get
        {
            // Asked after every step.
            if (Dcs.Snapshot.Leader is not { } key)
            {
                return null;
            }
            foreach (var node in Nodes)
            {
                if (node.AcceptsWrites && node.Name == key.Holder)
                {
                    return node;
                }
            }
            return null;
        }
    }

    /// <summary>A leader, and every other node has its key and streams from the leader's history.</summary>
    public bool IsWhole
    {
        get
        {
            if (Leader is not { } leader)
            {
                return false;
            }
            foreach (var node in Nodes)
            {
                if (node.Agent is null || !Dcs.Snapshot.Members.ContainsKey(node.Name)
                    || (node != leader && !Follows(node, leader)))
                {
                    return false;
                }
            }
            return true;
        }
    }

    /// <summary>Forms the cluster, lets things go wrong, and waits until all is well again.</summary>
    /// <returns>The violation; null: none.</returns>
    public string? Run()
    {
        if (Options.ConfigExists)
        {
            Dcs.Put(ClusterKeys.Config, ConfigElement.GetRawText());
        }
        foreach (var node in Nodes)
        {
            World.At(World.Between(0, 2000), node.StartAgent);
        }
        for (var i = 0; i < Options.Routers; i++)
        {
            Routers.Add(new SimRouter(this, $"r{i + 1}"));
            Routers[i].Begin();
        }
        ClientWrites();
        if (Options.HasSlots)
        {
            Consumer.Begin();
        }
        if (!Options.FromStart)
        {
            World.RunUntil(() => IsOver || IsWhole, TimeSpan.FromSeconds(60));
            if (!IsOver && !IsWhole)
            {
                Invariants.Violated($"no whole cluster came into being: {Describe()}");
            }
            World.Note("---", "the cluster stands");
        }
        var weather = new Weather(this, _strikes);
        weather.Begin();
        World.RunUntil(() => IsOver, Options.Storm);
        weather.End();
        World.Note("---", "nothing goes wrong any more");
        var leaderBound = TimeSpan.FromSeconds((Options.LongestTtl * 1.5) + Options.Patience);
        World.RunUntil(() => IsOver || Leader is not null, leaderBound);
        if (!IsOver && Leader is null)
        {
            Invariants.Violated($"no leader {leaderBound.TotalSeconds} s after the last fault: {Describe()}");
        }
        World.RunUntil(() => IsOver || IsWhole, TimeSpan.FromSeconds(180));
        if (!IsOver && !IsWhole)
        {
            Invariants.Violated($"not every node came back: {Describe()}");
        }
        var before = Invariants.Acknowledged;
        // What was asked for in the storm may begin only now: a switchover, and promotions that fail.
        World.RunUntil(() => IsOver || Invariants.Acknowledged > before, TimeSpan.FromSeconds(30) + leaderBound);
        if (!IsOver && Invariants.Acknowledged == before)
        {
            Invariants.Violated($"no commit is acknowledged any more: {Describe()}");
        }
        var confirmed = Consumer.Confirmed;
        World.RunUntil(() => IsOver || !Options.HasSlots || Consumer.Confirmed > confirmed,
            TimeSpan.FromSeconds(30) + leaderBound);
        if (!IsOver && Options.HasSlots && Consumer.Confirmed == confirmed)
        {
            Invariants.Violated($"the consumer of a logical slot gets nothing any more: {Describe()}");
        }
        World.RunUntil(() => IsOver || Invariants.IsRestoreOver, TimeSpan.FromSeconds(60) + leaderBound);
        if (!IsOver && !Invariants.IsRestoreOver)
        {
            Invariants.Violated($"a restore has never ended: {Dcs.Snapshot.Restore}; {Describe()}");
        }
        // A synchronous standby that is to restart waits for its leave of the set for two loops at most.
        World.RunUntil(() => IsOver || Deaf() is null, TimeSpan.FromSeconds((2 * Options.LoopWait) + 10));
        if (!IsOver && Deaf() is { } deaf)
        {
            Invariants.Violated($"{deaf.Name} has never answered an operator: {deaf.Agent!.Reason}");
        }
        if (!IsOver && Leader is { } last && _clients.Judge(last.Server) is { } anomaly)
        {
            Invariants.Violated($"what clients saw: {anomaly}");
        }
        return Invariants.Violation;

        SimNode? Deaf() => Nodes.Find(node => node.Agent is SimAgent { Orders.Open: not null });
    }

    /// <summary>
    /// Differs wherever the schedule took another course. After its end, and once: it draws one more random number.
    /// </summary>
    public ulong Fingerprint()
    {
        var print = 14_695_981_039_346_656_037;   // FNV-1a
        foreach (var part in (ReadOnlySpan<long>)
            [Seed, World.Steps, World.Now, World.Random.NextInt64(), Dcs.Snapshot.Revision, Invariants.Acknowledged])
        {
            print = unchecked((print ^ (ulong)part) * 1_099_511_628_211);
        }
        return print;
    }

    public SimNode AddNode()
    {
        var node = new SimNode(this, ((char)('a' + Nodes.Count)).ToString(), 5001 + Nodes.Count)
        {
            IsPatroni = Nodes.Count < Options.Nodes && Nodes.Count >= Options.Nodes - Options.PatroniNodes,
        };
        node.Server.Acknowledged = (server, commit) =>
        {
            Invariants.CommitAcknowledged(server, commit);
            _clients.Acknowledged(commit);
        };
        node.Server.BecamePrimary = BecamePrimary;
        node.Server.Corrupted = Options.PatroniNodes == 0 ? Invariants.Violated : what =>
        {
            // Patroni opens timelines that another may have opened before: an operator has to see it, and copies the
            // standby anew.
            World.Note(node.Name, what);
            World.At(TimeSpan.Zero, node.Server.Erase);
        };
        node.Server.RecyclesWal = Options.HasSlots;
        node.Server.SlotMade = Consumer.SetUp;
        node.Server.SlotChanged = Consumer.Check;
        node.Server.LacksWal = LacksWal;
        Network.Add(node.Server);
        Nodes.Add(node);
        return node;
    }

    public string Describe() => string.Join("; ", Nodes.Select(n =>
        $"{n.Name}: {n.Server.Life}{(n.Server.IsPrimary ? " primary" : "")} timeline {n.Server.Timeline}, "
        + (n.Agent is { } agent ? agent.Reason : "no agent")));

    private static bool Follows(SimNode node, SimNode leader) =>
        node.Server is { Life: Life.Up, IsPrimary: false, StreamsFrom: not null }
            && node.Server.Timeline == leader.Server.Timeline;

    private bool IsOver => Invariants.Violation is not null;

    private void LacksWal(SimServer source, SimServer standby)
    {
        if (standby.Upstream?.SlotName is { } slot && source.HasDropped(slot))
        {
            Invariants.Violated(
                $"{standby.Name} needs WAL from {new Lsn(standby.End)} on, and {source.Name} has removed it");
        }
        // The leader was copied itself while that standby was away, and had no WAL to keep: an operator copies it.
        World.Note(standby.Name, $"needs WAL that {source.Name} does not have");
        World.At(TimeSpan.Zero, standby.Erase);
    }

    private void BecamePrimary(SimServer server, bool wasPromoted)
    {
        Invariants.BecamePrimary(server, wasPromoted);
        Commit(server);
    }

    /// <summary>Begins the client that writes, for a test without weather.</summary>
    public void BeginClients() => ClientWrites();

    /// <summary>A client that tries every node, always.</summary>
    private void ClientWrites()
    {
        foreach (var node in Nodes)
        {
            if (!node.IsFrozen)
            {
                Commit(node.Server);
            }
        }
        World.At(World.Between(50, 400), ClientWrites);
    }

    private void Commit(SimServer server)
    {
        if (server.AcceptsWrites && Dcs.Snapshot.Initialize.SystemId == server.SystemId)
        {
            server.TryCommit(_clients.Begin(server));
        }
    }
}
