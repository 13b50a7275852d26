namespace Routing.Proxy.Transport.Loops;

/// <summary>
/// The directions of one loop's relays that move much. The loop looks at them by the clock, instead of being woken for
/// them.
/// </summary>
/// <remarks>
/// PostgreSQL sends a COPY in pieces of 8 KiB, and to wake up for each piece costs more than to move it. The sender
/// pays, too: it wakes the receiver, and as long as that empties its buffer at once it is answered with an
/// acknowledgement for every second piece (so it is with SO_RCVLOWAT). What moves much is therefore not reported by the
/// kernel at all: four times in a millisecond the loop takes all that is there. Each millisecond it is decided anew
/// which directions move much. On the loop's thread.
/// </remarks>
internal sealed class BusyDirections(EventLoop loop)
{
    /// <summary>
    /// A direction that moves so many bytes in a millisecond is looked at by the clock: at least two pieces a look.
    /// </summary>
    private const int MuchInReview = 64 * 1024;

    /// <summary>A millisecond.</summary>
    private const int LooksPerReview = 4;

    private static readonly TimeSpan s_interval = TimeSpan.FromMicroseconds(250);

    private readonly List<Entry> _all = [];
    private bool _isTicking;
    private int _looks;

    /// <summary>Takes in a direction that has begun to move much.</summary>
    public void Add(LoopRelay relay, bool isUp)
    {
        _all.Add(new(relay, isUp) { Seen = relay.BytesOf(isUp) });
        if (!_isTicking)
        {
            _isTicking = true;
            Tick();
        }
    }

    /// <summary>Lets go of a relay that is over.</summary>
    public void Remove(LoopRelay relay)
    {
        for (var at = _all.Count - 1; at >= 0; at--)
        {
            if (ReferenceEquals(_all[at].Relay, relay))
            {
                RemoveAt(at);
            }
        }
    }

    private void Tick() => loop.After(s_interval, static self => ((BusyDirections)self!).Look(), this);

    private void Look()
    {
        _isTicking = _all.Count > 0;
        if (_isTicking)
        {
            Tick();   // first, so that a fault in what follows does not end it
        }
        var isReview = ++_looks % LooksPerReview == 0;
        for (var at = _all.Count - 1; at >= 0; at--)
        {
            if (at >= _all.Count)
            {
                continue;   // a relay has ended, and took its other direction with it
            }
            var entry = _all[at];
            entry.Relay.Look(entry.IsUp);
            if (isReview && entry.Relay.IsRunning)
            {
                Review(entry, at);
            }
        }
    }

    private void Review(Entry entry, int at)
    {
        var bytes = entry.Relay.BytesOf(entry.IsUp);
        var moved = bytes - entry.Seen;
        entry.Seen = bytes;
        if (entry.IsNew)
        {
            entry.IsNew = false;   // it has not had its millisecond yet
        }
        else if (moved < EventLoop.BusyFrom)
        {
            RemoveAt(at);
        }
        else
        {
            entry.Relay.LookByClock(entry.IsUp, moved >= MuchInReview);
        }
    }

    private void RemoveAt(int at)
    {
        var entry = _all[at];
        entry.Relay.EndBusy(entry.IsUp);
        _all[at] = _all[^1];
        _all.RemoveAt(_all.Count - 1);
    }

    private sealed class Entry(LoopRelay relay, bool isUp)
    {
        public LoopRelay Relay => relay;

        public bool IsUp => isUp;

        /// <summary>The count of bytes at the last review.</summary>
        public long Seen { get; set; }

        /// <summary>No review has seen it.</summary>
        public bool IsNew { get; set; } = true;
    }
}
