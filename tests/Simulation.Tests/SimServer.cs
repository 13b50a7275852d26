using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Synchronous;

namespace Routing.Simulation.Tests;

/// <summary>One record of the write-ahead log. Two servers have the same history as far as they share the same objects.</summary>
internal sealed class WalRecord(uint timeline, ulong start, ulong end, Commit? commit, bool isShutdown = false)
{
    public uint Timeline => timeline;

    public ulong Start => start;

    public ulong End => end;

    public Commit? Commit => commit;

    public bool IsShutdown => isShutdown;
}

/// <summary>One commit of a client.</summary>
internal sealed class Commit(long id)
{
    public long Id => id;

    /// <summary>When the client was told that it is done; null: never.</summary>
    public long? AcknowledgedAt { get; set; }

    public string AcknowledgedBy { get; set; } = "";

    /// <summary>Acknowledged under a synchronous mode: it has to be on every later primary.</summary>
    public bool IsProtected { get; set; }

    public ulong End { get; set; }
}

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
/// Modelled: timelines with switch points, WAL as a list of records that are flushed at once, streaming from the configured
/// upstream with its rules for timelines, synchronous acknowledgement by the parameter in force, crash recovery, shutdown
/// checkpoints, and promotion. Not modelled: pages, replay lag, archives.
/// </remarks>
internal sealed class SimServer(SimWorld world, SimNetwork network, string name, int port)
{
    private readonly List<(WalRecord Record, Commit Commit)> _waiting = [];
    private readonly Dictionary<SimServer, Sender> _senders = [];
    private int _pids;
    private int _run;

    public string Name => name;

    public int Port => port;

    // --- the data directory ---------------------------------------------------------------------------------------

    public string? SystemId { get; set; }

    public List<WalRecord> Wal { get; private set; } = [];

    public List<(uint Timeline, ulong SwitchPoint)> History { get; private set; } = [];

    public uint HighestKnownTimeline { get; private set; } = 1;

    public bool HasStandbySignal { get; private set; }

    public ControlState Control { get; private set; }

    public ulong Checkpoint { get; private set; }

    public uint ControlTimeline { get; private set; }

    public ulong MinimumRecoveryEnd { get; private set; }

    public string SynchronousStandbyNames { get; private set; } = "";

    public Upstream? Upstream { get; private set; }

    public bool IsEmpty => SystemId is null;

    // --- the processes --------------------------------------------------------------------------------------------

    public Life Life { get; private set; }

    public int Pid { get; private set; }

    public bool IsPrimary { get; private set; }

    public bool IsPromoting { get; private set; }

    public uint Timeline { get; private set; }

    /// <summary>The server that this one streams from now.</summary>
    public SimServer? StreamsFrom { get; private set; }

    /// <summary>A client's commit would be taken (whether it would be acknowledged is another question).</summary>
    public bool AcceptsWrites => Life == Life.Up && IsPrimary;

    public ulong End => Wal.Count == 0 ? 0x1000000 : Wal[^1].End;

    /// <summary>The next start fails, so many times.</summary>
    public int FailingStarts { get; set; }

    /// <summary>How long the next starts take.</summary>
    public Func<TimeSpan> StartTime { get; set; } = () => TimeSpan.FromMilliseconds(200);

    /// <summary>How long a fast shutdown needs before its checkpoint is written.</summary>
    public Func<TimeSpan> StopTime { get; set; } = () => TimeSpan.FromMilliseconds(50);

    /// <summary>Does not answer the agent's questions, though it works.</summary>
    public bool IsUnresponsive { get; set; }

    /// <summary>The postmaster has ended.</summary>
    public Action? Ended { get; set; }

    /// <summary>A commit was acknowledged.</summary>
    public Action<SimServer, Commit>? Acknowledged { get; set; }

    /// <summary>It has just become writable.</summary>
    public Action<SimServer>? BecamePrimary { get; set; }

    /// <summary>PostgreSQL would have corrupted data here, without noticing.</summary>
    public Action<string>? Corrupted { get; set; }

    public IEnumerable<SimServer> Standbys => _senders.Keys;

    public void Initialize(string systemId)
    {
        SystemId = systemId;
        (Wal, History, HighestKnownTimeline, HasStandbySignal) = ([], [], 1, false);
        (Control, Checkpoint, ControlTimeline, MinimumRecoveryEnd) = (ControlState.ShutDown, 0x1000000, 1, 0);
        Timeline = 1;
        SynchronousStandbyNames = "";
    }

    public void Erase()
    {
        Kill("its directory is removed");
        SystemId = null;
        (Wal, History) = ([], []);
    }

    /// <summary>Takes another server's data, as a base backup or a rewind does.</summary>
    public void CopyFrom(SimServer source)
    {
        Kill("its data are replaced");
        SystemId = source.SystemId;
        Wal = [.. source.Wal];
        History = [.. source.History];
        HighestKnownTimeline = source.HighestKnownTimeline;
        Timeline = source.Timeline;
        HasStandbySignal = true;
        (Control, Checkpoint, ControlTimeline) = (ControlState.ShutDownInRecovery, source.Checkpoint, source.Timeline);
        MinimumRecoveryEnd = End;
        SynchronousStandbyNames = source.SynchronousStandbyNames;
    }

