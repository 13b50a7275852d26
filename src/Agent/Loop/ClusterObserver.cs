using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Routing.Cluster;
using Routing.Dcs;

namespace Routing.Agent.Loop;

/// <summary>Looks at the cluster: the newest snapshot of the watch, with what this agent knows better.</summary>
/// <param name="watch">Where snapshots come from.</param>
/// <param name="lastLife">What was known before the store was set up anew.</param>
/// <param name="writes">What this agent has written itself.</param>
/// <param name="config">Adopts the configuration of each snapshot.</param>
/// <param name="nameIsOurs">
/// Whether it is known that no other agent has this member's name. Until then nothing is seen, as if the DCS had not
/// answered yet: this member looks after its own PostgreSQL alone.
/// </param>
/// <param name="logger">For keys that cannot be read.</param>
internal sealed partial class ClusterObserver(
    TopologyWatch watch, LastLife lastLife, OwnWrites writes, ConfigInForce config, Func<bool> nameIsOurs,
    ILogger<ClusterObserver> logger)
{
    private ImmutableArray<KeyProblem> _problems = [];

    /// <summary>The view that was looked at last.</summary>
    public ClusterView Seen { get; private set; } = ClusterView.Unknown;

    /// <summary>Looks, and adopts the configuration that it sees.</summary>
    /// <returns>The snapshot, null before the first; whether the DCS answers; and the last sign of life.</returns>
    public (ClusterSnapshot? Cluster, bool IsLive, long LastContact) Look()
    {
        var view = Seen = watch.Current;
        if (view.Snapshot.Revision == 0 || !nameIsOurs())
        {
            return (null, view.IsLive, view.LastContact);
        }
        var snapshot = writes.Over(lastLife.Complete(view.Snapshot, config.Timing.Ttl));
        NameProblems(snapshot);
        config.Adopt(snapshot);
        return (snapshot, view.IsLive, view.LastContact);
    }

    /// <summary>Logs the keys that cannot be read: they count as missing.</summary>
    private void NameProblems(ClusterSnapshot snapshot)
    {
        if (snapshot.Problems != _problems)
        {
            foreach (var problem in snapshot.Problems.Except(_problems))
            {
                LogKeyProblem(problem.Key, problem.Problem);
            }
            _problems = snapshot.Problems;
        }
    }

    [LoggerMessage(EventId = 1008, Level = LogLevel.Warning,
        Message = "The key {Key} in the DCS has a value that cannot be used: {Problem}")]
    private partial void LogKeyProblem(string key, string problem);
}
