using Routing.Cluster;
using Routing.Ha;

namespace Routing.Simulation.Tests;

/// <summary>What the postmaster does.</summary>
internal enum Life
{
    Down,
    Starting,
    Up,

    /// <summary>A fast shutdown: no sessions any more, the standbys get the last records.</summary>
    Stopping,
}

/// <summary>A PostgreSQL server: data directory and processes. It knows nothing of agents.</summary>
/// <remarks>
/// Modelled: timelines with switch points; WAL as a list of records, which is flushed first and replayed later;
/// streaming from the configured upstream with its rules for timelines; synchronous acknowledgement by the parameter in
/// force; recovery from the last restart point, during which a hot standby answers already; shutdown checkpoints;
/// promotion; single-user mode; directories that are half made or half rewound; a full disk, and a disk that loses what
/// it had promised to keep. Not modelled: pages, archives.
/// </remarks>
internal sealed partial class SimServer(SimWorld world, SimNetwork network, string name, int port)
{
    private readonly List<(WalRecord Record, Commit Commit)> _waiting = [];
    private readonly List<Action> _held = [];
    private int _pids;
    private int _run;
    private bool _isReplaying;
    private int _localEnd;

    public string Name => name;

    public int Port => port;

    public Life Life { get; private set; }

    public int Pid { get; private set; }

    public bool IsPrimary { get; private set; }

    public bool IsPromoting { get; private set; }

    /// <summary>The whole machine stands still: nothing happens until it goes on.</summary>
    public bool IsFrozen { get; private set; }

    /// <summary>A client's commit would be taken (whether it would be acknowledged is another question).</summary>
    public bool AcceptsWrites => Life == Life.Up && IsPrimary && !IsFrozen;

    /// <summary>The next start fails, so many times.</summary>
    public int FailingStarts { get; set; }

    /// <summary>How long the next starts take, until connections are accepted.</summary>
    public Func<TimeSpan> StartTime { get; set; } = () => TimeSpan.FromMilliseconds(200);

    /// <summary>How long a fast shutdown needs before its checkpoint is written.</summary>
    public Func<TimeSpan> StopTime { get; set; } = () => TimeSpan.FromMilliseconds(50);

    /// <summary>How long a hot standby replays what its directory holds, after its start.</summary>
    public Func<TimeSpan> LocalReplayTime { get; set; } = () => TimeSpan.FromMilliseconds(100);

    /// <summary>How long replay stays behind on purpose (recovery_min_apply_delay).</summary>
    public TimeSpan ReplayDelay { get; set; }

    /// <summary>How long other things take on this node.</summary>
    public SimTimes Times { get; } = new(world);

    /// <summary>Does not answer the agent's questions, though it works.</summary>
    public bool IsUnresponsive { get; set; }

    /// <summary>The postmaster has ended.</summary>
    public Action? Ended { get; set; }

    /// <summary>A commit was acknowledged.</summary>
    public Action<SimServer, Commit>? Acknowledged { get; set; }

    /// <summary>It has just become writable; true: by a promotion, on a new timeline.</summary>
    public Action<SimServer, bool>? BecamePrimary { get; set; }

    /// <summary>PostgreSQL would have corrupted data here, without noticing.</summary>
    public Action<string>? Corrupted { get; set; }

