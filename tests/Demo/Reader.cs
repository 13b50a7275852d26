using Npgsql;

namespace Routing.Demo;

/// <summary>A client that reads the newest number from each standby in turn.</summary>
internal sealed class Reader : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private readonly CancellationTokenSource _end = new();
    private readonly Observer _observer;
    private readonly DemoCluster _cluster;
    private readonly Task _work;
    private long _reads, _errors, _newest;

    public Reader(DemoCluster cluster, Observer observer)
    {
        (_cluster, _observer) = (cluster, observer);
        _work = Task.Run(WorkAsync);
    }

    public long Reads => Volatile.Read(ref _reads);

    public long Errors => Volatile.Read(ref _errors);

    /// <summary>The newest number that it has seen on a standby.</summary>
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
            foreach (var member in _observer.Members.Where(member => member.IsStreaming))
            {
                await ReadAsync(_cluster[member.Name]);
            }
            await Task.Delay(Pause, _end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ReadAsync(Node node)
    {
        try
        {
            await using var connection = new NpgsqlConnection(node.ConnectionString);
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
