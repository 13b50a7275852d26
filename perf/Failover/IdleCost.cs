using System.Diagnostics;
using Routing.TestKit;

namespace Routing.Failover;

/// <summary>What one idle process cost.</summary>
/// <param name="Contender">Whose it is.</param>
/// <param name="Process">"agent" or "fence".</param>
/// <param name="Role">"primary" or "replica".</param>
/// <param name="ResidentKiB">All its resident pages.</param>
/// <param name="ProportionalKiB">The same, with a shared page divided among its users.</param>
/// <param name="CoreShare">Processor time by time.</param>
internal sealed record IdleCost(
    Contender Contender, string Process, string Role, long ResidentKiB, long ProportionalKiB, double CoreShare)
{
    /// <summary>Lets the clusters be for a while, then watches their agents and fences for as long.</summary>
    public static async Task<IReadOnlyList<IdleCost>> MeasureAsync(
        IReadOnlyList<TestedCluster> clusters, TimeSpan duration, CancellationToken cancellationToken)
    {
        await Task.Delay(duration, cancellationToken);
        var processes = new List<(Contender Contender, string Process, string Role, int Pid, TimeSpan Used)>();
        foreach (var cluster in clusters)
        {
            foreach (var node in cluster.Nodes)
            {
                var role = await node.IsAsync("primary", cancellationToken) ? "primary" : "replica";
                processes.Add((cluster.Contender, "agent", role, node.AgentId, ProcessorClock.Of(node.AgentId)));
                foreach (var (fence, _) in Linux.ProcessesBelow(cluster.Path)
                    .Where(process =>
                        process.Arguments.Contains("--fence") && Linux.ParentOf(process.Pid) == node.AgentId))
                {
                    processes.Add((cluster.Contender, "fence", role, fence, ProcessorClock.Of(fence)));
                }
            }
        }
        var from = Stopwatch.GetTimestamp();
        await Task.Delay(duration, cancellationToken);
        var elapsed = Stopwatch.GetElapsedTime(from);
        return
        [
            .. from process in processes
               let used = ProcessorClock.Of(process.Pid) - process.Used
               let memory = Linux.Memory(process.Pid)
               select new IdleCost(
                   process.Contender, process.Process, process.Role, memory.Resident, memory.Proportional,
                   used / elapsed),
        ];
    }
}
