using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>What is wrong with a data directory although it looks like one.</summary>
internal enum SimDamage
{
    None,

    /// <summary>A copy or a bootstrap was interrupted.</summary>
    HalfMade,

    /// <summary>A rewind was interrupted.</summary>
    HalfRewound,
}

// The data directory, and what is done to it while no postmaster runs.
internal sealed partial class SimServer
{
    public string? SystemId { get; private set; }

    /// <summary>All WAL that is on the disk; the first <see cref="Replayed"/> records are applied.</summary>
    public List<WalRecord> Wal { get; private set; } = [];

    public int Replayed { get; private set; }

    public List<(uint Timeline, ulong SwitchPoint)> History { get; private set; } = [];

    public uint Timeline { get; private set; }

    public uint HighestKnownTimeline { get; private set; } = 1;

    public bool HasStandbySignal { get; private set; }

    public ControlState Control { get; private set; }

    public ulong Checkpoint { get; private set; }

    public uint ControlTimeline { get; private set; }

    public ulong MinimumRecoveryEnd { get; private set; }

    public string SynchronousStandbyNames { get; private set; } = "";

    public Upstream? Upstream { get; private set; }

    public bool IsEmpty => SystemId is null;

    public ulong End => Wal.Count == 0 ? WalRecord.Origin : Wal[^1].End;

    public ulong ReplayedTo => EndOf(Replayed);

    /// <summary>The truth about the data.</summary>
    public SimDamage Damage { get; private set; }

    /// <summary>A comparison found that the data left the primary's history, and no later one took that back.</summary>
    public bool IsKnownDiverged { get; set; }

    /// <summary>An operator wants the data replaced: the mark stands in the directory.</summary>
    public bool IsToBeReplaced { get; private set; }

    /// <summary>The mark of a filling that has begun stands beside the directory.</summary>
    public bool IsMarkedUnfinished { get; private set; }

    /// <summary>A person has put these data here, and no server has run on them yet.</summary>
    public bool IsByHand { get; private set; }

    /// <summary>The configuration allows to remove data that have diverged, these too.</summary>
    public void GiveUpByHand() => IsByHand = false;

    /// <summary>A server without sessions runs (<c>postgres --single</c>).</summary>
    public bool IsAlone { get; private set; }

    /// <summary>
    /// Why the last rewind did not come about although nothing is wrong with the data; null: it did, or failed for
    /// good.
    /// </summary>
    public string? RewindObstacle { get; set; }

    /// <summary>Nothing can be written any more.</summary>
    public bool IsDiskFull { get; set; }

    /// <summary>A new database.</summary>
    public void Initialize(string systemId)
    {
        SystemId = systemId;
        (Wal, Replayed, History, HighestKnownTimeline, HasStandbySignal) = ([], 0, [], 1, false);
        (Control, Checkpoint, ControlTimeline, MinimumRecoveryEnd) = (ControlState.ShutDown, WalRecord.Origin, 1, 0);
        (Timeline, SynchronousStandbyNames) = (1, "");
        (Damage, IsKnownDiverged) = (SimDamage.None, false);
    }

    /// <summary>The bootstrap is over: what it made is whole.</summary>
    public void FinishFilling() => IsMarkedUnfinished = false;

    /// <summary>Removes everything.</summary>
    public void Erase()
    {
        Kill("its directory is removed");
        if (IsByHand)
        {
            Corrupted?.Invoke($"{name}: the data that were restored by hand are removed");
        }
        (SystemId, IsToBeReplaced) = (null, false);
        (Wal, Replayed, History, Damage, IsKnownDiverged, IsByHand) = ([], 0, [], SimDamage.None, false, false);
        (RestoreId, _lacksTarget, FirstKept) = (null, false, 0);
        ForgetSlots();
    }

    /// <summary>
    /// A copy or a bootstrap begins: until its end the directory holds something that is no database.
    /// </summary>
    public void BeginFilling(string? systemId)
    {
        Erase();
        IsMarkedUnfinished = true;
        (SystemId, Damage) = (systemId, systemId is null ? SimDamage.None : SimDamage.HalfMade);
        // An agent that took them for whole would find nothing wrong with them.
        (Control, Checkpoint, MinimumRecoveryEnd) =
            (ControlState.ShutDownInRecovery, WalRecord.Origin, WalRecord.Origin);
        (Timeline, ControlTimeline) = (1, 1);
    }

