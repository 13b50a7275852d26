using System.Globalization;
using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>
/// Follows the position that the leader publishes, which says how much a failover in asynchronous mode may lose.
/// </summary>
internal sealed class PublishedPosition : IAsyncDisposable
{
    private readonly TestCluster _cluster;
    private readonly TestNode _leader;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;
    private ulong _last;

    public PublishedPosition(TestCluster cluster, TestNode leader)
    {
        (_cluster, _leader) = (cluster, leader);
        _loop = Task.Run(WatchAsync);
    }

    /// <summary>
    /// How far the new history begins before what the old leader published last, in bytes; 0 when it lacks nothing of
    /// it.
    /// </summary>
    /// <param name="now">The present leader.</param>
    /// <param name="timeline">The old leader's timeline.</param>
    public async Task<ulong> BehindAsync(TestNode now, int timeline)
    {
        var current = await now.SqlAsync("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)");
        if (int.Parse(current!, NumberStyles.HexNumber, CultureInfo.InvariantCulture) == timeline)
        {
            return 0;
        }
        var history = await now.SqlAsync($"SELECT pg_read_file('pg_wal/{current}.history')");
        var old = timeline.ToString(CultureInfo.InvariantCulture);
        var left = history!.Split('\n').Select(line => line.Split('\t')).First(words => words[0] == old)[1];
        var at = left.Split('/').Aggregate(
            0UL, (high, half) => high << 32 | ulong.Parse(half, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
        return _last > at ? _last - at : 0;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _loop;
        _stop.Dispose();
    }

    private async Task WatchAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var keys = await _cluster.Keys.AllAsync();
                if (keys.GetValueOrDefault("leader")?.Value == _leader.Name
                    && keys.GetValueOrDefault("status")?.Json["optime"]?.GetValue<ulong>() is { } position)
                {
                    _last = Math.Max(_last, position);
                }
            }
            catch (Exception silent) when (silent is HttpRequestException or TaskCanceledException)
            {
                // etcd is away: what it does not say nobody compares with
            }
            await Task.WhenAny(Task.Delay(TimeSpan.FromMilliseconds(200), _stop.Token));
        }
    }
}
