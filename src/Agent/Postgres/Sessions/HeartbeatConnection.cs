using Npgsql;
using Routing.Agent.Config;
using Routing.Cluster;

namespace Routing.Agent.Postgres.Sessions;

/// <summary>The connection that the loop looks through: kept open, its one query prepared.</summary>
internal sealed class HeartbeatConnection(TimeProvider time) : IAsyncDisposable
{
    private const string Application = "Patroni heartbeat";
    private static readonly TimeSpan s_limit = TimeSpan.FromMilliseconds(2500);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private ServerSession? _session;
    private NpgsqlCommand? _query;
    private (int Pid, HostPort Address, PostgresUser User) _target;

    /// <summary>Asks the postmaster <paramref name="pid"/> how it is.</summary>
    /// <exception cref="NpgsqlException">It refused, or the connection broke.</exception>
    /// <exception cref="TimeoutException">No answer within about 2 s.</exception>
    public Task<ServerReport> AskAsync(
        int pid, HostPort address, PostgresUser user, string database, CancellationToken cancellationToken) =>
        InTurnAsync(token => AskAsync((pid, address, user), database, token), cancellationToken);

    /// <summary>
    /// Lets others have the connection for statements that are as quick as the loop's own; false when it is not open.
    /// </summary>
    /// <exception cref="NpgsqlException">The connection broke.</exception>
    /// <exception cref="TimeoutException">No end within about 2 s.</exception>
    public Task<bool> LendAsync(
        Func<ServerSession, CancellationToken, Task> work, CancellationToken cancellationToken) => InTurnAsync(
        async token =>
        {
            if (_session is not { } session)
            {
                return false;
            }
            await work(session, token);
            return true;
        },
        cancellationToken);

    /// <summary>Closes the connection, so that the server need not wait for it.</summary>
    public async Task CloseAsync()
    {
        await _turn.WaitAsync();
        try
        {
            Abandon(Task.CompletedTask);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _turn.Dispose();
    }

    private async Task<T> InTurnAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            using var limit = new CancellationTokenSource(s_limit, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            var answer = work(both.Token);
            try
            {
                // A frozen server may hold up even the cancellation: then the connection is left to itself.
                return await answer.WaitAsync(s_limit + TimeSpan.FromMilliseconds(200), time, cancellationToken);
            }
            catch (Exception error)
            {
                Abandon(answer);
                if (error is OperationCanceledException && !cancellationToken.IsCancellationRequested)
                {
                    throw new TimeoutException("PostgreSQL did not answer in time.", error);
                }
                throw;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<ServerReport> AskAsync(
        (int Pid, HostPort Address, PostgresUser User) target, string database, CancellationToken cancellationToken)
    {
        if (_session is null || _query is null || target != _target)
        {
            Abandon(Task.CompletedTask);
            var session = await ServerSession.OpenAsync(
                target.Address, target.User, database, Application, ServerSession.Heartbeat, cancellationToken);
            _session = session;
            _target = target;
            _query =
                new NpgsqlCommand(ServerReport.Query(session.Connection.PostgreSqlVersion.Major), session.Connection);
            await _query.PrepareAsync(cancellationToken);
        }
        await using var reader = await _query.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return ServerReport.Read(reader);
    }

    /// <summary>Lets go of the connection; it is closed as soon as no statement runs on it.</summary>
    private void Abandon(Task user)
    {
        var (session, query) = (_session, _query);
        (_session, _query) = (null, null);
        _ = CloseAfterAsync(user, session, query);
    }

    private static async Task CloseAfterAsync(Task user, ServerSession? session, NpgsqlCommand? query)
    {
        await user.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (query is not null)
        {
            await query.DisposeAsync();
        }
        if (session is not null)
        {
            await session.DisposeAsync();
        }
    }
}
