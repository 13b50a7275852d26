using Routing.Cluster;

namespace Routing.Simulation.Tests;

/// <summary>Somebody who reads changes from a permanent logical slot of the leader.</summary>
/// <remarks>
/// It takes what was acknowledged: in a synchronous mode every later leader has that. It confirms a moment later.
/// </remarks>
internal sealed class SlotConsumer(SimCluster cluster)
{
    /// <summary>The slot's name.</summary>
    public const string Slot = "app";

    private readonly SimWorld _world = cluster.World;

    /// <summary>Up to where it has everything.</summary>
    public ulong Confirmed { get; private set; }

    public void Begin()
    {
        foreach (var node in cluster.Nodes)
        {
            node.Server.Recycle();
            node.Server.Vacuum();
        }
        Read();
        _world.At(_world.Between(100, 1500), Begin);
    }

    /// <summary>The slot was made anew: it begins there, and has nothing of what was before.</summary>
    public void SetUp(ulong position) => Confirmed = Math.Max(Confirmed, position);

    /// <summary>
    /// A server was promoted: a slot that was said to be safe has the catalog rows that it needs. One that was not is
    /// given up when it has not, and its consumer is set up anew.
    /// </summary>
    public void TakenOver(SimServer server, bool saidUnsafe)
    {
        if (server.Slot(Slot) is not { CatalogXmin: { } needed } || needed >= server.CatalogFrom)
        {
            return;
        }
        if (!saidUnsafe)
        {
            cluster.Invariants.Violated(
                $"{server.Name} leads with slot {Slot}, said to be safe, and the catalog rows that it needs are gone: "
                    + $"from {needed} on, and they begin with {server.CatalogFrom}");
        }
        server.GiveUp(Slot);
    }

    /// <summary>A slot was made, advanced or copied on some server.</summary>
    public void Check(SimServer server, SimSlot slot)
    {
        if (slot.IsLogical && slot.Confirmed > Confirmed)
        {
            cluster.Invariants.Violated(
                $"slot {slot.Name} on {server.Name} stands at {new Lsn(slot.Confirmed)}, ahead of its consumer, which "
                    + $"has confirmed {new Lsn(Confirmed)}");
        }
    }

    private void Read()
    {
        if (cluster.Leader?.Server is not { } server || server.Slot(Slot) is not { } slot)
        {
            return;
        }
        Check(server, slot);
        if (slot.Restart < server.FirstKept)
        {
            cluster.Invariants.Violated($"slot {slot.Name} on {server.Name} needs WAL that was removed");
        }
        var safe = server.Wal.FindLast(record => record.Commit?.AcknowledgedAt is not null)?.End ?? 0;
        if (safe <= slot.Confirmed)
        {
            return;
        }
        Confirmed = Math.Max(Confirmed, safe);
        _world.At(_world.Between(1, 300), () =>
        {
            if (server.AcceptsWrites && server.Slot(Slot) == slot)
            {
                server.Confirm(slot, safe);
            }
        });
    }
}
