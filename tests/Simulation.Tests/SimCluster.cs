using System.Text.Json;
using Routing.TestKit;

namespace Routing.Simulation.Tests;

/// <summary>A whole cluster in one process, and one schedule of it.</summary>
internal sealed class SimCluster
{
    private long _commits;

    public SimCluster(int seed, SimOptions options, bool keepDiary = false)
    {
        (Seed, Options) = (seed, options);
        World = new SimWorld(seed) { Diary = keepDiary ? [] : null };
        Invariants = new Invariants(this);
        ConfigElement = options.Config();
        Dcs = new InMemoryDcs(new SimClock(World, null, TimeSpan.FromSeconds(10), 0, TimeSpan.Zero)) { Committed = Invariants.Changed };
        for (var i = 0; i < options.Nodes; i++)
        {
            var node = new SimNode(this, ((char)('a' + i)).ToString(), 5001 + i);
            node.Server.Acknowledged = Invariants.CommitAcknowledged;
            node.Server.BecamePrimary = BecamePrimary;
            node.Server.Corrupted = Invariants.Violated;
            Network.Add(node.Server);
            Nodes.Add(node);
        }
        World.AfterStep = Invariants.Check;
    }

    public int Seed { get; }

    public SimOptions Options { get; }

    public SimWorld World { get; }

    public SimNetwork Network { get; } = new();

    public InMemoryDcs Dcs { get; }

    public List<SimNode> Nodes { get; } = [];

    public Invariants Invariants { get; }

    public JsonElement ConfigElement { get; }

    public bool IsPaused => Dcs.Snapshot.Config?.Pause == true;

    /// <summary>The node that the leader key names and whose server accepts writes.</summary>
    public SimNode? Leader => Nodes.Find(n => n.Name == Dcs.Snapshot.Leader?.Holder && n.Server.AcceptsWrites);

    /// <summary>A leader, and every other node streams from the leader's history.</summary>
    public bool IsWhole => Leader is not null && Nodes.TrueForAll(n =>
        n.Agent is not null && (n == Leader || (n.Server is { Life: Life.Up, IsPrimary: false, StreamsFrom: not null } && n.Server.Timeline == Leader.Server.Timeline)));

    /// <summary>Forms the cluster, lets things go wrong, and waits until all is well again.</summary>
    /// <returns>The violation; null: none.</returns>
    public string? Run()
    {
        foreach (var node in Nodes)
        {
            World.At(World.Between(0, 2000), node.StartAgent);
        }
        ClientWrites();
        World.RunUntil(() => IsOver || IsWhole, TimeSpan.FromSeconds(60));
        if (!IsOver && !IsWhole)
        {
            Invariants.Violated($"no whole cluster came into being: {Describe()}");
        }
        World.Note("---", "the cluster stands");
        var weather = new Weather(this);
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
        World.RunUntil(() => IsOver || Invariants.Acknowledged > before, TimeSpan.FromSeconds(30));
        if (!IsOver && Invariants.Acknowledged == before)
        {
            Invariants.Violated($"no commit is acknowledged any more: {Describe()}");
        }
        return Invariants.Violation;
    }

    public string Describe() => string.Join("; ", Nodes.Select(n =>
        $"{n.Name}: {n.Server.Life}{(n.Server.IsPrimary ? " primary" : "")} timeline {n.Server.Timeline}, "
        + (n.Agent is { } agent ? $"[{agent.Board.Current.ReasonCode}] {agent.Board.Current.Reason}" : "no agent")));

    private bool IsOver => Invariants.Violation is not null;

    private void BecamePrimary(SimServer server)
    {
        Invariants.BecamePrimary(server);
        Commit(server);
    }

    /// <summary>A client that tries every node, always.</summary>
    private void ClientWrites()
    {
        foreach (var node in Nodes)
        {
            Commit(node.Server);
        }
        World.At(World.Between(50, 400), ClientWrites);
    }

    private void Commit(SimServer server)
    {
        if (server.AcceptsWrites && Dcs.Snapshot.Initialize.SystemId == server.SystemId)
        {
            server.TryCommit(new Commit(++_commits));
        }
    }
}
