using Routing.Driver.Members;

namespace Routing.Driver.Opening;

/// <summary>A caller's place before a full pool: first come, first served.</summary>
/// <remarks>
/// Npgsql has one time-out for the wait for a free connection and for a new one to be made, and a caller that runs into
/// it goes to the end of Npgsql's queue. So the callers that have found a pool full go on one at a time, in the order
/// of their arrival.
/// </remarks>
internal sealed class PlaceInLine : IDisposable
{
    private SemaphoreSlim? _held;

    /// <summary>Waits for the caller's turn; at once while it has it already.</summary>
    /// <param name="pool">The full pool.</param>
    /// <param name="limit">The longest wait.</param>
    /// <param name="isAsync">False: blocks the thread.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether it is the caller's turn.</returns>
    public async ValueTask<bool> EnterAsync(
        MemberPool pool, TimeSpan limit, bool isAsync, CancellationToken cancellationToken)
    {
        if (ReferenceEquals(_held, pool.Line))
        {
            return limit > TimeSpan.Zero;
        }
        Dispose();
        var isTurn = isAsync
            ? await pool.Line.WaitAsync(limit, cancellationToken).ConfigureAwait(false)
            : pool.Line.Wait(limit, cancellationToken);
        _held = isTurn ? pool.Line : null;
        return isTurn;
    }

    /// <summary>Gives the turn to the next caller.</summary>
    public void Dispose()
    {
        _held?.Release();
        _held = null;
    }
}
