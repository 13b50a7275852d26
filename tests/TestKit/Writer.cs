using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace Routing.TestKit;

/// <summary>A write that the server acknowledged.</summary>
/// <param name="Id">Its number; grows with each try.</param>
/// <param name="Node">Who took it.</param>
/// <param name="Began">Timestamp before it was sent.</param>
/// <param name="Ended">Timestamp after its answer.</param>
/// <param name="Timeline">The timeline of the primary that took it.</param>
public sealed record AcknowledgedWrite(long Id, TestNode Node, long Began, long Ended, int Timeline);

/// <summary>A client with one connection that writes row after row and remembers what was acknowledged.</summary>
/// <remarks>
/// After an error it tries all nodes at once and takes the one that is no standby; tied to one node, it tries only
/// that. A write whose answer was lost counts neither as done nor as lost.
/// </remarks>
public sealed class Writer : IAsyncDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(2);

    /// <summary>Each look at the nodes is a login at every one that answers.</summary>
    private static readonly TimeSpan s_pauseWithoutPrimary = TimeSpan.FromMilliseconds(40);

    /// <summary>
    /// How long it waits for an answer by default: a server that is silent must not keep it from the others.
    /// </summary>
    private static readonly TimeSpan s_shortPatience = TimeSpan.FromSeconds(3);

    /// <summary>The patience where no server falls silent, so that a write that was given up is a fault.</summary>
    public static readonly TimeSpan LongPatience = TimeSpan.FromSeconds(30);

    private static int s_writers;
    private readonly TestCluster _cluster;
    private readonly ImmutableArray<TestNode> _nodes;
    private readonly string _giveUp;
    private readonly CancellationTokenSource _stop = new();
    private readonly int _id = Interlocked.Increment(ref s_writers);
    private readonly Lock _gate = new();
    private readonly List<AcknowledgedWrite> _writes = [];
    private readonly List<string> _errors = [];
    private Task _work = Task.CompletedTask;
    private long _next;

    private Writer(TestCluster cluster, ImmutableArray<TestNode> nodes, TimeSpan patience)
    {
        (_cluster, _nodes) = (cluster, nodes);
        // A write that takes longer is given up with its connection, and not cancelled: a commit that waits for its
        // standby would be acknowledged then.
        _giveUp = string.Create(CultureInfo.InvariantCulture,
            $";Timeout={s_shortPatience.TotalSeconds:0};Command Timeout={patience.TotalSeconds:0};Cancellation "
                + $"Timeout=-1");
    }

    /// <summary>What was acknowledged so far.</summary>
    public ImmutableArray<AcknowledgedWrite> Writes
    {
        get
        {
            lock (_gate)
            {
                return [.. _writes];
            }
        }
    }

    /// <summary>The errors that this client saw: commands that failed on a connection that had worked.</summary>
    public ImmutableArray<string> Errors
    {
        get
        {
            lock (_gate)
            {
                return [.. _errors];
            }
        }
    }

    /// <summary>The longest time between two acknowledged writes.</summary>
    public TimeSpan LongestOutage => LongestOutageFrom(0);

    /// <summary>Makes the table where it is missing and starts a client that follows the primary.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="patience">A write that takes longer is given up, and an error. Default 3 s.</param>
    /// <param name="primary">Where the table is made; null: on the leader.</param>
    public static async Task<Writer> StartAsync(
        TestCluster cluster, TimeSpan? patience = null, TestNode? primary = null)
    {
        await MakeTableAsync(cluster, primary);
        var writer = Begin(cluster, [.. cluster.Nodes], patience);
        await writer.MoreAsync(10);
        return writer;
    }

    /// <summary>Starts a client per node that writes there whenever the node lets it.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="patience">A write that takes longer is given up, and an error. Default 3 s.</param>
    public static async Task<ImmutableArray<Writer>> StartOnEachAsync(TestCluster cluster, TimeSpan? patience = null)
    {
        await MakeTableAsync(cluster);
        return [.. cluster.Nodes.Select(node => Begin(cluster, [node], patience))];
    }

    /// <summary>The longest time between two acknowledged writes, from this one of <see cref="Writes"/> on.</summary>
    public TimeSpan LongestOutageFrom(int first)
    {
        var writes = Writes[first..];
        return writes.Length < 2
            ? TimeSpan.Zero
            : writes.Zip(writes.Skip(1)).Max(pair => Stopwatch.GetElapsedTime(pair.First.Ended, pair.Second.Ended));
    }

    /// <summary>Waits until this many more writes were acknowledged.</summary>
    public Task MoreAsync(int count, TimeSpan? within = null)
    {
        var target = CountWrites() + count;
        return _cluster.UntilAsync(() => CountWrites() >= target, $"{count} more writes are acknowledged", within);
    }

    /// <summary>Ends the client.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _work;
    }

    /// <summary>
    /// Acknowledged writes that this node does not have, as soon as it answers: a lead may move at any moment, and who
    /// led is started anew then.
    /// </summary>
    public async Task<IReadOnlyList<AcknowledgedWrite>> MissingOnAsync(TestNode node)
    {
        IReadOnlyList<AcknowledgedWrite> missing = [];
        await _cluster.UntilAsync(
            async () =>
            {
                missing = await MissingNowOnAsync(node);
                return true;
            },
            $"{node} tells which writes it has");
        return missing;
    }

    private async Task<IReadOnlyList<AcknowledgedWrite>> MissingNowOnAsync(TestNode node)
    {
        await using var connection = await node.OpenAsync();
        await using var command = new NpgsqlCommand($"SELECT id FROM written WHERE client = {_id}", connection);
        await using var reader = await command.ExecuteReaderAsync();
        var found = new HashSet<long>();
        while (await reader.ReadAsync())
        {
            found.Add(reader.GetInt64(0));
        }
        return [.. Writes.Where(write => !found.Contains(write.Id))];
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private int CountWrites()
    {
        lock (_gate)
        {
            return _writes.Count;
        }
    }

    private static Task MakeTableAsync(TestCluster cluster, TestNode? primary = null) =>
        cluster.UntilAsync(
            async () =>
            {
                await (primary ?? await cluster.LeaderAsync()).SqlAsync(
                    "CREATE TABLE IF NOT EXISTS written (client int, id bigint, PRIMARY KEY (client, id))");
                return true;
            },
            "a leader makes the table of the writers");

    private static Writer Begin(TestCluster cluster, ImmutableArray<TestNode> nodes, TimeSpan? patience)
    {
        var writer = new Writer(cluster, nodes, patience ?? s_shortPatience);
        writer._work = Task.Run(writer.RunAsync);
        return writer;
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            if (await FindPrimaryAsync() is not var (node, connection, timeline))
            {
                await Task.Delay(s_pauseWithoutPrimary);
                continue;
            }
            try
            {
                await using (connection)
                {
                    await WriteUntilErrorAsync(node, connection, timeline);
                }
            }
            catch (NpgsqlException problem)
            {
                // The end of a connection whose server ended in the middle of a write that was given up.
                lock (_gate)
                {
                    _errors.Add($"{node.Name}: {problem.Message}");
                }
            }
        }
    }

    private async Task WriteUntilErrorAsync(TestNode node, NpgsqlConnection connection, int timeline)
    {
        while (!_stop.IsCancellationRequested)
        {
            var id = ++_next;
            var began = Stopwatch.GetTimestamp();
            try
            {
                await using var command = new NpgsqlCommand(
                    string.Create(CultureInfo.InvariantCulture, $"INSERT INTO written VALUES ({_id}, {id})"),
                    connection);
                await command.ExecuteNonQueryAsync();
            }
            catch (Exception problem) when (problem is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                lock (_gate)
                {
                    _errors.Add($"{node.Name}: {problem.Message}");
                }
                return;
            }
            lock (_gate)
            {
                _writes.Add(new AcknowledgedWrite(id, node, began, Stopwatch.GetTimestamp(), timeline));
            }
            await Task.Delay(s_pause);
        }
    }

    private async Task<(TestNode Node, NpgsqlConnection Connection, int Timeline)?> FindPrimaryAsync()
    {
        var tries = _nodes.Select(TryAsync).ToList();
        (TestNode, NpgsqlConnection, int)? found = null;
        while (tries.Count > 0 && found is null)
        {
            await Task.WhenAny(tries);
            foreach (var ended in tries.FindAll(t => t.IsCompleted))
            {
                tries.Remove(ended);
                if (await ended is { } primary)
                {
                    if (found is null)
                    {
                        found = primary;
                    }
                    else
                    {
                        await primary.Connection.DisposeAsync();
                    }
                }
            }
        }
        // A silent server must not hold up the others: what it answers later is closed.
        foreach (var late in tries)
        {
            _ = late.ContinueWith(
                static async done => await (done.Result?.Connection.DisposeAsync() ?? ValueTask.CompletedTask),
                TaskScheduler.Default);
        }
        return found;
    }

    /// <summary>
    /// A connection to a primary, and its timeline, which stays as long as the connection does; null when there is
    /// none.
    /// </summary>
    private async Task<(TestNode Node, NpgsqlConnection Connection, int Timeline)?> TryAsync(TestNode node)
    {
        var connection = new NpgsqlConnection(node.ConnectionString + _giveUp);
        try
        {
            await connection.OpenAsync();
            await using var command = new NpgsqlCommand(
                "SELECT CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END",
                connection);
            do
            {
                if (await command.ExecuteScalarAsync() is string timeline)
                {
                    return (node, connection,
                        int.Parse(timeline, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
                }
                await Task.Delay(s_pause * 5);
            }
            // tied to one node, it waits there for the promotion
            while (_nodes.Length == 1 && !_stop.IsCancellationRequested);
        }
        catch (Exception notNow) when (notNow is NpgsqlException or TimeoutException or InvalidOperationException)
        {
            // Down, starting or silent: no primary for us.
        }
        await connection.DisposeAsync();
        return null;
    }
}
