namespace Routing.Failover;

/// <summary>Something that happens to the primary while the writer writes.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Title">Its name in the tables.</param>
/// <param name="EndsAgent">Whether the agent has to be started again afterwards.</param>
/// <param name="HappenAsync">Makes it happen.</param>
internal sealed record Event(
    string Name, string Title, bool EndsAgent, Func<TestedCluster, TestedNode, Task> HappenAsync)
{
    /// <summary>The name of the one that is planned.</summary>
    public const string Switchover = "switchover";

    public static IReadOnlyList<Event> All { get; } =
    [
        new(Switchover, "Planned switchover", false, (cluster, primary) => cluster.SwitchOverAsync(primary)),
        new("postmaster", "Postmaster killed (SIGKILL)", false, (_, primary) =>
        {
            primary.KillPostmaster();
            return Task.CompletedTask;
        }),
        new("agent", "Agent stopped (SIGTERM)", true, (_, primary) =>
        {
            primary.StopAgent();
            return Task.CompletedTask;
        }),
        new("node", "Agent and postmaster killed (SIGKILL)", true, (_, primary) =>
        {
            primary.KillAgent();
            primary.KillPostmaster();
            return Task.CompletedTask;
        }),
    ];
}
