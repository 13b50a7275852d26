using System.Data;
using Npgsql;

namespace Routing.Driver;

/// <summary>How a unit of work is run.</summary>
public sealed record UnitOfWorkOptions
{
    /// <summary>The isolation level; default the server's.</summary>
    public IsolationLevel IsolationLevel { get; init; } = IsolationLevel.Unspecified;

    /// <summary>How many attempts a unit may have. Default 20.</summary>
    public int MaximumAttempts { get; init; } = 20;

    /// <summary>
    /// The longest that all attempts take together; the caller's token may end it sooner. Default 30 s.
    /// </summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The longest pause between two attempts; each is drawn between 0 and a bound that doubles up to this. Default 1
    /// s.
    /// </summary>
    public TimeSpan LongestPause { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Interrupt what still runs on a member that does not lead any more. Default true.</summary>
    public bool InterruptOnFailover { get; init; } = true;

    /// <summary>
    /// Finds out, on a fresh connection to the leader, whether the transaction whose COMMIT got no answer is there:
    /// true, and it is done; false, and it is repeated; null, and it stays ambiguous. Null (the default): it can't be
    /// found out.
    /// </summary>
    /// <remarks>
    /// Look for something that the transaction itself wrote, under a unique key: a server that is alive may be late
    /// with the COMMIT when you look, and by the key a repetition then fails instead of doubling what was done. Asked
    /// again after a transient error; when it gets no answer in time, the COMMIT stays ambiguous.
    /// </remarks>
    public Func<NpgsqlConnection, CancellationToken, Task<bool?>>? WasCommitted { get; init; }
}
