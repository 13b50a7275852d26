using System.Collections.Immutable;
using Routing.Cluster;
using Routing.Ha.Slots;

namespace Routing.Simulation.Tests;

// Replication slots, and the WAL that is removed unless one of them needs it.
internal sealed partial class SimServer
{
    /// <summary>What stays on the disk without any slot (wal_keep_size).</summary>
    private const ulong Kept = 60_000;

    private readonly SortedDictionary<string, SimSlot> _slots = new(StringComparer.Ordinal);

    /// <summary>Slots that were dropped on these data.</summary>
    private readonly HashSet<string> _dropped = [];

    /// <summary>WAL is removed, and streaming needs a slot.</summary>
    public bool RecyclesWal { get; set; }

    /// <summary>The oldest position whose WAL is still there.</summary>
    public ulong FirstKept { get; private set; }

    /// <summary>A logical slot was made, and begins at this position.</summary>
    public Action<ulong>? SlotMade { get; set; }

    /// <summary>A slot was made, advanced or copied.</summary>
    public Action<SimServer, SimSlot>? SlotChanged { get; set; }

    /// <summary>The slot was dropped on these data, and not only made too late.</summary>
    public bool HasDropped(string slot) => _dropped.Contains(slot);

    /// <summary>WAL was removed that a server needs to follow this primary.</summary>
    public Action<SimServer, SimServer>? LacksWal { get; set; }

    public SimSlot? Slot(string name) => _slots.GetValueOrDefault(name);

    /// <summary>Rows of pg_replication_slots.</summary>
    public ImmutableArray<ReplicationSlot> SlotRows() =>
    [
        .. _slots.Values.Select(slot => new ReplicationSlot
        {
            Name = slot.Name,
            IsLogical = slot.IsLogical,
            Database = slot.IsLogical ? "app" : null,
            Plugin = slot.IsLogical ? "pgoutput" : null,
            Active = IsUsed(slot.Name),
            CatalogXmin = slot.CatalogXmin,
            RestartLsn = new Lsn(slot.Restart),
            ConfirmedFlushLsn = slot.IsLogical ? new Lsn(slot.Confirmed) : null,
        }),
    ];

    /// <summary>A physical slot, which keeps the WAL since the last checkpoint.</summary>
    public void MakePhysicalSlot(string slot)
    {
        if (Life == Life.Up && !_slots.ContainsKey(slot))
        {
            var checkpoint = ReplayedTo - Math.Min(ReplayedTo, Kept / 2);
            Put(new SimSlot(slot, false) { Restart = Math.Max(FirstKept, checkpoint) });
        }
    }

    /// <summary>A logical slot, on a primary.</summary>
    public void MakeLogicalSlot(string slot)
    {
        if (AcceptsWrites && !_slots.ContainsKey(slot))
        {
            SlotMade?.Invoke(End);
            Put(new SimSlot(slot, true) { Restart = End, Confirmed = End, CatalogXmin = XminAt(End) });
        }
    }

    /// <summary>Puts a copy of another server's slot in place, while no postmaster runs.</summary>
    public void LoadSlot(string slot, ulong restart, ulong confirmed, uint? catalogXmin) =>
        Put(new SimSlot(slot, true) { Restart = restart, Confirmed = confirmed, CatalogXmin = catalogXmin });

    /// <returns>False: it needs WAL that was removed.</returns>
    public bool AdvanceSlot(string which, ulong to)
    {
        if (Life != Life.Up || !_slots.TryGetValue(which, out var slot))
        {
            return true;
        }
        if (slot.Restart < FirstKept)
        {
            return false;
        }
        slot.Restart = Math.Max(slot.Restart, Math.Min(to, ReplayedTo));
        if (slot.IsLogical)
        {
            slot.Confirmed = Math.Max(slot.Confirmed, Math.Min(to, ReplayedTo));
            slot.CatalogXmin = Math.Max(slot.CatalogXmin ?? 0, XminAt(slot.Restart));
        }
        SlotChanged?.Invoke(this, slot);
        return true;
    }

    public void DropSlot(string slot)
    {
        if (Life == Life.Up && !IsUsed(slot) && _slots.Remove(slot, out var gone))
        {
            // A standby that led before drops what would hold back vacuum: the WAL that it kept goes, too.
            if (IsPrimary || gone.CatalogXmin is null)
            {
                _dropped.Add(slot);
            }
            world.Note(name, $"slot {slot} is dropped");
        }
    }

    /// <summary>A checkpoint removes WAL that nothing needs.</summary>
    public void Recycle()
    {
        if (Life != Life.Up)
        {
            return;
        }
        var floor = ReplayedTo - Math.Min(ReplayedTo, Kept);
        foreach (var slot in _slots.Values)
        {
            floor = Math.Min(floor, slot.Restart);
        }
        FirstKept = Math.Max(FirstKept, floor);
    }

    private bool IsUsed(string slot) => _senders.Keys.Any(standby => standby.Upstream?.SlotName == slot);

    private void Put(SimSlot slot)
    {
        _slots[slot.Name] = slot;
        world.Note(name, $"slot {slot.Name} keeps WAL from {new Lsn(slot.Restart)}");
        SlotChanged?.Invoke(this, slot);
    }

    /// <summary>Whether a standby gets a slot, and the WAL that it needs.</summary>
    private bool HasFor(SimServer standby)
    {
        if (!RecyclesWal)
        {
            return true;
        }
        if (standby.Upstream?.SlotName is { } slot && !_slots.ContainsKey(slot))
        {
            return false;   // "replication slot does not exist": its agent is about to make it
        }
        if (FirstKept > standby.End)
        {
            if (IsPrimary)
            {
                LacksWal?.Invoke(this, standby);
            }
            return false;
        }
        return true;
    }

    /// <summary>A standby has confirmed what it has on its disk.</summary>
    private void NoteConfirmed(SimServer standby, ulong position)
    {
        if (RecyclesWal && standby.Upstream?.SlotName is { } used && _slots.TryGetValue(used, out var slot))
        {
            slot.Restart = Math.Max(slot.Restart, position);
        }
    }

    private void ForgetSlots()
    {
        _slots.Clear();
        _dropped.Clear();
    }

    /// <summary>Copies and rewinds take everything but the slots.</summary>
    private void TakeWalOf(SimServer source)
    {
        ForgetSlots();
        FirstKept = source.FirstKept;
    }
}
