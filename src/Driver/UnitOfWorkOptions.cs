using System.Data;
using Npgsql;

namespace Routing.Driver;

/// <summary>How a unit of work is run.</summary>
public sealed record UnitOfWorkOptions
{
    /// <summary>The isolation level; default the server's.</summary>
    public IsolationLevel IsolationLevel { get; init; } = IsolationLevel.Unspecified;

    /// <summary>How often it may be begun. Default 20.</summary>
    public int MaximumAttempts { get; init; } = 20;

    /// <summary>The longest that all attempts take together; the caller's token may end it sooner. Default 30 s.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest pause between two attempts; each is drawn between 0 and a bound that doubles up to this. Default 1 s.</summary>
    public TimeSpan LongestPause { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Interrupt what still runs on a member that does not lead any more. Default true.</summary>
    public bool InterruptOnFailover { get; init; } = true;

    /// <summary>
    /// Finds out, on a fresh connection to the leader, whether the transaction whose COMMIT got no answer is there: true, and it is done;
    /// false, and it is repeated; null, and it stays ambiguous. Null (the default): it can't be found out.
    /// </summary>
    /// <remarks>
    /// Look for something that the transaction itself wrote, such as a key of its own. False must be certain: the old server may be alive
    /// and about to commit only where the cluster's leadership was not lost.
    /// </remarks>
    public Func<NpgsqlConnection, CancellationToken, Task<bool?>>? WasCommitted { get; init; }
}
