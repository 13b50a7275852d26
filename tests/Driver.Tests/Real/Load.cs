using System.Collections.Concurrent;
using System.Diagnostics;
using Npgsql;
using Routing.TestKit;

namespace Routing.Driver.Tests.Real;

/// <summary>Many callers that write through one data source, and what they saw.</summary>
internal sealed class Load : IAsyncDisposable
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static int s_loads;

    private readonly RoutingDataSource _source;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<long> _acknowledged = [];
    private readonly ConcurrentBag<Exception> _failures = [];
    private readonly int[] _counts;
    private readonly int _id = Interlocked.Increment(ref s_loads);
    private readonly bool _inUnits;
    private Task _running = Task.CompletedTask;
    private long _next;
    private long _slowestTicks;
    private long _lastAcknowledged;
    private long _longestOutageTicks;

    private Load(RoutingDataSource source, int callers, bool inUnits)
    {
        _source = source;
        _inUnits = inUnits;
        _counts = new int[callers];
    }

    public static async Task<Load> StartAsync(RoutingDataSource source, int callers, bool inUnits)
    {
        await DriverCluster.RunAsync(source,
            "CREATE TABLE IF NOT EXISTS by_driver (load int, id bigint, PRIMARY KEY (load, id))");
        var load = new Load(source, callers, inUnits);
        await DriverCluster.RunAsync(source, $"DELETE FROM by_driver WHERE load = {load._id}");
        load._running =
            Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(() => load.CallAsync(caller))));
        await load.MoreAsync(20);
        return load;
    }

    /// <summary>Waits until every caller has got this many more answers.</summary>
    public Task MoreAsync(int count)
    {
        var before = (int[])_counts.Clone();
        return WaitUntil.TrueAsync(
            () => Enumerable.Range(0, _counts.Length)
                .All(caller => Volatile.Read(ref _counts[caller]) >= before[caller] + count),
            TimeSpan.FromSeconds(60), $"every caller has {count} more answers");
    }

    /// <summary>Ends the callers.</summary>
    public async Task<LoadResult> StopAsync()
    {
        await _stop.CancelAsync();
        await _running;
        return new LoadResult(
            _acknowledged.Count, [.. _failures], Stopwatch.GetElapsedTime(0, _slowestTicks),
            Stopwatch.GetElapsedTime(0, _longestOutageTicks));
    }

    /// <summary>Acknowledged writes that the present leader does not have.</summary>
    public async Task<IReadOnlyList<long>> MissingAsync()
    {
        await using var connection = await _source.OpenConnectionAsync();
        await using var command =
            new NpgsqlCommand($"SELECT array_agg(id) FROM by_driver WHERE load = {_id}", connection);
        var found = ((long[])(await command.ExecuteScalarAsync())!).ToHashSet();
        return [.. _acknowledged.Where(id => !found.Contains(id))];
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task CallAsync(int caller)
    {
        while (!_stop.IsCancellationRequested)
        {
            var id = Interlocked.Increment(ref _next);
            var began = Stopwatch.GetTimestamp();
            try
            {
                await (_inUnits ? InUnitAsync(id) : AloneAsync(id));
                _acknowledged.Add(id);
                var now = Stopwatch.GetTimestamp();
                var last = Interlocked.Exchange(ref _lastAcknowledged, now);
                Raise(ref _longestOutageTicks, last == 0 ? 0 : now - last);
                Interlocked.Increment(ref _counts[caller]);
            }
            catch (Exception problem)
            {
                _failures.Add(problem);
            }
            Raise(ref _slowestTicks, Stopwatch.GetTimestamp() - began);
        }
    }

    private Task InUnitAsync(long id) => _source.RunAsync(
        async (transaction, token) =>
        {
            await using var insert =
                new NpgsqlCommand($"INSERT INTO by_driver VALUES ({_id}, {id})", transaction.Connection, transaction);
            await insert.ExecuteNonQueryAsync(token);
        },
        new UnitOfWorkOptions { Deadline = Deadline,
            WasCommitted = (connection, token) => IsThereAsync(connection, id, token) });

    private async Task<bool?> IsThereAsync(NpgsqlConnection connection, long id, CancellationToken cancellationToken)
    {
        await using var look =
            new NpgsqlCommand($"SELECT EXISTS (SELECT FROM by_driver WHERE load = {_id} AND id = {id})", connection);
        return (bool?)await look.ExecuteScalarAsync(cancellationToken);
    }

    private async Task AloneAsync(long id)
    {
        await using var connection = await _source.OpenConnectionAsync();
        await using var insert = new NpgsqlCommand($"INSERT INTO by_driver VALUES ({_id}, {id})", connection);
        await insert.ExecuteNonQueryAsync();
    }

    private static void Raise(ref long most, long value)
    {
        for (var seen = Volatile.Read(ref most); value > seen; seen = Volatile.Read(ref most))
        {
            Interlocked.CompareExchange(ref most, value, seen);
        }
    }
}

/// <summary>What callers saw.</summary>
/// <param name="Acknowledged">Writes that were acknowledged.</param>
/// <param name="Failures">Errors that came through.</param>
/// <param name="Slowest">The longest that one caller waited for one answer.</param>
/// <param name="LongestOutage">The longest time in which nobody's write was acknowledged.</param>
internal sealed record LoadResult(
    int Acknowledged, IReadOnlyList<Exception> Failures, TimeSpan Slowest, TimeSpan LongestOutage);
