using System.Collections.Immutable;
using System.Globalization;
using Npgsql;

namespace Routing.TestKit;

/// <summary>
/// Takes the changes of the writers' table from a logical slot, wherever the primary is. It confirms what it has seen
/// afterwards, so that a lost connection may repeat changes and never costs one.
/// </summary>
public sealed class LogicalConsumer : IAsyncDisposable
{
    private readonly ImmutableArray<TestCluster> _clusters;
    private readonly string _slot;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly HashSet<(int Client, long Id)> _seen = [];
    private readonly List<string> _disorder = [];
    private Task _work = Task.CompletedTask;
    private TestNode? _source;
    private int _fromSource;

    private LogicalConsumer(string slot, ImmutableArray<TestCluster> clusters) =>
        (_clusters, _slot) = (clusters, slot);

    /// <summary>Changes that came out of their order, or twice, over one connection.</summary>
    public IReadOnlyList<string> Disorder
    {
        get
        {
            lock (_gate)
            {
                return [.. _disorder];
            }
        }
    }

    /// <summary>Starts one on a cluster.</summary>
    public static LogicalConsumer Start(TestCluster cluster, string slot) => Start(slot, cluster);

    /// <summary>Starts one that takes changes wherever a primary is, in whichever cluster.</summary>
    public static LogicalConsumer Start(string slot, params ImmutableArray<TestCluster> clusters)
    {
        var consumer = new LogicalConsumer(slot, clusters);
        consumer._work = Task.Run(consumer.RunAsync);
        return consumer;
    }

    /// <summary>Waits until this many changes have come from one node.</summary>
    public Task MoreFromAsync(TestNode node, int count)
    {
        int from;
        lock (_gate)
        {
            from = _source == node ? _fromSource : 0;
        }
        return _clusters[0].UntilAsync(
            () =>
            {
                lock (_gate)
                {
                    return _source == node && _fromSource >= from + count;
                }
            },
            $"{count} more changes come from {node.Name}");
    }

    /// <summary>Waits until every row of these clients on a node was seen.</summary>
    public Task HasAllAsync(TestNode node, int afterClient) => _clusters[0].UntilAsync(
        async () => (await MissingAsync(node, afterClient)).Count == 0,
        "the consumer has seen every row");

    /// <summary>Ends the client.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await _work;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task<List<(int, long)>> MissingAsync(TestNode node, int afterClient)
    {
        var missing = new List<(int, long)>();
        await using var connection = await node.OpenAsync();
        await using var command = new NpgsqlCommand(
            string.Create(CultureInfo.InvariantCulture,
                $"SELECT client, id FROM written WHERE client > {afterClient}"), connection);
        await using var row = await command.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            lock (_gate)
            {
                if (!_seen.Contains((row.GetInt32(0), row.GetInt64(1))))
                {
                    missing.Add((row.GetInt32(0), row.GetInt64(1)));
                }
            }
        }
        return missing;
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            foreach (var node in _clusters.SelectMany(cluster => cluster.Nodes).Where(node => node.IsStarted))
            {
                try
                {
                    await using var connection = await node.OpenAsync();
                    await FollowAsync(node, connection);
                }
                catch (Exception problem) when (problem is NpgsqlException or TimeoutException)
                {
                    // Down, a standby, or without the slot as yet: the next one, and then this one again.
                }
            }
            await Task.Delay(20);
        }
    }

    private async Task FollowAsync(TestNode node, NpgsqlConnection connection)
    {
        var last = new Dictionary<int, long>();
        while (!_stop.IsCancellationRequested && await TakeAsync(node, connection, last) is { } end)
        {
            await using var confirm = new NpgsqlCommand(
                $"SELECT pg_replication_slot_advance('{_slot}', '{end}')", connection);
            await confirm.ExecuteNonQueryAsync();
        }
    }

    /// <summary>The position up to which changes were seen; null: this node is no primary.</summary>
    private async Task<string?> TakeAsync(TestNode node, NpgsqlConnection connection, Dictionary<int, long> last)
    {
        string? end = null;
        await using var command = new NpgsqlCommand(
            $"""
            SELECT lsn::text, (regexp_match(data, 'client\[integer\]:(\d+)'))[1]::int,
                   (regexp_match(data, 'id\[bigint\]:(\d+)'))[1]::bigint
              FROM pg_logical_slot_peek_changes('{_slot}', NULL, 500, 'skip-empty-xacts', '1')
             WHERE data LIKE 'table public.written: INSERT:%' OR data LIKE 'COMMIT%'
            """, connection);
        await using (var row = await command.ExecuteReaderAsync())
        {
            while (await row.ReadAsync())
            {
                end = row.GetString(0);
                if (!row.IsDBNull(1))
                {
                    See(node, row.GetInt32(1), row.GetInt64(2), last);
                }
            }
        }
        if (end is not null)
        {
            return end;
        }
        await using var where = new NpgsqlCommand(
            "SELECT CASE WHEN NOT pg_is_in_recovery() THEN confirmed_flush_lsn::text END FROM pg_replication_slots "
                + $"WHERE slot_name = '{_slot}'", connection);
        return await where.ExecuteScalarAsync() as string;
    }

    private void See(TestNode node, int client, long id, Dictionary<int, long> last)
    {
        lock (_gate)
        {
            if (last.TryGetValue(client, out var before) && before >= id)
            {
                _disorder.Add($"{node.Name}: {client}:{id} after {client}:{before}");
            }
            last[client] = id;
            _seen.Add((client, id));
            (_fromSource, _source) = (_source == node ? _fromSource + 1 : 1, node);
        }
    }
}
