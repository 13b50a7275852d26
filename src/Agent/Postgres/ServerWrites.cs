using Routing.Cluster;

namespace Routing.Agent.Postgres;

/// <summary>How far a server has written.</summary>
/// <param name="IsKnown">It has answered just now; else the rest says nothing.</param>
/// <param name="Transactions">Rises whenever a transaction that has written something ends.</param>
/// <param name="Position">The end of its WAL.</param>
internal readonly record struct ServerWrites(bool IsKnown, long Transactions, Lsn Position)
{
    /// <summary>The server does not answer now.</summary>
    public static readonly ServerWrites Unknown = new(false, 0, Lsn.Zero);
}
