using Routing.Cluster;
using Routing.Ha;

namespace Routing.Simulation.Tests;

// A restore in place: what stands beside the data directory, and the mark on data that are not promoted yet.
internal sealed partial class SimServer
{
    private readonly Dictionary<string, Content> _aside = [];
    private (string Id, Content Content)? _staged;
    private bool _lacksTarget;

    /// <summary>
    /// The restore whose data stand in the directory and were not promoted yet, or whose renames were interrupted.
    /// </summary>
    public string? RestoreId { get; private set; }

    /// <summary>The restored data are replayed to their target, and stand still there.</summary>
    public bool IsAtTarget =>
        RestoreId is not null && Life == Life.Up && !IsPrimary && !IsPromoting && Replayed >= Wal.Count;

    /// <summary>The repository cannot be read.</summary>
    public bool IsRepositoryBroken { get; set; }

    /// <summary>The repository was read whole.</summary>
    public bool IsStaged(string id) => _staged?.Id == id;

    /// <summary>Where a replay to this target ends.</summary>
    public static ulong EndOf(RestoreTarget target) => Lsn.TryParse(target.Value, out var lsn)
        ? lsn.Value
        : throw new InvalidOperationException($"The simulation restores to positions, and not to {target}.");

    /// <summary>Reads the repository into a directory beside the data.</summary>
    /// <param name="id">The restore.</param>
    /// <param name="target">Where the replay is to end.</param>
    /// <param name="shift">A planted bug: so many records more than the target says; negative: less.</param>
    /// <returns>False: no backup ends before the target.</returns>
    public bool Stage(string id, ulong target, int shift)
    {
        // What a server that died had not archived yet is in no repository.
        var archived = Control == ControlState.ShutDown ? Wal.Count : Math.Max(1, Wal.Count - world.Random.Next(4));
        var count = Math.Min(CountUpTo(target), archived);
        if (count == 0)
        {
            return false;
        }
        var kept = Math.Clamp(count + shift, 1, archived);
        var backup = world.Random.Next(kept);
        // A target before the last switch leaves the replay on an earlier timeline.
        var timeline = Wal[kept - 1].Timeline;
        _staged = (id, new Content(SystemId!, [.. Wal.Take(kept)], backup,
            [.. History.Where(line => line.Timeline < timeline)], HighestKnownTimeline, timeline,
            true, ControlState.InArchiveRecovery, EndOf(backup), timeline, EndOf(backup), SynchronousStandbyNames,
            false, archived == count && EndOf(count) < target));
        return true;
    }

    /// <summary>The first rename: the data go, unless an earlier one has taken them.</summary>
    public void SetAside(string id)
    {
        Kill("its data are set aside");
        if (!IsEmpty)
        {
            _aside[id] = Save();
            RestoreId = id;
            SystemId = null;
        }
    }

    /// <summary>The second rename: what was staged stands in their place.</summary>
    public void PutInPlace(string id)
    {
        Load(_staged!.Value.Content);
        (_staged, RestoreId) = (null, id);
        world.Note(name, $"has its data back at {new Lsn(End)}, not replayed yet");
    }

    /// <summary>The first rename of putting back: what was restored goes.</summary>
    public void Discard()
    {
        Kill("its restored data give way");
        SystemId = null;
    }

    /// <summary>The second one: the data that were set aside are back.</summary>
    /// <param name="id">The restore.</param>
    /// <param name="keepsRestored">A planted bug: only the mark goes.</param>
    public void PutBack(string id, bool keepsRestored)
    {
        var content = keepsRestored && _staged is null ? Save() : _aside[id];
        Load(content with { SystemId = _aside[id].SystemId, LacksTarget = false });
        _aside.Remove(id);
        (_staged, RestoreId) = (null, null);
        world.Note(name, $"has its former data again, up to {new Lsn(End)}");
    }

    private Content Save() => new(
        SystemId!, Wal, Replayed, History, HighestKnownTimeline, Timeline, HasStandbySignal, Control, Checkpoint,
        ControlTimeline, MinimumRecoveryEnd, SynchronousStandbyNames, IsKnownDiverged, _lacksTarget);

    private void Load(Content content)
    {
        (SystemId, Wal, Replayed, History) = (content.SystemId, content.Wal, content.Replayed, content.History);
        // A timeline that was opened before the restore is known in the repository.
        HighestKnownTimeline = Math.Max(HighestKnownTimeline, content.HighestKnownTimeline);
        (Timeline, HasStandbySignal) = (content.Timeline, content.HasStandbySignal);
        (Control, Checkpoint) = (content.Control, content.Checkpoint);
        (ControlTimeline, MinimumRecoveryEnd) = (content.ControlTimeline, content.MinimumRecoveryEnd);
        (SynchronousStandbyNames, IsKnownDiverged) = (content.SynchronousStandbyNames, content.IsKnownDiverged);
        (_lacksTarget, Damage) = (content.LacksTarget, SimDamage.None);
    }

    /// <summary>A data directory under another name.</summary>
    private sealed record Content(
        string SystemId, List<WalRecord> Wal, int Replayed, List<(uint Timeline, ulong SwitchPoint)> History,
        uint HighestKnownTimeline, uint Timeline, bool HasStandbySignal, ControlState Control, ulong Checkpoint,
        uint ControlTimeline, ulong MinimumRecoveryEnd, string SynchronousStandbyNames, bool IsKnownDiverged,
        bool LacksTarget);
}
