using Routing.Cluster;

namespace Routing.Ha.Synchronous;

/// <summary>One step of synchronous replication: data alone.</summary>
public abstract record SyncStep
{
    private SyncStep()
    {
    }

    /// <summary>Nothing has to change.</summary>
    public sealed record None : SyncStep;

    /// <summary>Write the <c>sync</c> key.</summary>
    /// <param name="Content">
    /// What to write. Its <see cref="SyncState.ModRevision"/> is the revision to compare with; 0: the key must not
    /// exist.
    /// </param>
    public sealed record WriteSync(SyncState Content) : SyncStep;

    /// <summary>Delete the <c>sync</c> key.</summary>
    /// <param name="ModRevision">The revision to compare with.</param>
    public sealed record DeleteSync(long ModRevision) : SyncStep;

    /// <summary>
    /// Set <c>synchronous_standby_names</c>, reload, and write a small transaction so that standbys report anew.
    /// </summary>
    /// <param name="Text">The parameter's text; null: the parameter is removed.</param>
    public sealed record SetStandbyNames(string? Text) : SyncStep;

    /// <summary>Do nothing now and look again.</summary>
    /// <param name="For">After this time, or earlier when a standby reports.</param>
    public sealed record Wait(TimeSpan For) : SyncStep;
}

/// <summary>What to do about synchronous replication in this run.</summary>
/// <param name="Reason">One sentence for the operator; the log says: This member {Reason}.</param>
/// <param name="Step">At most one step; the next run sees its effect and goes on.</param>
/// <param name="Memory">To be handed in with the next observation.</param>
public sealed record SyncDecision(string Reason, SyncStep Step, SyncMemory Memory)
{
    /// <summary>
    /// When to look again: at once after a write or a change of the parameter, later after a
    /// <see cref="SyncStep.Wait"/>; null: with the ordinary next run. After a write that failed its comparison, wait
    /// for the ordinary next run whatever this says.
    /// </summary>
    public TimeSpan? RunAgainAfter => Step switch
    {
        SyncStep.None => null,
        SyncStep.Wait wait => wait.For,
        _ => TimeSpan.Zero,
    };
}

/// <summary>What has to happen before this member may promote.</summary>
/// <param name="Reason">One sentence for the operator.</param>
/// <param name="SetStandbyNames">Whether <paramref name="StandbyNames"/> has to be set, before anything else.</param>
/// <param name="StandbyNames">The text of <c>synchronous_standby_names</c>; null: the parameter is removed.</param>
/// <param name="Write">
/// The <c>sync</c> key to write after that, compared with its revision; null: the key is left alone. Unless the write
/// succeeds the promotion is postponed.
/// </param>
/// <param name="Memory">To be handed in with the first observation after the promotion.</param>
public sealed record PromotionSyncDecision(
    string Reason, bool SetStandbyNames, string? StandbyNames, SyncState? Write, SyncMemory Memory);
