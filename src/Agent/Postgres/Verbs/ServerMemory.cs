using System.Collections.Immutable;
using Routing.Agent.Postgres.Sessions;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Verbs;

/// <summary>The last answer of one postmaster, and the highest timeline that its WAL receiver was seen on.</summary>
internal sealed record LastReport(int Pid, ServerReport Report, uint ReceivedTimeline);

/// <summary>What this agent knows of its server that neither the server nor its files can tell.</summary>
internal sealed class ServerMemory
{
    private volatile LastReport? _lastReport;
    private volatile int _promotionAskedOf;
    private volatile bool _isBootstrapping;
    private ImmutableSortedDictionary<string, ParameterChange> _pendingRestart =
        ImmutableSortedDictionary<string, ParameterChange>.Empty;

    /// <summary>What the present server answered last; null: nothing yet, or it has ended.</summary>
    public LastReport? LastReport
    {
        get => _lastReport;
        set => _lastReport = value;
    }

    /// <summary>The process id of the postmaster that was told to promote; 0: none was.</summary>
    public int PromotionAskedOf
    {
        get => _promotionAskedOf;
        set => _promotionAskedOf = value;
    }

    /// <summary>This agent makes a new cluster at this moment.</summary>
    public bool IsBootstrapping
    {
        get => _isBootstrapping;
        set => _isBootstrapping = value;
    }

    /// <summary>The parameters that only a restart of the server changes.</summary>
    public ImmutableSortedDictionary<string, ParameterChange> PendingRestart
    {
        get => Volatile.Read(ref _pendingRestart);
        set => Volatile.Write(ref _pendingRestart, value);
    }

    /// <summary>Why the last start failed; empty when it did not.</summary>
    public string StartProblem { get; set; } = "";
}