    /// <summary>Writes the configuration and starts the postmaster.</summary>
    /// <param name="asPrimary">Whether it is a primary when it has recovered.</param>
    /// <param name="upstream">Where a standby streams from.</param>
    /// <param name="toTarget">It replays to the target of a restore, and stands still there.</param>
    public void Start(bool asPrimary, Upstream? upstream, bool toTarget = false)
    {
        if (Life != Life.Down || IsEmpty || IsAlone)
        {
            return;
        }
        if (IsToBeReplaced)
        {
            Corrupted?.Invoke($"{name} starts on data that an operator wants replaced");
        }
        if (Damage != SimDamage.None)
        {
            Corrupted?.Invoke($"{name} starts on data that are {Describe(Damage)}");
        }
        if (RestoreId is not null && !toTarget)
        {
            Corrupted?.Invoke($"{name} starts on data of a restore that has not ended");
        }
        var run = ++_run;
        Life = Life.Starting;
        Pid = (port * 1000) + ++_pids;
        StartedAt = SimClock.TrueTime(world);
        Upstream = asPrimary ? null : upstream;
        HasStandbySignal = !asPrimary;
        (IsPrimary, IsPromoting, HasStreamed, IsByHand) = (false, false, false, false);
        world.Note(name, $"postmaster {Pid} starts as {(asPrimary ? "primary" : "standby")}");
        At(StartTime(), () =>
        {
            if (run != _run || Life != Life.Starting)
            {
                return;
            }
            if (FailingStarts > 0 || IsDiskFull)
            {
                FailingStarts = Math.Max(0, FailingStarts - 1);
                Die("it does not start");
                return;
            }
            Life = Life.Up;
            if (asPrimary)
            {
                Control = ControlState.InProduction;
                Replayed = Wal.Count;
                Append(null);   // the checkpoint at the end of recovery
                (Checkpoint, ControlTimeline) = (Wal[^1].Start, Timeline);
                IsPrimary = true;
                world.Note(name, $"is a primary on timeline {Timeline} at {new Lsn(End)}");
                BecamePrimary?.Invoke(this, false);
            }
            else
            {
                // What was shut down or crashed as a primary is recovered before a hot standby answers.
                var wasStandby = Control is ControlState.ShutDownInRecovery or ControlState.InArchiveRecovery;
                Replayed = wasStandby ? CountUpTo(MinimumRecoveryEnd) : Wal.Count;
                _localEnd = Wal.Count;
                Control = ControlState.InArchiveRecovery;
                world.Note(name, $"is a standby on timeline {Timeline} at {new Lsn(ReplayedTo)} of {new Lsn(End)}");
                if (toTarget)
                {
                    ReplayToTarget(run);
                    return;
                }
                if (LocalReplayTime() is var takes && takes == TimeSpan.Zero && ReplayDelay == TimeSpan.Zero)
                {
                    Replayed = Wal.Count;
                }
                Replay(takes);
                LookForUpstream(run);
            }
        });
    }

    /// <summary>SIGINT to the postmaster.</summary>
    public void StopFast()
    {
        if (Life == Life.Starting)
        {
            Die("stopped while starting");
            return;
        }
        if (Life != Life.Up)
        {
            return;
        }
        var run = _run;
        Life = Life.Stopping;
        _waiting.Clear();   // "canceling the wait for synchronous replication": nobody is told that it is done
        world.Note(name, "stops fast");
        Disconnect();
        At(StopTime(), () =>
        {
            if (run != _run || Life != Life.Stopping)
            {
                return;
            }
            if (IsPrimary && !IsPromoting)
            {
                Append(null, isShutdown: true);
                (Control, Checkpoint, ControlTimeline) = (ControlState.ShutDown, Wal[^1].Start, Timeline);
            }
            else
            {
                (Control, MinimumRecoveryEnd) = (ControlState.ShutDownInRecovery, ReplayedTo);
            }
            WaitForSenders(run);
        });
    }

    /// <summary>SIGQUIT, SIGKILL, or a crash: nothing more is written or acknowledged.</summary>
    public void Kill(string why)
    {
        IsAlone = false;
        if (Life != Life.Down)
        {
            Die(why);
        }
    }

    /// <summary>pg_promote: replays what is there and opens a new timeline.</summary>
    public void Promote(uint usedTimeline, TimeSpan takes)
    {
        if (Life != Life.Up || IsPrimary || IsPromoting)
        {
            return;
        }
        var run = _run;
        IsPromoting = true;
        HighestKnownTimeline = Math.Max(HighestKnownTimeline, usedTimeline);
        Disconnect();
        At(takes, () =>
        {
            if (run != _run || Life != Life.Up)
            {
                return;
            }
            IsPromoting = false;
            Replayed = Wal.Count;
            History.Add((Timeline, End));
            Timeline = ++HighestKnownTimeline;
            Append(null);
            (IsPrimary, HasStandbySignal, Upstream, Control) = (true, false, null, ControlState.InProduction);
            world.Note(name, $"is promoted: timeline {Timeline} at {new Lsn(End)}");
            BecamePrimary?.Invoke(this, true);
            RestoreId = null;   // recovery.signal is gone, and the mark counts beside it alone
        });
    }

