using Npgsql;

namespace Routing.Failover;

/// <summary>What stands between clients and a cluster, with one port that leads to the primary.</summary>
internal interface IFront : IAsyncDisposable
{
    /// <summary>Opens connections through it, each a new one.</summary>
    NpgsqlDataSource Way { get; }

    /// <summary>Waits until clients can begin.</summary>
    Task BecomeReadyAsync(CancellationToken cancellationToken);

    /// <summary>A planned switchover, with all that an operator does around it before this front.</summary>
    Task SwitchOverAsync(TestedNode primary);

    /// <summary>What became of sessions so far, by its own counters; empty where it has none.</summary>
    Task<IReadOnlyDictionary<string, long>> CountsAsync(CancellationToken cancellationToken);
}
