using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>A writer per node while something is done to the cluster: shows two primaries, and what was lost.</summary>
internal sealed class Judge : IAsyncDisposable
{
    private readonly TestCluster _cluster;
    private readonly Dictionary<TestNode, Writer> _writers;

    private Judge(TestCluster cluster, Dictionary<TestNode, Writer> writers) =>
        (_cluster, _writers) = (cluster, writers);

    public Writer this[TestNode node] => _writers[node];

    /// <summary>All that was acknowledged by now, in the order of the answers.</summary>
    public IReadOnlyList<AcknowledgedWrite> Writes =>
        [.. _writers.Values.SelectMany(writer => writer.Writes).OrderBy(write => write.Ended)];

    /// <summary>Starts the writers and waits until the leader takes writes.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="leader">Its leader.</param>
    /// <param name="patience">As of <see cref="Writer"/>.</param>
    /// <param name="isSynchronous">Whether a synchronous mode is on.</param>
    public static async Task<Judge> StartAsync(
        TestCluster cluster, TestNode leader, TimeSpan? patience = null, bool isSynchronous = true)
    {
        // An acknowledged write is only safe from here on: before, no standby may have been synchronous yet.
        if (isSynchronous)
        {
            await cluster.UntilAsync(
                async () => (await cluster.Keys.GetAsync("sync"))?.Json is { } sync
                    && sync["leader"]?.ToString() == leader.Name
                    && sync["sync_standby"]?.ToString() is { Length: > 0 },
                "a synchronous standby is named");
        }
        var writers = await Writer.StartOnEachAsync(cluster, patience);
        var judge =
            new Judge(cluster, writers.Zip(cluster.Nodes).ToDictionary(pair => pair.Second, pair => pair.First));
        await judge[leader].MoreAsync(50);
        return judge;
    }

    /// <summary>Two primaries at once; null when no write shows them.</summary>
    /// <remarks>
    /// A timeline has one primary, and no older one takes a write that began after a later one had answered. That is
    /// sure whichever of our threads was held up: another order of beginnings and answers says nothing.
    /// </remarks>
    public static string? FaultIn(IEnumerable<AcknowledgedWrite> writes)
    {
        AcknowledgedWrite? earliest = null;   // answered first of all on a later timeline
        foreach (var term in writes.GroupBy(write => write.Timeline).OrderByDescending(term => term.Key))
        {
            var nodes = term.Select(write => write.Node).Distinct().ToList();
            if (nodes.Count > 1)
            {
                return $"{string.Join(" and ", nodes)} took writes on timeline {term.Key}";
            }
            if (earliest is not null && term.Max(write => write.Began) > earliest.Ended)
            {
                return $"{nodes[0]} took writes on timeline {term.Key} after {earliest.Node} had on timeline "
                    + $"{earliest.Timeline}";
            }
            var first = term.MinBy(write => write.Ended)!;
            earliest = earliest is null || first.Ended < earliest.Ended ? first : earliest;
        }
        return null;
    }

    /// <summary>Ends the writers.</summary>
    /// <returns>How many acknowledged writes the present leader lacks.</returns>
    public async Task<int> LostOnAsync(TestNode now)
    {
        var lost = 0;
        foreach (var writer in _writers.Values)
        {
            await writer.StopAsync();
            lost += (await writer.MissingOnAsync(now)).Count;
        }
        return lost;
    }

    /// <summary>Ends the writers and looks at what they saw.</summary>
    /// <param name="now">The present leader, whose data decide.</param>
    public async Task OnePrimaryAndNothingLostAsync(TestNode now)
    {
        foreach (var writer in _writers.Values)
        {
            await writer.StopAsync();
        }
        var all = _writers.Values.SelectMany(writer => writer.Writes).ToList();
        Assert.NotEmpty(all);
        Assert.True(FaultIn(all) is null, $"{FaultIn(all)}\n{_cluster.Report()}");
        foreach (var writer in _writers.Values)
        {
            var missing = await writer.MissingOnAsync(now);
            Assert.True(missing.Count == 0,
                $"{missing.Count} acknowledged writes are missing on {now}\n{_cluster.Report()}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var writer in _writers.Values)
        {
            await writer.DisposeAsync();
        }
    }
}
