using System.Diagnostics;
using Npgsql;

namespace Routing.Failover;

/// <summary>
/// A client with one connection: it inserts a row every few milliseconds and, when its connection fails, tries all ways
/// that it knows in turn (the nodes, or the router alone) and takes the first that leads to a server which is no
/// standby.
/// </summary>
internal sealed class Writer : IAsyncDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(2);
    private static long s_lastId;
    private readonly IReadOnlyList<NpgsqlDataSource> _ways;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly List<(long Id, long At)> _acknowledged = [];
    private readonly Task _work;
    private int _errors;
    private int _sessions;

    public Writer(IReadOnlyList<NpgsqlDataSource> ways)
    {
        _ways = ways;
        _work = Task.Run(WriteAsync);
    }

    /// <summary>Statements that failed. Vain attempts to connect are part of the outage and not counted.</summary>
    public int Errors => Volatile.Read(ref _errors);

    /// <summary>Writes acknowledged so far.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _acknowledged.Count;
            }
        }
    }

    /// <summary>Connections so far on which a write was acknowledged.</summary>
    public int Sessions => Volatile.Read(ref _sessions);

    /// <summary>Stops writing.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _work;
    }

    /// <summary>The longest time between two acknowledged writes that ended after a moment.</summary>
    public TimeSpan LongestPauseSince(long moment)
    {
        lock (_gate)
        {
            return _acknowledged.Zip(_acknowledged.Skip(1))
                .Where(pair => pair.Second.At > moment)
                .Max(pair => Stopwatch.GetElapsedTime(pair.First.At, pair.Second.At));
        }
    }

    /// <summary>How many of the acknowledged writes a server does not have.</summary>
    public async Task<int> MissingAsync(TestedNode primary, CancellationToken cancellationToken)
    {
        HashSet<long> expected;
        lock (_gate)
        {
            expected = [.. _acknowledged.Select(write => write.Id)];
        }
        await using var connection = await primary.Server.OpenConnectionAsync(cancellationToken);
        await using var command = new NpgsqlCommand("SELECT id FROM written WHERE id >= $1", connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = expected.Min() });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            expected.Remove(reader.GetInt64(0));
        }
        return expected.Count;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task WriteAsync()
    {
        NpgsqlConnection? connection = null;
        var isNew = true;
        while (!_stop.IsCancellationRequested)
        {
            connection ??= await ConnectAsync();
            if (connection is not null)
            {
                try
                {
                    await InsertAsync(connection);
                    if (isNew)
                    {
                        isNew = false;
                        Interlocked.Increment(ref _sessions);
                    }
                }
                catch (Exception failed) when (failed is NpgsqlException or InvalidOperationException)
                {
                    isNew = true;
                    Interlocked.Increment(ref _errors);
                    await connection.DisposeAsync();
                    connection = null;
                    continue;
                }
            }
            await Task.Delay(s_pause);
        }
        if (connection is not null)
        {
            await connection.DisposeAsync();
        }
    }

    private async Task InsertAsync(NpgsqlConnection connection)
    {
        var id = Interlocked.Increment(ref s_lastId);
        await using var command = new NpgsqlCommand("INSERT INTO written VALUES ($1)", connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = id });
        await command.ExecuteNonQueryAsync();
        lock (_gate)
        {
            _acknowledged.Add((id, Stopwatch.GetTimestamp()));
        }
    }

    private async Task<NpgsqlConnection?> ConnectAsync()
    {
        foreach (var way in _ways)
        {
            var connection = way.CreateConnection();
            try
            {
                await connection.OpenAsync();
                // Told by the server at every login since PostgreSQL 14.
                if (connection.PostgresParameters.GetValueOrDefault("in_hot_standby") == "off")
                {
                    return connection;
                }
            }
            catch (Exception refused) when (refused is NpgsqlException or TimeoutException)
            {
                // The next one may do better.
            }
            await connection.DisposeAsync();
        }
        return null;
    }
}