    /// <summary>An operator's order to replace the data is carried out.</summary>
    public void MarkToBeReplaced()
    {
        Kill("its data are to be replaced");
        IsToBeReplaced = true;
    }

    /// <summary>pg_rewind begins to change files.</summary>
    public void BeginRewind() => Damage = SimDamage.HalfRewound;

    /// <summary>Takes another server's data, as a base backup or a rewind does.</summary>
    public void CopyFrom(SimServer source)
    {
        Kill("its data are replaced");
        IsToBeReplaced = false;
        SystemId = source.SystemId;
        TakeWalOf(source);
        (Wal, Replayed) = ([.. source.Wal], source.Replayed);
        (History, HighestKnownTimeline) = ([.. source.History], source.HighestKnownTimeline);
        (Timeline, HasStandbySignal) = (source.Timeline, true);
        (Control, Checkpoint, ControlTimeline) = (ControlState.ShutDownInRecovery, source.Checkpoint, source.Timeline);
        MinimumRecoveryEnd = ReplayedTo;
        SynchronousStandbyNames = source.SynchronousStandbyNames;
        (Damage, IsKnownDiverged, IsMarkedUnfinished, IsByHand) = (SimDamage.None, false, false, false);
        (RestoreId, _lacksTarget) = (null, false);
    }

    /// <summary>A person restores a backup into the directory.</summary>
    /// <param name="source">Whose data the backup holds.</param>
    /// <param name="keepsMark">A planted bug: the mark of what was there before goes on counting.</param>
    public void RestoreByHand(SimServer source, bool keepsMark)
    {
        var marked = keepsMark && IsMarkedUnfinished;
        Erase();
        CopyFrom(source);
        (IsByHand, IsMarkedUnfinished) = (true, marked);
    }

    /// <summary>
    /// Crash recovery by a server without sessions: afterwards the data were shut down, as a primary's.
    /// </summary>
    /// <returns>False: something else runs on the data.</returns>
    public bool RecoverAlone(TimeSpan takes)
    {
        if (Life != Life.Down || IsEmpty || IsAlone)
        {
            return false;
        }
        if (Damage != SimDamage.None)
        {
            Corrupted?.Invoke($"{name} recovers data that are {Describe(Damage)}");
        }
        IsAlone = true;
        var run = ++_run;
        world.Note(name, "recovers in single-user mode");
        At(takes, () =>
        {
            if (run == _run && IsAlone)
            {
                (IsAlone, HasStandbySignal) = (false, false);
                Replayed = Wal.Count;
                Append(null, isShutdown: true);
                (Control, Checkpoint, ControlTimeline) = (ControlState.ShutDown, Wal[^1].Start, Timeline);
            }
        });
        return true;
    }

    /// <summary>The disk had said that these records are safe, and the power cut shows that they are not.</summary>
    /// <returns>The commits that are gone from this server.</returns>
    public IReadOnlyList<Commit> LoseTail(int records)
    {
        var kept = Math.Max(CountUpTo(Math.Max(Checkpoint + 1, MinimumRecoveryEnd)), Wal.Count - records);
        // pg_control names a checkpoint whose record is there: the tail begins after it.
        kept = Math.Min(Wal.Count, Math.Max(kept, CountUpTo(Checkpoint) + 1));
        var lost = Wal.Skip(kept).Select(record => record.Commit).OfType<Commit>().ToList();
        world.Note(name, $"has lost {Wal.Count - kept} records of its WAL");
        Wal.RemoveRange(kept, Wal.Count - kept);
        Replayed = Math.Min(Replayed, kept);
        Timeline = Math.Max(ControlTimeline, kept == 0 ? 0 : Wal[kept - 1].Timeline);
        History.RemoveAll(line => line.Timeline >= Timeline);
        return lost;
    }

    private ulong EndOf(int records) => records == 0 ? WalRecord.Origin : Wal[records - 1].End;

    /// <summary>How many records end at or before this position.</summary>
    private int CountUpTo(ulong position)
    {
        var count = Wal.Count;
        while (count > 0 && Wal[count - 1].End > position)
        {
            count--;
        }
        return count;
    }

    private static string Describe(SimDamage damage) => damage == SimDamage.HalfMade ? "half made" : "half rewound";
}