    /// <summary>Writes the configuration and starts the postmaster.</summary>
    public void Start(bool asPrimary, Upstream? upstream)
    {
        if (Life != Life.Down || IsEmpty)
        {
            return;
        }
        var run = ++_run;
        Life = Life.Starting;
        Pid = (port * 1000) + ++_pids;
        Upstream = asPrimary ? null : upstream;
        HasStandbySignal = !asPrimary;
        IsPrimary = false;
        IsPromoting = false;
        world.Note(name, $"postmaster {Pid} starts as {(asPrimary ? "primary" : "standby")}");
        world.At(StartTime(), () =>
        {
            if (run != _run || Life != Life.Starting)
            {
                return;
            }
            if (FailingStarts > 0)
            {
                FailingStarts--;
                Die("it does not start");
                return;
            }
            Life = Life.Up;
            if (asPrimary)
            {
                Control = ControlState.InProduction;
                Append(null);   // the checkpoint at the end of recovery
                (Checkpoint, ControlTimeline) = (Wal[^1].Start, Timeline);
                IsPrimary = true;
                world.Note(name, $"is a primary on timeline {Timeline} at {new Lsn(End)}");
                BecamePrimary?.Invoke(this);
            }
            else
            {
                Control = ControlState.InArchiveRecovery;
                world.Note(name, $"is a standby on timeline {Timeline} at {new Lsn(End)}");
                LookForUpstream(run);
            }
        });
    }

