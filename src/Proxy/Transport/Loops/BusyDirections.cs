using System.Numerics;

namespace Routing.Proxy.Transport.Loops;

/// <summary>The directions of one loop's relays that move much. The kernel is asked to wake the loop for them less often.</summary>
/// <remarks>
/// PostgreSQL sends a COPY in pieces of 8 KiB, and to wake up for each piece costs more than to move it. A busy direction is
/// reported only when a quarter of what it moved in the last millisecond is there, or the end (SO_RCVLOWAT): less often costs
/// less still, but then the server waits for us. Every millisecond the loop looks how much that is by now, so that what comes last
/// waits for hardly longer than that. On the loop's thread.
/// </remarks>
internal sealed class BusyDirections(EventLoop loop)
{
    /// <summary>Which part of a millisecond's bytes is waited for.</summary>
    private const int Part = 4;

    /// <summary>How much is waited for at most, bytes: beyond it little is gained.</summary>
    private const int MostToWaitFor = EventLoop.LargeBuffer / 4;

    /// <summary>Less is not worth the wait, bytes.</summary>
    private const int LeastToWaitFor = 16 * 1024;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(1);

    private readonly List<Entry> _all = [];
    private bool _isTicking;

    /// <summary>Takes in a direction that has begun to move much.</summary>
    public void Add(LoopRelay relay, bool isUp)
    {
        _all.Add(new(relay, isUp) { Seen = relay.BytesOf(isUp) });
        if (!_isTicking)
        {
            _isTicking = true;
            loop.After(Interval, static self => ((BusyDirections)self!).Look(), this);
        }
    }

    /// <summary>Lets go of a relay that is over; its connections are reported as ever again.</summary>
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

    private void Look()
    {
        for (var at = _all.Count - 1; at >= 0; at--)
        {
            var entry = _all[at];
            var bytes = entry.Relay.BytesOf(entry.IsUp);
            var moved = bytes - entry.Seen;
            entry.Seen = bytes;
            if (moved < EventLoop.BusyFrom)
            {
                RemoveAt(at);
                continue;
            }
            var part = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Min(moved / Part, MostToWaitFor));
            entry.Wait(part >= LeastToWaitFor ? part : 1);
        }
        _isTicking = _all.Count > 0;
        if (_isTicking)
        {
            loop.After(Interval, static self => ((BusyDirections)self!).Look(), this);
        }
    }

    private void RemoveAt(int at)
    {
        var entry = _all[at];
        entry.Wait(1);
        entry.Relay.EndBusy(entry.IsUp);
        _all[at] = _all[^1];
        _all.RemoveAt(_all.Count - 1);
    }

    private sealed class Entry(LoopRelay relay, bool isUp)
    {
        private int _waitsFor = 1;

        public LoopRelay Relay => relay;

        public bool IsUp => isUp;

        /// <summary>The count of bytes at the last look.</summary>
        public long Seen { get; set; }

        /// <summary>From how many bytes on the loop is woken.</summary>
        public void Wait(int bytes)
        {
            if (_waitsFor != bytes)
            {
                _waitsFor = bytes;
                relay.SourceOf(isUp).WakeFrom(bytes);
            }
        }
    }
}
