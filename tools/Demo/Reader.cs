using Npgsql;

namespace Routing.Demo;

/// <summary>
/// A client that reads the newest number through the proxy's port for reads, with a new connection each time.
/// </summary>
internal sealed class Reader : IAsyncDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);
    private readonly CancellationTokenSource _end = new();
    private readonly ProxyNode _proxy;
    private readonly Task _work;
    private long _reads, _errors, _newest;

    public Reader(ProxyNode proxy)
    {
        _proxy = proxy;
        _work = Task.Run(WorkAsync);
    }

    public long Reads => Volatile.Read(ref _reads);

    public long Errors => Volatile.Read(ref _errors);

    /// <summary>The newest number that it has seen on a replica.</summary>
    public long Newest => Volatile.Read(ref _newest);

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _work;
        _end.Dispose();
    }

    private async Task WorkAsync()
    {
        while (!_end.IsCancellationRequested)
        {
            await ReadAsync();
            await Task.Delay(s_pause, _end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ReadAsync()
    {
        try
        {
            await using var connection = new NpgsqlConnection(ProxyNode.ConnectionString(_proxy.ReadPort));
            await connection.OpenAsync(_end.Token);
            await using var select = new NpgsqlCommand("SELECT max(id) FROM demo_writes", connection);
            if (await select.ExecuteScalarAsync(_end.Token) is long newest)
            {
                Volatile.Write(ref _newest, newest);
            }
            Interlocked.Increment(ref _reads);
        }
        catch (OperationCanceledException) when (_end.IsCancellationRequested)
        {
            // The demonstration ends.
        }
        catch (PostgresException noTable) when (noTable.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            // The writer has not begun.
        }
        catch (Exception problem) when (Writer.IsOrdinary(problem))
        {
            Interlocked.Increment(ref _errors);
        }
    }
}
