namespace Routing.Cluster;

/// <summary>How far a restore of the living cluster is.</summary>
public enum RestorePhase
{
    /// <summary>An operator has asked for it; nothing has happened.</summary>
    Requested,

    /// <summary>The leader restores its data: writes have ended, and no other member may lead.</summary>
    Restoring,

    /// <summary>The data are at the target: the leader is about to be promoted, and there is no way back.</summary>
    Promoting,

    /// <summary>The leader runs on its new timeline; the other members take its data.</summary>
    Promoted,

    /// <summary>It failed or was called off: the cluster goes on with the data that it had.</summary>
    Failed,
}

/// <summary>What a restore goes back to.</summary>
/// <param name="Kind"><c>time</c>, <c>lsn</c>, <c>name</c> or <c>immediate</c>.</param>
/// <param name="Value">The time, LSN or name; empty for <c>immediate</c>.</param>
public readonly record struct RestoreTarget(string Kind, string Value)
{
    /// <summary>The kinds.</summary>
    public static readonly string[] Kinds = ["time", "lsn", "name", "immediate"];

    /// <summary>As a sentence has it: <c>time 2026-11-30 14:00:00+00</c>.</summary>
    public override string ToString() => Value.Length == 0 ? Kind : $"{Kind} {Value}";
}

/// <summary>The <c>routing/restore</c> key: the living cluster goes back in time.</summary>
/// <param name="Id">Names this restore: letters, digits and dashes; a part of file names.</param>
/// <param name="Member">The leader that restores its data.</param>
/// <param name="Target">What it goes back to.</param>
/// <param name="Phase">How far it is.</param>
public sealed record RestoreRequest(string Id, string Member, RestoreTarget Target, RestorePhase Phase)
{
    /// <summary>The timeline to follow to the target; 0: the one that the leader was on.</summary>
    public uint Timeline { get; init; }

    /// <summary>The backup to begin with, by its label; null: the newest one before the target.</summary>
    public string? Backup { get; init; }

    /// <summary>The timeline that was opened; 0 before.</summary>
    public uint NewTimeline { get; init; }

    /// <summary>Why it failed; null: it has not.</summary>
    public string? Problem { get; init; }

    /// <summary>The revision to compare with when it is changed.</summary>
    public long ModRevision { get; init; }

    /// <summary>
    /// No other member than <see cref="Member"/> may lead: the others hold WAL from beyond the target.
    /// </summary>
    public bool BarsOthers => Phase is RestorePhase.Restoring or RestorePhase.Promoting;

    /// <summary>It can still be called off, and nothing is lost by that.</summary>
    public bool CanBeCalledOff => Phase is RestorePhase.Requested or RestorePhase.Restoring;

    /// <summary>
    /// The history when an operator gives this restore up although it was promoted: without the timeline that it has
    /// opened, where no other member is on it. With that line the others would have left the cluster's history, and
    /// none of them could lead. Null: it stays as it is.
    /// </summary>
    public TimelineHistory? HistoryWithout(ClusterSnapshot snapshot)
    {
        var others = snapshot.Members.Values.Where(member => member.Name != Member)
            .Select(member => member.Timeline ?? 0).DefaultIfEmpty(0u).Max();
        return CanBeCalledOff || others == 0 || snapshot.History is not { } history
            || history.CurrentTimeline <= others || (snapshot.Leader is { } leader && leader.Holder != Member)
            ? null
            : new TimelineHistory([.. history.Lines.Where(line => line.Timeline < others)]);
    }
}
