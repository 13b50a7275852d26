namespace Routing.Simulation.Tests;

/// <summary>One replication slot of a server.</summary>
internal sealed class SimSlot(string name, bool isLogical)
{
    public string Name => name;

    public bool IsLogical => isLogical;

    /// <summary>The WAL from here on stays.</summary>
    public ulong Restart { get; set; }

    /// <summary>A logical slot: what its consumer has confirmed, as this server knows it.</summary>
    public ulong Confirmed { get; set; }

    /// <summary>
    /// Catalog rows of this transaction and later ones stay (<c>catalog_xmin</c>); null: it keeps none.
    /// </summary>
    public uint? CatalogXmin { get; set; }
}
