using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha;
using Routing.Ha.Synchronous;

namespace Routing.Simulation.Tests;

// Streaming, and who has confirmed what.
internal sealed partial class SimServer
{
    private readonly Dictionary<SimServer, Sender> _senders = [];
    private SyncStandbyNames _names = SyncStandbyNames.None;
    private string _namesOf = "";

    /// <summary>The server that this one streams from now.</summary>
    public SimServer? StreamsFrom { get; private set; }

    /// <summary>
    /// This postmaster has streamed; before that it knows no receive position (NULL), whatever its directory holds.
    /// </summary>
    public bool HasStreamed { get; private set; }

    public IEnumerable<SimServer> Standbys => _senders.Keys;

    /// <summary>Its link is slow.</summary>
    public bool IsSlow { get; set; }

    /// <summary>The parameter is set elsewhere: what the agent writes has no effect.</summary>
    public bool HasPinnedStandbyNames { get; set; }

    public void Follow(Upstream? upstream)
    {
        Upstream = upstream;
        Disconnect();
        LookForUpstream(_run);
    }

    public void SetSynchronousStandbyNames(string names)
    {
        if (SynchronousStandbyNames == names || HasPinnedStandbyNames)
        {
            return;
        }
        world.Note(name, $"synchronous_standby_names = '{names}'");
        SynchronousStandbyNames = names;
        ReleaseWaiting();
    }

    /// <summary>Rows of pg_stat_replication.</summary>
    public ImmutableArray<StandbyRow> Rows()
    {
        var names = NamesInForce();
        return
        [
            .. _senders.Values.OrderBy(s => s.Standby.Name, StringComparer.Ordinal).Select(sender => new StandbyRow(
                sender.Standby.Name, "replicator", null, "streaming",
                !names.Names.Contains(sender.Standby.Name)
                    ? "async"
                    : names.Method == SyncMethod.Any ? "quorum" : "sync",
                1, new Lsn(End), new Lsn(sender.Acknowledged), new Lsn(sender.Acknowledged),
                new Lsn(sender.Acknowledged))),
        ];
    }

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
        // Only at the end of the local WAL does recovery ask for more.
        if (Replayed >= _localEnd && network.ServerAt(Upstream.Address.Port) is { } source
            && network.CanStream(this, source) && CanAttach(source))
        {
            At(world.Between(1, 20), () => Attach(source, run));
            return;
        }
        At(world.Between(150, 400), () => LookForUpstream(run));
    }

    private bool CanAttach(SimServer source)
    {
        if (source == this || source.SystemId != SystemId || source.Life != Life.Up || source.IsPromoting)
        {
            return false;
        }
        if (source.Timeline == Timeline)
        {
            // Else: "requested starting point is ahead of the WAL flush position".
            return source.End >= End && source.HasFor(this);
        }
        // A standby may go on to a later timeline that forked off at or after its own position.
        return source.Timeline > Timeline && source.History.Any(h => h.Timeline == Timeline && h.SwitchPoint >= End)
            && source.HasFor(this);
    }

    private void Attach(SimServer source, int run)
    {
        if (run != _run || StreamsFrom is not null || Upstream?.Address.Port != source.Port || Life != Life.Up
            || IsPrimary || IsPromoting)
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
            Corrupted?.Invoke(
                $"{name} streams from {source.Name} on timeline {source.Timeline}, but its WAL up to {new Lsn(End)} "
                    + "is another");
        }
        (StreamsFrom, HasStreamed) = (source, true);
        HighestKnownTimeline = Math.Max(HighestKnownTimeline, source.HighestKnownTimeline);
        var sender = new Sender(this) { Acknowledged = End };
        source._senders[this] = sender;
        source.HearFeedback(sender);
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
        At(world.Between(0.2, sender.Standby.IsSlow ? 400 : 4), () =>
        {
            sender.IsUnderWay = false;
            if (_senders.GetValueOrDefault(sender.Standby) != sender || Life is not (Life.Up or Life.Stopping)
                || sender.Standby.IsFrozen)
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
            At(world.Between(0.2, 2), () =>
            {
                if (_senders.GetValueOrDefault(sender.Standby) == sender && Life is Life.Up or Life.Stopping
                    && network.CanStream(sender.Standby, this))
                {
                    sender.Acknowledged = Math.Max(sender.Acknowledged, received);
                    NoteConfirmed(sender.Standby, received);
                    HearFeedback(sender);
                    ReleaseWaiting();
                }
            });
        });
    }

    private void Receive(SimServer source)
    {
        if (IsDiskFull && Wal.Count < source.Wal.Count)
        {
            Die("PANIC: no space left on device");
            return;
        }
        for (var i = Wal.Count; i < source.Wal.Count; i++)
        {
            Wal.Add(source.Wal[i]);
        }
        if (Timeline != source.Timeline)
        {
            (Timeline, History) = (source.Timeline, [.. source.History]);
        }
        HighestKnownTimeline = Math.Max(HighestKnownTimeline, source.HighestKnownTimeline);
        if (ReplayDelay == TimeSpan.Zero && !_isReplaying && world.Chance(0.7))
        {
            Replayed = Wal.Count;
        }
        else
        {
            Replay(world.Between(0.1, 3));
        }
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

    private void ReleaseWaiting()
    {
        if (_waiting.Count == 0 || Life != Life.Up)
        {
            return;
        }
        var position = Position(NamesInForce());
        while (_waiting.Count > 0 && _waiting[0].Record.End <= position)
        {
            var commit = _waiting[0].Commit;
            _waiting.RemoveAt(0);
            (commit.AcknowledgedAt, commit.AcknowledgedBy) = (world.Now, name);
            Acknowledged?.Invoke(this, commit);
        }
    }

    /// <summary>What PostgreSQL makes of <see cref="SynchronousStandbyNames"/>.</summary>
    private SyncStandbyNames NamesInForce()
    {
        if (_namesOf != SynchronousStandbyNames)
        {
            _namesOf = SynchronousStandbyNames;
            _names = SyncStandbyNames.TryParse(_namesOf, out var names) ? names : SyncStandbyNames.None;
        }
        return _names;
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

        /// <summary>The standby tells its feedback from this time on.</summary>
        public long NextFeedback { get; set; }
    }
}
