using Npgsql;
using Routing.Driver.Diagnostics;
using Routing.Driver.Members;

namespace Routing.Driver.Routes;

/// <summary>
/// Opens a few connections to a new leader before the first callers need them: one after the other, so that the logins
/// do not come all at once.
/// </summary>
internal static class PoolWarmer
{
    public static async Task WarmAsync(ClusterRouter router, MemberPool pool)
    {
        var term = pool.EndOfTerm;
        var opened = new List<NpgsqlConnection>();
        try
        {
            while (opened.Count < router.Options.WarmConnections && !term.IsCancellationRequested)
            {
                var connection = pool.Create();
                opened.Add(connection);
                await connection.OpenAsync(pool.Attempts).ConfigureAwait(false);
            }
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
                await connection.DisposeAsync().ConfigureAwait(false);   // back to the pool
            }
        }
    }
}
