using Routing.Agent.Status;
using Routing.Cluster;

namespace Routing.Simulation.Tests;

// What goes wrong with machines, processes and clocks.
internal sealed partial class Weather
{
    private bool StrikeNode(Fault fault, SimNode node, Chance chance)
    {
        if (node.IsPatroni
            && fault is (Fault.KillAgent or Fault.FreezeAgent or Fault.FreezeMachine or Fault.SuspendMachine))
        {
            // Without a watchdog Patroni leaves a primary behind that nobody stops: here its machine is gone
            // altogether.
            fault = Fault.KillNode;
        }
        switch (fault)
        {
            case Fault.HangLoop:
                if (node.Agent is SimPatroni patroni)
                {
                    patroni.Hang();
                    Later(chance, patroni.GoOn);
                }
                return true;
            case Fault.RestartServer:
                (node.Agent as SimAgent)?.OrderRestart(RestartFilter.None);
                return true;
            case Fault.ReinitializeServer:
                (node.Agent as SimAgent)?.OrderReinitialize(chance.Happens(0.5), chance.Happens(0.3));
                return true;
            case Fault.PlanRestart:
                (node.Agent as SimAgent)?.PlanRestart(chance.Between(100, 4000));
                return true;
            case Fault.RestartAgent:
                if (cluster.Dcs.Snapshot.Leader?.Holder != node.Name && !node.Server.AcceptsWrites)
                {
                    node.KillAgent("a fault");
                    node.StartAgent();
                }
                return true;
            case Fault.BreakKeeper:
                if (node.Agent is SimAgent { Store: var store })
                {
                    store.BeforeRenewal = cluster.Options.KeeperHangs
                        ? () => new TaskCompletionSource().Task
                        : () => throw new PlantedMistakeException();
                }
                return true;
            case Fault.ForgedFailsafe:
                var forged = new FailsafeMessage(
                    "mallory", "postgres://127.0.0.1:1/postgres", "http://127.0.0.1:1/patroni", null)
                {
                    Ttl = TimeSpan.FromDays(1),
                };
                foreach (var receiver in cluster.Nodes.Where(n => n.CanAnswer))
                {
                    receiver.ReceiveFailsafe(forged);
                }
                return true;
            case Fault.KillAgent:
                node.KillAgent("a fault");
                Later(chance, node.StartAgent);
                return true;
            case Fault.KillNode:
                node.Kill();
                Later(chance, node.PowerOn);
                return true;
            case Fault.FreezeAgent:
                if (node.Agent?.Process is { } process)
                {
                    process.Freeze();
                    Later(chance, process.Thaw);
                }
                return true;
            case Fault.StopAgent:
                node.Agent?.Stop();
                return true;
            case Fault.FreezeMachine or Fault.SuspendMachine:
                node.Freeze(withClocks: fault == Fault.SuspendMachine);
                Later(chance, node.GoOn);
                return true;
            case Fault.WallClockJump:
                node.Time.WallError += chance.Between(-3_600_000, 3_600_000);
                return true;
            case Fault.Join:
                if (cluster.Nodes.Count < 7)
                {
                    cluster.AddNode().StartAgent();
                }
                return true;
            case Fault.Leave:
                if (cluster.Nodes.Count(n => !n.HasLeft) > 2)
                {
                    node.Leave(inGoodOrder: chance.Happens(0.5));
                    Later(chance, node.Return);
                }
                return true;
            case Fault.ChangeTags:
                node.SetTags(chance.Pick<string?>(
                    null, """{"nofailover":true}""", """{"failover_priority":3}""", """{"nosync":true}""",
                    $$"""{"replicatefrom":"{{chance.Pick(cluster.Nodes).Name}}"}"""));
                return true;
            default:
                return false;
        }
    }
}
