namespace Routing.Simulation.Tests;

// What goes wrong with servers, their data and their guards.
internal sealed partial class Weather
{
    private static void StrikeServer(Fault fault, SimNode node) =>
        throw new InvalidOperationException($"The weather does not know {fault}, which was to strike {node.Name}.");

    private static void RepairServer(SimNode node)
    {
        node.Server.FailingStarts = 0;
    }
}
