namespace Routing.Simulation.Tests;

/// <summary>Makes things go wrong, and puts them right again.</summary>
/// <param name="cluster">Whose weather it is.</param>
/// <param name="strikes">What happens.</param>
internal sealed partial class Weather(SimCluster cluster, IReadOnlyList<Strike> strikes)
{
    private readonly SimWorld _world = cluster.World;
    private bool _over;

    public void Begin()
    {
        foreach (var strike in strikes)
        {
            _world.At(strike.At, () =>
            {
                if (!_over)
                {
                    Come(strike);
                }
            });
        }
    }

    /// <summary>Everything is put right, and stays so.</summary>
    public void End()
    {
        _over = true;
        cluster.Dcs.IsDown = false;
        cluster.Network.MendAll();
        ResetSettings();
        foreach (var node in cluster.Nodes)
        {
            node.GoOn();
            (node.Agent as SimPatroni)?.GoOn();
            node.DcsLink = DcsLink.Open;
            node.DcsDelay = null;
            RepairServer(node);
            if (node.IsHung)
            {
                node.KillAgent("it hangs");
            }
            node.Agent?.Process.Thaw();
            if (node.Agent is { } agent && !cluster.Options.KeeperHangs)
            {
                agent.Store.BeforeRenewal = null;
            }
            node.ApplyLinks();
            node.PowerOn();
            node.Return();
            node.SetTags(null);
            if (!node.Server.IsEmpty && cluster.Invariants.IsForeign(node.Server)
                && cluster.Dcs.Snapshot.Initialize.SystemId is not null)
            {
                // An operator removes what an overtaken bootstrap left: no agent may.
                node.Server.Erase();
            }
        }
    }

    private void Come(Strike strike)
    {
        var chance = new Chance(strike.Seed);
        var node = chance.Happens(0.6) && cluster.Leader is { } leader ? leader : chance.Pick(cluster.Nodes);
        _world.Note(node.Name, $"--- {strike}");
        Strike(strike.Fault, node, chance);
    }

    private void Strike(Fault fault, SimNode node, Chance chance)
    {
        if (!StrikeNode(fault, node, chance) && !StrikeServer(fault, node, chance)
            && !StrikeLinks(fault, node, chance) && !StrikeCluster(fault, node, chance))
        {
            throw new InvalidOperationException($"The weather does not know {fault}.");
        }
    }

    private TimeSpan Lasting(Chance chance) =>
        TimeSpan.FromSeconds(cluster.Options.Lasting > 0 ? cluster.Options.Lasting / 2.0 : cluster.Options.Ttl)
        * (0.05 + (chance.Factor() * 2));

    private void Later(Chance chance, Action undo) => After(Lasting(chance), undo);

    private void After(TimeSpan delay, Action action) => _world.At(delay, () =>
    {
        if (!_over)
        {
            action();
        }
    });
}
