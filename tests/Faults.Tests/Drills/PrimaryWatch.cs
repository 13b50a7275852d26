using System.Diagnostics;
using Npgsql;
using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>
/// Asks every node every 20 ms whether its PostgreSQL is a primary, and says for how long two were at once.
/// </summary>
/// <remarks>
/// A server that was a primary in two answers was one in between, as long as it is the same start of it. Of such a
/// term that time is counted that is sure: from the end of the first answer to the beginning of the last question. How
/// slow this process is cannot make an overlap, only miss one that is shorter than its questions take.
/// </remarks>
internal sealed class PrimaryWatch : IAsyncDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<(TestNode Node, string Start), (long From, long To)> _terms = [];
    private readonly Task[] _loops;

    public PrimaryWatch(TestCluster cluster) =>
        _loops = [.. cluster.Nodes.Select(node => Task.Run(() => WatchAsync(node)))];

    /// <summary>The time with two primaries, as far as it is sure.</summary>
    public TimeSpan Overlap
    {
        get
        {
            lock (_gate)
            {
                return OverlapOf([.. _terms.Select(term => (term.Key.Node.Name, term.Value.From, term.Value.To))]);
            }
        }
    }

    /// <summary>The time that terms of different nodes have in common, pair by pair.</summary>
    public static TimeSpan OverlapOf(IReadOnlyList<(string Node, long From, long To)> terms)
    {
        long ticks = 0;
        for (var i = 0; i < terms.Count; i++)
        {
            for (var j = 0; j < i; j++)
            {
                var (one, other) = (terms[i], terms[j]);
                if (one.Node != other.Node)
                {
                    ticks += Math.Max(0, Math.Min(one.To, other.To) - Math.Max(one.From, other.From));
                }
            }
        }
        return TimeSpan.FromSeconds((double)ticks / Stopwatch.Frequency);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_loops);
        _stop.Dispose();
    }

    private async Task WatchAsync(TestNode node)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = new NpgsqlConnection(
                    node.ConnectionString + ";Timeout=2;Command Timeout=2;Cancellation Timeout=-1");
                await connection.OpenAsync(_stop.Token);
                await using var command = new NpgsqlCommand(
                    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_postmaster_start_time()::text END", connection);
                while (true)
                {
                    var began = Stopwatch.GetTimestamp();
                    if (await command.ExecuteScalarAsync(_stop.Token) is string start)
                    {
                        Note(node, start, began, Stopwatch.GetTimestamp());
                    }
                    await Task.Delay(s_pause, _stop.Token);
                }
            }
            catch (Exception notNow) when (notNow is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                // Down, starting or silent: no primary that anybody reaches.
                await Task.WhenAny(Task.Delay(s_pause, _stop.Token));
            }
            catch (OperationCanceledException)
            {
                // the end
            }
        }
    }

    private void Note(TestNode node, string start, long began, long ended)
    {
        lock (_gate)
        {
            _terms[(node, start)] = _terms.TryGetValue((node, start), out var term)
                ? (term.From, Math.Max(term.To, began))
                : (ended, began);
        }
    }
}