    public void Follow(Upstream? upstream)
    {
        Upstream = upstream;
        Disconnect();
        LookForUpstream(_run);
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
        world.At(StopTime(), () =>
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
                (Control, MinimumRecoveryEnd) = (ControlState.ShutDownInRecovery, End);
            }
            WaitForSenders(run);
        });
    }

    /// <summary>SIGQUIT, SIGKILL, or a crash: nothing more is written or acknowledged.</summary>
    public void Kill(string why)
    {
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
        world.At(takes, () =>
        {
            if (run != _run || Life != Life.Up)
            {
                return;
            }
            IsPromoting = false;
            History.Add((Timeline, End));
            Timeline = ++HighestKnownTimeline;
            Append(null);
            (IsPrimary, HasStandbySignal, Upstream, Control) = (true, false, null, ControlState.InProduction);
            world.Note(name, $"is promoted: timeline {Timeline} at {new Lsn(End)}");
            BecamePrimary?.Invoke(this);
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

    public void SetSynchronousStandbyNames(string names)
    {
        if (SynchronousStandbyNames == names)
        {
            return;
        }
        world.Note(name, $"synchronous_standby_names = '{names}'");
        SynchronousStandbyNames = names;
        ReleaseWaiting();
    }

    /// <summary>A client's commit. It is acknowledged at once, later, or never.</summary>
    public void TryCommit(Commit commit)
    {
        if (!AcceptsWrites)
        {
            return;
        }
        var record = Append(commit);
        commit.End = record.End;
        _waiting.Add((record, commit));
        ReleaseWaiting();
    }

    /// <summary>Rows of pg_stat_replication.</summary>
    public ImmutableArray<StandbyRow> Rows()
    {
        _ = SyncStandbyNames.TryParse(SynchronousStandbyNames, out var names);
        names ??= SyncStandbyNames.None;
        return
        [
            .. _senders.Values.OrderBy(s => s.Standby.Name, StringComparer.Ordinal).Select(sender => new StandbyRow(
                sender.Standby.Name, "replicator", null, "streaming",
                !names.Names.Contains(sender.Standby.Name) ? "async" : names.Method == SyncMethod.Any ? "quorum" : "sync",
                1, new Lsn(End), new Lsn(sender.Acknowledged), new Lsn(sender.Acknowledged), new Lsn(sender.Acknowledged))),
        ];
    }

    private WalRecord Append(Commit? commit, bool isShutdown = false)
    {
        var start = End;
        var record = new WalRecord(Timeline, start, start + (ulong)world.Random.Next(100, 9000), commit, isShutdown);
        Wal.Add(record);
        foreach (var sender in _senders.Values)
        {
            Ship(sender);
        }
        return record;
    }

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
            MinimumRecoveryEnd = Wal.Count == 0 ? End : Wal[world.Random.Next(Math.Max(0, Wal.Count - 20), Wal.Count)].End;
        }
        Pid = 0;
        IsPrimary = false;
        IsPromoting = false;
        IsUnresponsive = false;
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
            world.At(TimeSpan.FromMilliseconds(5), () => WaitForSenders(run));
            return;
        }
        world.At(world.Between(5, 40), () =>
        {
            if (run == _run)
            {
                Die("stopped");
            }
        });
    }

    // --- streaming ------------------------------------------------------------------------------------------------

    internal void Disconnect()
    {
        if (StreamsFrom is { } source)
        {
            source._senders.Remove(this);
            StreamsFrom = null;
        }
    }

    internal void LookForUpstream(int run)
    {
        if (run != _run || Life != Life.Up || IsPrimary || IsPromoting || StreamsFrom is not null || Upstream is null)
        {
            return;
        }
        if (network.ServerAt(Upstream.Address.Port) is { } source && network.CanStream(this, source) && CanAttach(source))
        {
            world.At(world.Between(1, 20), () => Attach(source, run));
            return;
        }
        world.At(world.Between(150, 400), () => LookForUpstream(run));
    }

    private bool CanAttach(SimServer source)
    {
        if (source == this || source.SystemId != SystemId || source.Life != Life.Up || source.IsPromoting)
        {
            return false;
        }
        if (source.Timeline == Timeline)
        {
            return source.End >= End;   // else: "requested starting point is ahead of the WAL flush position"
        }
        // A standby may go on to a later timeline that forked off at or after its own position.
        return source.Timeline > Timeline && source.History.Any(h => h.Timeline == Timeline && h.SwitchPoint >= End);
    }

    private void Attach(SimServer source, int run)
    {
        if (run != _run || StreamsFrom is not null || Upstream?.Address.Port != source.Port || Life != Life.Up || IsPrimary || IsPromoting)
        {
            return;
        }
        if (!network.CanStream(this, source) || !CanAttach(source))
        {
            LookForUpstream(run);
            return;
        }
        if (Wal.Count > 0 && (source.Wal.Count < Wal.Count || !ReferenceEquals(source.Wal[Wal.Count - 1], Wal[^1])))
        {
            Corrupted?.Invoke($"{name} streams from {source.Name} on timeline {source.Timeline}, but its WAL up to {new Lsn(End)} is another");
        }
        StreamsFrom = source;
        HighestKnownTimeline = Math.Max(HighestKnownTimeline, source.HighestKnownTimeline);
        var sender = new Sender(this) { Acknowledged = End };
        source._senders[this] = sender;
        source.Ship(sender);
        source.ReleaseWaiting();
    }

    private void Ship(Sender sender)
    {
        if (sender.IsUnderWay)
        {
            return;
        }
        sender.IsUnderWay = true;
        world.At(world.Between(0.2, sender.Standby.IsSlow ? 400 : 4), () =>
        {
            sender.IsUnderWay = false;
            if (_senders.GetValueOrDefault(sender.Standby) != sender || Life is not (Life.Up or Life.Stopping))
            {
                return;
            }
            if (!network.CanStream(sender.Standby, this))
            {
                sender.Standby.Lose(this);
                return;
            }
            sender.Standby.Receive(this);
            var received = sender.Standby.End;
            world.At(world.Between(0.2, 2), () =>
            {
                if (_senders.GetValueOrDefault(sender.Standby) == sender && Life is Life.Up or Life.Stopping && network.CanStream(sender.Standby, this))
                {
                    sender.Acknowledged = Math.Max(sender.Acknowledged, received);
                    ReleaseWaiting();
                }
            });
        });
    }

    private void Receive(SimServer source)
    {
        for (var i = Wal.Count; i < source.Wal.Count; i++)
        {
            Wal.Add(source.Wal[i]);
        }
        Timeline = source.Timeline;
        History = [.. source.History];
        HighestKnownTimeline = Math.Max(HighestKnownTimeline, source.HighestKnownTimeline);
        foreach (var sender in _senders.Values)
        {
            Ship(sender);   // cascading
        }
    }

    private void Lose(SimServer source)
    {
        source._senders.Remove(this);
        StreamsFrom = null;
        LookForUpstream(_run);
    }

    /// <summary>Its link is slow.</summary>
    public bool IsSlow { get; set; }

    private void ReleaseWaiting()
    {
        if (_waiting.Count == 0 || Life != Life.Up)
        {
            return;
        }
        if (!SyncStandbyNames.TryParse(SynchronousStandbyNames, out var names))
        {
            names = SyncStandbyNames.None;
        }
        var position = Position(names);
        while (_waiting.Count > 0 && _waiting[0].Record.End <= position)
        {
            var commit = _waiting[0].Commit;
            _waiting.RemoveAt(0);
            (commit.AcknowledgedAt, commit.AcknowledgedBy) = (world.Now, name);
            Acknowledged?.Invoke(this, commit);
        }
    }

    /// <summary>Up to where the standbys in force have confirmed.</summary>
    private ulong Position(SyncStandbyNames names)
    {
        if (names.Method == SyncMethod.None)
        {
            return ulong.MaxValue;
        }
        var acknowledged = _senders.Values.Where(s => names.Names.Contains(s.Standby.Name)).Select(s => s.Acknowledged)
            .OrderDescending().ToList();
        return acknowledged.Count < names.Count ? 0 : acknowledged[names.Count - 1];
    }

    private sealed class Sender(SimServer standby)
    {
        public SimServer Standby => standby;

        public ulong Acknowledged { get; set; }

        public bool IsUnderWay { get; set; }
    }
}
