namespace Routing.Simulation.Tests;

// What goes wrong between machines, and on the way to the DCS.
internal sealed partial class Weather
{
    private bool StrikeLinks(Fault fault, SimNode node, Chance chance)
    {
        var network = cluster.Network;
        switch (fault)
        {
            case Fault.CutFromDcs:
                SetLink(node, DcsLink.Cut);
                Later(chance, () => SetLink(node, DcsLink.Open));
                return true;
            case Fault.CutOneWayFromDcs:
                SetLink(node, chance.Pick(DcsLink.RequestsLost, DcsLink.AnswersLost));
                Later(chance, () => SetLink(node, DcsLink.Open));
                return true;
            case Fault.CutFromPeers:
                network.Isolate(node.Name);
                Later(chance, () => network.Join(node.Name));
                return true;
            case Fault.CutOff:
                network.Isolate(node.Name);
                SetLink(node, DcsLink.Cut);
                Later(chance, () =>
                {
                    network.Join(node.Name);
                    SetLink(node, DcsLink.Open);
                });
                return true;
            case Fault.CutPair or Fault.CutOneWay:
                var other = chance.Pick(cluster.Nodes).Name;
                Cut(node.Name, other, fault == Fault.CutPair);
                Later(chance, () => Mend(node.Name, other));
                return true;
            case Fault.Bridge:
                var apart = cluster.Nodes.Where(n => n != node).ToList();
                var pairs = apart.SelectMany(a => apart.Where(b => b != a).Select(b => (a, b))).ToList();
                pairs.ForEach(pair => Cut(pair.a.Name, pair.b.Name, false));
                Later(chance, () => pairs.ForEach(pair => Mend(pair.a.Name, pair.b.Name)));
                return true;
            case Fault.LoseAnswers:
                node.Agent?.Store.LoseAnswers(1 + chance.Next(5));
                return true;
            case Fault.SlowDcs:
                node.DcsDelay = () => _world.Between(1, 1500);
                node.ApplyLinks();
                Later(chance, () =>
                {
                    node.DcsDelay = null;
                    node.ApplyLinks();
                });
                return true;
            case Fault.DcsOutage:
                cluster.Dcs.IsDown = true;
                Later(chance, () => cluster.Dcs.IsDown = false);
                return true;
            // Not while the cluster is being made: an "initialize" of data that were put aside needs an operator.
            case Fault.RebuildDcs or Fault.RestoreDcs when cluster.Invariants.Terms == 0:
                return true;
            case Fault.RebuildDcs:
                cluster.Dcs.Rebuild();
                return true;
            case Fault.RestoreDcs:
                var backup = cluster.Dcs.Backup();
                Later(chance, () => cluster.Dcs.Restore(backup));
                return true;
            case Fault.EndLeaseEarly:
                // Mostly that which counts.
                var keys = cluster.Dcs.Snapshot;
                var lease =
                    chance.Happens(0.8) ? keys.Leader?.LeaseId : keys.Members.GetValueOrDefault(node.Name)?.LeaseId;
                if (lease is { } id)
                {
                    if (cluster.Nodes.Find(n => n.Name == keys.Leader?.Holder) is { } holder
                        && keys.Leader?.LeaseId == id)
                    {
                        holder.RobbedAt = _world.Now;
                    }
                    cluster.Dcs.Expire(id);
                }
                return true;
            default:
                return false;
        }
    }

    private void Cut(string from, string to, bool bothWays)
    {
        cluster.Network.Cut(from, to);
        if (bothWays)
        {
            cluster.Network.Cut(to, from);
        }
    }

    private void Mend(string from, string to)
    {
        cluster.Network.Mend(from, to);
        cluster.Network.Mend(to, from);
    }

    private static void SetLink(SimNode node, DcsLink link)
    {
        node.DcsLink = link;
        node.ApplyLinks();
    }
}
