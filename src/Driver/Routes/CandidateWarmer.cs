using Npgsql;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;

namespace Routing.Driver.Routes;

/// <summary>
/// Fills the pool for writes of the member that a leader is about to hand over to, so that the first transactions there
/// wait for no login. Called under the router's lock; the logins are in the background.
/// </summary>
/// <remarks>
/// The sessions are opened while their server is a standby, and stay when it is promoted. Each is asked for its role
/// before it is handed out (<see cref="MemberPool.MayHoldStandbySessions"/>). Servers before PostgreSQL 14 do not tell
/// such a session apart, and are not warmed ahead.
/// </remarks>
internal sealed class CandidateWarmer(ClusterRouter router)
{
    private const int Lanes = 4;   // logins at once: no flood for a server that is about to be promoted

    private MemberPool? _pool;

    /// <summary>The leader has announced that it hands over.</summary>
    /// <param name="candidate">The pool of the member that it names.</param>
    /// <param name="wanted">Connections that the leader's pool holds.</param>
    public void Begin(MemberPool candidate, int wanted)
    {
        LetGo();
        wanted = Math.Min(Math.Min(wanted, router.Options.MaximumWarmConnections), candidate.Size);
        if (wanted > 0)
        {
            _pool = candidate;
            var end = candidate.AdmitStandby(wanted);
            router.Background.Add(() => WarmAsync(candidate, wanted, end));
        }
    }

    /// <summary>There is a leader again to whom opens go.</summary>
    /// <returns>Its pool was warmed.</returns>
    public bool End(MemberPool leader)
    {
        if (_pool is { } pool && ReferenceEquals(pool, leader))
        {
            _pool = null;
            pool.AdmitNoStandby();
            return true;
        }
        LetGo();
        return false;
    }

    // What was opened is of no use: its member stays a standby.
    private void LetGo()
    {
        if (_pool is { } pool)
        {
            _pool = null;
            pool.AdmitNoStandby();
            pool.Clear();
        }
    }

    private async Task WarmAsync(MemberPool pool, int wanted, CancellationToken end)
    {
        var opened = new NpgsqlConnection?[wanted];   // held until all are there: each is one more session
        var (next, isWarm) = (-1, false);
        try
        {
            await Task.WhenAll(Enumerable.Range(0, Math.Min(Lanes, wanted)).Select(_ => OpenAsync()))
                .ConfigureAwait(false);
            isWarm = opened.All(static one => one is not null);
        }
        catch (Exception problem) when (problem is NpgsqlException or OperationCanceledException
            or ObjectDisposedException or TimeoutException)
        {
            router.Logger.WarmingEnded(router.Name, pool.Member, problem.Message);   // callers will see for themselves
        }
        finally
        {
            foreach (var connection in opened)
            {
                if (connection is not null)
                {
                    await connection.DisposeAsync().ConfigureAwait(false);   // to the pool; closed if that was cleared
                }
            }
        }
        if (isWarm)
        {
            router.Logger.Warmed(router.Name, pool.Member, wanted);
        }

        async Task OpenAsync()
        {
            for (int at; (at = Interlocked.Increment(ref next)) < wanted && !end.IsCancellationRequested;)
            {
                opened[at] = pool.Create();
                await opened[at]!.OpenAsync(end).ConfigureAwait(false);
                if (MemberPool.CanTellItsRole(opened[at]!))
                {
                    continue;
                }
                Interlocked.Exchange(ref next, wanted);
            }
        }
    }
}
