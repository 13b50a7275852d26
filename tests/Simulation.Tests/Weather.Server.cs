namespace Routing.Simulation.Tests;

// What goes wrong with servers, their data and their guards.
internal sealed partial class Weather
{
    /// <returns>False: it is none of these.</returns>
    private bool StrikeServer(Fault fault, SimNode node, Chance chance)
    {
        var (server, times) = (node.Server, node.Server.Times);
        switch (fault)
        {
            case Fault.KillPostmaster:
                server.Kill("a fault");
                break;
            case Fault.SlowStandby:
                server.IsSlow = true;
                Later(chance, () => server.IsSlow = false);
                break;
            case Fault.FailStarts:
                server.FailingStarts = 1 + chance.Next(3);
                server.Kill("a fault");
                break;
            case Fault.SlowStart:
                server.StartTime = () => _world.Between(2000, 12000);
                server.Kill("a fault");
                Later(chance, () => server.StartTime = () => _world.Between(50, 800));
                break;
            case Fault.Unresponsive:
                server.IsUnresponsive = server.Life == Life.Up;
                Later(chance, () => server.IsUnresponsive = false);
                break;
            case Fault.Interrupt:
                node.Interruption = () => Interrupt(node, chance);
                break;
            case Fault.SlowCopy:
                times.Copy = () => _world.Between(3000, 15000);
                Later(chance, times.Reset);
                break;
            case Fault.SlowRecovery:
                times.Recovery = () => _world.Between(2000, 20000);
                server.Kill("a fault");
                Later(chance, times.Reset);
                break;
            case Fault.SlowCheckpoint:
                times.Checkpoint = () => _world.Between(2000, 60000);
                Later(chance, times.Reset);
                break;
            case Fault.SlowHook:
                times.BeforeStop = () => _world.Between(1000, 60000);
                Later(chance, times.Reset);
                break;
            case Fault.SlowStop:
                server.StopTime = () => _world.Between(2000, 60000);
                Later(chance, () => ResetStops(server));
                break;
            case Fault.DelayReplay:
                server.ReplayDelay = chance.Between(500, 15000);
                Later(chance, () => server.ReplayDelay = TimeSpan.Zero);
                break;
            case Fault.PowerCut:
                node.Kill();
                cluster.Invariants.Excuse(server.LoseTail(1 + chance.Next(11)));
                Later(chance, node.PowerOn);
                break;
            case Fault.FillDisk:
                server.IsDiskFull = true;
                Later(chance, () => server.IsDiskFull = false);
                break;
            case Fault.RestoreByHand:
                RestoreByHand(node, chance);
                break;
            case Fault.BreakRepository:
                server.IsRepositoryBroken = true;
                Later(chance, () => server.IsRepositoryBroken = false);
                break;
            case Fault.PinStandbyNames:
                server.HasPinnedStandbyNames = true;
                Later(chance, () => server.HasPinnedStandbyNames = false);
                break;
            case Fault.KillFence:
                node.Fence.Kill();
                break;
            case Fault.LateFence:
                node.Fence.Lateness = () => _world.Between(0, 150);
                Later(chance, () => node.Fence.Lateness = null);
                break;
            case Fault.BreakWatchdog:
                node.Watchdog.State = chance.Happens(0.5) ? WatchdogDeviceState.Missing : WatchdogDeviceState.Refuses;
                Later(chance, () => node.Watchdog.State = WatchdogDeviceState.Works);
                break;
            case Fault.BlockWatchdog:
                node.Watchdog.State = WatchdogDeviceState.Blocks;
                Later(chance, () => node.Watchdog.State = WatchdogDeviceState.Works);
                break;
            default:
                return false;
        }
        return true;
    }

    private void RepairServer(SimNode node)
    {
        var server = node.Server;
        node.Interruption = null;
        server.FailingStarts = 0;
        server.IsSlow = false;
        server.IsUnresponsive = false;
        server.StartTime = () => _world.Between(50, 800);
        server.Times.Reset();
        ResetStops(server);
        server.ReplayDelay = TimeSpan.Zero;
        server.IsDiskFull = false;
        server.IsRepositoryBroken = false;
        server.HasPinnedStandbyNames = false;
        node.Fence.Lateness = null;
        node.Watchdog.State = WatchdogDeviceState.Works;
    }

    private void ResetStops(SimServer server) => server.StopTime = () => _world.Between(5, 200);

    /// <summary>Something dies in the middle of what the agent is just doing.</summary>
    private void Interrupt(SimNode node, Chance chance)
    {
        if (_over)
        {
            return;
        }
        switch (chance.Next(3))
        {
            case 0:
                node.KillAgent("an interruption");
                Later(chance, node.StartAgent);
                break;
            case 1:
                node.Kill();
                Later(chance, node.PowerOn);
                break;
            default:
                node.Server.Kill("an interruption");
                break;
        }
    }

    /// <summary>A person stops the agent of a node that holds nothing, and puts a backup of the leader there.</summary>
    private void RestoreByHand(SimNode node, Chance chance)
    {
        if (cluster.Leader is { } leader && leader != node && node.Server is { Life: Life.Down }
            && (node.Server.IsEmpty || node.Server.IsMarkedUnfinished))
        {
            node.KillAgent("a person restores the data");
            node.Server.RestoreByHand(leader.Server, cluster.Options.TrustsAnyUnfinishedMark);
            Later(chance, node.StartAgent);
        }
    }
}