    /// <summary>CHECKPOINT, done.</summary>
    public void WriteCheckpoint()
    {
        if (AcceptsWrites)
        {
            Append(null);
            (Checkpoint, ControlTimeline) = (Wal[^1].Start, Timeline);
        }
    }

    /// <summary>A client's commit. It is acknowledged at once, later, or never.</summary>
    public void TryCommit(Commit commit)
    {
        if (!AcceptsWrites)
        {
            return;
        }
        if (IsDiskFull)
        {
            Die("PANIC: no space left on device");
            return;
        }
        var record = Append(commit);
        commit.End = record.End;
        _waiting.Add((record, commit));
        ReleaseWaiting();
    }

    /// <summary>The machine stops, clocks and all.</summary>
    public void Freeze() => IsFrozen = true;

    /// <summary>The machine goes on where it stopped.</summary>
    public void Thaw()
    {
        if (!IsFrozen)
        {
            return;
        }
        IsFrozen = false;
        foreach (var work in _held)
        {
            At(world.Between(0, 1), work);
        }
        _held.Clear();
    }

    private void At(TimeSpan delay, Action work) => world.At(delay, () =>
    {
        if (IsFrozen)
        {
            _held.Add(work);
        }
        else
        {
            work();
        }
    });

    private WalRecord Append(Commit? commit, bool isShutdown = false, uint catalogFrom = 0)
    {
        var end = End + (ulong)world.Random.Next(100, 9000);
        var record = new WalRecord(
            Wal.Count == 0 ? null : Wal[^1], Timeline, end, commit, isShutdown, catalogFrom);
        Wal.Add(record);
        Replayed = Wal.Count;
        foreach (var sender in _senders.Values)
        {
            Ship(sender);
        }
        return record;
    }

    private void ReplayToTarget(int run) => At(world.Between(50, 3000), () =>
    {
        if (run != _run || Life != Life.Up)
        {
            return;
        }
        if (_lacksTarget)
        {
            Die("recovery ended before configured recovery target was reached");
            return;
        }
        Replayed = Wal.Count;
        world.Note(name, $"stands still at {new Lsn(End)}");
    });

    private void Die(string why)
    {
        world.Note(name, $"postmaster {Pid} ends: {why}");
        _run++;
        Life = Life.Down;
        _waiting.Clear();
        Disconnect();
        foreach (var standby in _senders.Keys.ToList())
        {
            standby.Disconnect();
            standby.LookForUpstream(standby._run);
        }
        if (!IsPrimary && Control == ControlState.InArchiveRecovery)
        {
            // What was replayed since the last restart point may be more than pg_control knows of.
            var least = Math.Max(CountUpTo(MinimumRecoveryEnd), Replayed - 20);
            MinimumRecoveryEnd = EndOf(world.Random.Next(Math.Min(least, Replayed), Replayed + 1));
        }
        Pid = 0;
        (IsPrimary, IsPromoting, IsUnresponsive, _isReplaying) = (false, false, false, false);
        Ended?.Invoke();
    }

    /// <summary>The end of a shutdown: each connected standby gets everything first.</summary>
    private void WaitForSenders(int run)
    {
        if (run != _run || Life != Life.Stopping)
        {
            return;
        }
        foreach (var sender in _senders.Values.Where(s => s.Acknowledged < End).ToList())
        {
            Ship(sender);
        }
        if (_senders.Values.Any(s => s.Acknowledged < End))
        {
            At(TimeSpan.FromMilliseconds(5), () => WaitForSenders(run));
            return;
        }
        At(world.Between(5, 40), () =>
        {
            if (run == _run)
            {
                Die("stopped");
            }
        });
    }

    /// <summary>A standby applies what it has received; never less than <paramref name="takes"/> later.</summary>
    private void Replay(TimeSpan takes)
    {
        if (_isReplaying || Replayed >= Wal.Count || Life != Life.Up || IsPrimary)
        {
            return;
        }
        var (run, target) = (_run, Wal.Count);
        _isReplaying = true;
        At(takes > ReplayDelay ? takes : ReplayDelay, () =>
        {
            if (run != _run || IsPrimary)
            {
                return;
            }
            _isReplaying = false;
            Replayed = Math.Max(Replayed, Math.Min(target, Wal.Count));
            Replay(world.Between(0.1, 3));
        });
    }
}
