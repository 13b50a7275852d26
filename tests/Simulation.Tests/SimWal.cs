namespace Routing.Simulation.Tests;

/// <summary>
/// One record of the write-ahead log. Two servers have the same history as far as they share the same objects.
/// </summary>
internal sealed class WalRecord(
    WalRecord? previous, uint timeline, ulong end, Commit? commit, bool isShutdown = false, uint catalogFrom = 0)
{
    /// <summary>Where the first record of a new database begins.</summary>
    public const ulong Origin = 0x1000000;

    /// <summary>The record before it; null: it is the first one.</summary>
    public WalRecord? Previous => previous;

    public uint Timeline => timeline;

    public ulong Start => previous?.End ?? Origin;

    public ulong End => end;

    public Commit? Commit => commit;

    public bool IsShutdown => isShutdown;

    /// <summary>It removes the catalog rows of transactions before this one; 0: it removes none.</summary>
    public uint CatalogFrom => catalogFrom;
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
