namespace Routing.Simulation.Tests;

// What goes wrong with servers, their data and their guards.
internal sealed partial class Weather
{
    /// <returns>False: it is none of these.</returns>
    private bool StrikeServer(Fault fault, SimNode node, Chance chance)
    {
        switch (fault)
        {
            case Fault.KillPostmaster:
                node.Server.Kill("a fault");
                return true;
            case Fault.SlowStandby:
                node.Server.IsSlow = true;
                Later(chance, () => node.Server.IsSlow = false);
                return true;
            case Fault.FailStarts:
                node.Server.FailingStarts = 1 + chance.Next(3);
                node.Server.Kill("a fault");
                return true;
            case Fault.SlowStart:
                node.Server.StartTime = () => _world.Between(2000, 12000);
                node.Server.Kill("a fault");
                Later(chance, () => node.Server.StartTime = () => _world.Between(50, 800));
                return true;
            case Fault.Unresponsive:
                node.Server.IsUnresponsive = node.Server.Life == Life.Up;
                Later(chance, () => node.Server.IsUnresponsive = false);
                return true;
            default:
                return false;
        }
    }

    private void RepairServer(SimNode node)
    {
        node.Server.FailingStarts = 0;
        node.Server.IsSlow = false;
        node.Server.IsUnresponsive = false;
        node.Server.StartTime = () => _world.Between(50, 800);
    }
}
