using System.Diagnostics;
using System.Net.Sockets;
using Npgsql;
using NpgsqlTypes;

namespace Routing.Demo;

/// <summary>One client with one connection that inserts 1, 2, 3… and remembers what was acknowledged.</summary>
/// <remarks>
/// It goes through the proxy's port for writes, and knows nothing of members. After an error the number is not used
/// again: whether that commit happened is unknown, and only what was acknowledged counts.
/// </remarks>
internal sealed class Writer : IAsyncDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan s_pauseWithoutPrimary = TimeSpan.FromMilliseconds(10);
    private readonly CancellationTokenSource _end = new();
    private readonly DemoCluster _cluster;
    private readonly Action<string> _note;
    private readonly Lock _lock = new();
    private readonly List<Write> _acknowledged = [];
    private readonly Task _work;
    private Node? _at;
    private int _errors;

    public Writer(DemoCluster cluster, Action<string> note)
    {
        (_cluster, _note) = (cluster, note);
        _work = Task.Run(WorkAsync);
    }

    /// <summary>A write that was acknowledged.</summary>
    /// <param name="Id">The number written.</param>
    /// <param name="At">When the acknowledgement came, by the stopwatch.</param>
    /// <param name="Took">From the request to the acknowledgement.</param>
    internal readonly record struct Write(long Id, long At, TimeSpan Took);

    /// <summary>Where it writes; null while it looks for a primary.</summary>
    public string? At => Volatile.Read(ref _at)?.Name;

    /// <summary>Statements and connections that ended with an error.</summary>
    public int Errors => Volatile.Read(ref _errors);

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _acknowledged.Count;
            }
        }
    }

    /// <summary>The acknowledged writes from the given one on.</summary>
    public List<Write> From(int index)
    {
        lock (_lock)
        {
            return _acknowledged[Math.Min(index, _acknowledged.Count)..];
        }
    }

    /// <summary>The writes acknowledged within the last moments.</summary>
    public List<Write> Within(TimeSpan last)
    {
        lock (_lock)
        {
            var index = _acknowledged.Count;
            while (index > 0 && Stopwatch.GetElapsedTime(_acknowledged[index - 1].At) < last)
            {
                index--;
            }
            return _acknowledged[index..];
        }
    }

    /// <summary>The longest time between two acknowledgements since the given write, and until now.</summary>
    public TimeSpan LongestGap(int sinceIndex)
    {
        var writes = From(Math.Max(sinceIndex - 1, 0));
        var longest = TimeSpan.Zero;
        for (var i = 1; i < writes.Count; i++)
        {
            var gap = Stopwatch.GetElapsedTime(writes[i - 1].At, writes[i].At);
            longest = gap > longest ? gap : longest;
        }
        return longest;
    }

    /// <summary>Ends it after the write that is on its way.</summary>
    public async Task StopAsync()
    {
        await _end.CancelAsync();
        await _work;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _end.Dispose();
    }

    private async Task WorkAsync()
    {
        long id = 0;
        while (!_end.IsCancellationRequested)
        {
            var connection = await ConnectAsync();
            if (connection is null)
            {
                await PauseAsync(s_pauseWithoutPrimary);
                continue;
            }
            await using (connection)
            {
                id = await WriteAsync(connection, id);
            }
            Volatile.Write(ref _at, null);
        }
    }

    /// <summary>Writes until an error or the end; returns the last number used.</summary>
    private async Task<long> WriteAsync(NpgsqlConnection connection, long id)
    {
        try
        {
            await using var insert = new NpgsqlCommand("INSERT INTO demo_writes (id) VALUES ($1)", connection);
            var parameter = new NpgsqlParameter<long> { NpgsqlDbType = NpgsqlDbType.Bigint };
            insert.Parameters.Add(parameter);
            await insert.PrepareAsync();
            while (!_end.IsCancellationRequested)
            {
                parameter.TypedValue = ++id;
                var started = Stopwatch.GetTimestamp();
                await insert.ExecuteNonQueryAsync();
                var now = Stopwatch.GetTimestamp();
                lock (_lock)
                {
                    _acknowledged.Add(new Write(id, now, Stopwatch.GetElapsedTime(started, now)));
                }
                await PauseAsync(s_pause);
            }
        }
        catch (Exception problem) when (IsOrdinary(problem))
        {
            Interlocked.Increment(ref _errors);
            _note($"writer: {problem.Message.ReplaceLineEndings(" ")}");
        }
        return id;
    }

    private async Task<NpgsqlConnection?> ConnectAsync()
    {
        var connection = new NpgsqlConnection(ProxyNode.ConnectionString(_cluster.Proxy.WritePort));
        try
        {
            await connection.OpenAsync(_end.Token);
            await using var create =
                new NpgsqlCommand("CREATE TABLE IF NOT EXISTS demo_writes (id bigint PRIMARY KEY)", connection);
            await create.ExecuteNonQueryAsync(_end.Token);
            await using var where = new NpgsqlCommand("SELECT inet_server_port()", connection);
            var port = (int)(await where.ExecuteScalarAsync(_end.Token))!;
            Volatile.Write(ref _at, _cluster.Nodes.FirstOrDefault(node => node.Port == port));
            return connection;
        }
        catch (Exception notNow) when (IsOrdinary(notNow) || notNow is OperationCanceledException)
        {
            // Nobody leads at present, or it went away in this very moment: from the start again.
        }
        await connection.DisposeAsync();
        return null;
    }

    private async Task PauseAsync(TimeSpan pause) =>
        await Task.Delay(pause, _end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    internal static bool IsOrdinary(Exception problem) =>
        problem is NpgsqlException or TimeoutException or IOException or SocketException;
}
