namespace Routing.Simulation.Tests;

// Old catalog rows, which decoding needs: the primary removes those that no slot keeps, and its standbys replay that.
internal sealed partial class SimServer
{
    /// <summary>How often a standby tells its feedback (wal_receiver_status_interval), besides its first one.</summary>
    private static readonly TimeSpan s_feedback = TimeSpan.FromSeconds(10);

    /// <summary>A standby tells its upstream which catalog rows its slots need (hot_standby_feedback).</summary>
    public bool SendsFeedback { get; set; }

    /// <summary>When the postmaster was started; null: it was not.</summary>
    public DateTimeOffset? StartedAt { get; private set; }

    /// <summary>The rows of earlier transactions are gone from the catalog.</summary>
    public uint CatalogFrom
    {
        get
        {
            for (var i = Replayed - 1; i >= 0; i--)
            {
                if (Wal[i].CatalogFrom > 0)
                {
                    return Wal[i].CatalogFrom;
                }
            }
            return 0;
        }
    }

    /// <summary>VACUUM of the catalog.</summary>
    public void Vacuum()
    {
        if (!AcceptsWrites)
        {
            return;
        }
        var kept = XminAt(End);
        foreach (var slot in _slots.Values)
        {
            kept = Math.Min(kept, slot.CatalogXmin ?? kept);
        }
        if (kept > CatalogFrom)
        {
            Append(null, catalogFrom: kept);
        }
    }

    /// <summary>The consumer of a logical slot, on the primary, has confirmed this.</summary>
    public void Confirm(SimSlot slot, ulong position)
    {
        slot.Restart = slot.Confirmed = Math.Max(slot.Confirmed, position);
        slot.CatalogXmin = Math.Max(slot.CatalogXmin ?? 0, XminAt(slot.Restart));
    }

    /// <summary>The consumer cannot go on with its slot, and gives it up.</summary>
    public void GiveUp(string slot) => _slots.Remove(slot);

    /// <summary>Each record stands for one transaction; the numbers below 3 are special.</summary>
    private uint XminAt(ulong position) => (uint)CountUpTo(position) + 3;

    private void HearFeedback(Sender sender)
    {
        if (!RecyclesWal || world.Now < sender.NextFeedback || sender.Standby.Upstream?.SlotName is not { } used
            || !_slots.TryGetValue(used, out var slot))
        {
            return;
        }
        sender.NextFeedback = world.Now + s_feedback.Ticks;
        var needed = sender.Standby.SendsFeedback ? sender.Standby._slots.Values.Min(own => own.CatalogXmin) : null;
        // What a slot keeps never goes back, unless it kept nothing.
        slot.CatalogXmin = needed < slot.CatalogXmin ? slot.CatalogXmin : needed;
    }
}
