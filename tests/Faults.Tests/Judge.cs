using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>A writer per node while something is done to the cluster: shows two primaries, and what was lost.</summary>
internal sealed class Judge : IAsyncDisposable
{
    private readonly TestCluster _cluster;
    private readonly Dictionary<TestNode, Writer> _writers;

    private Judge(TestCluster cluster, Dictionary<TestNode, Writer> writers) => (_cluster, _writers) = (cluster, writers);

    public Writer this[TestNode node] => _writers[node];

    /// <summary>Starts the writers and waits until the leader takes writes.</summary>
    /// <param name="cluster">The cluster.</param>
    /// <param name="leader">Its leader.</param>
    /// <param name="patience">As of <see cref="Writer"/>.</param>
    public static async Task<Judge> StartAsync(TestCluster cluster, TestNode leader, TimeSpan? patience = null)
    {
        // An acknowledged write is only safe from here on: before, no standby may have been synchronous yet.
        await cluster.UntilAsync(
            async () => (await cluster.Keys.GetAsync("sync"))?.Json is { } sync && sync["leader"]?.ToString() == leader.Name
                && sync["sync_standby"]?.ToString() is { Length: > 0 },
            "a synchronous standby is named");
        var writers = await Writer.StartOnEachAsync(cluster, patience);
        var judge = new Judge(cluster, writers.Zip(cluster.Nodes).ToDictionary(pair => pair.Second, pair => pair.First));
        await judge[leader].MoreAsync(50);
        return judge;
    }

    /// <summary>Ends the writers and looks at what they saw.</summary>
    /// <param name="now">The present leader, whose data decide.</param>
    public async Task OnePrimaryAndNothingLostAsync(TestNode now)
    {
        foreach (var writer in _writers.Values)
        {
            await writer.StopAsync();
        }
        // A timeline has one primary. None takes a write that began after a later one had answered: whichever of our threads was held up,
        // both were primaries then.
        var reigns = _writers.Values.SelectMany(writer => writer.Writes).GroupBy(write => write.Timeline).OrderBy(reign => reign.Key).ToList();
        Assert.NotEmpty(reigns);
        foreach (var reign in reigns)
        {
            var nodes = reign.Select(write => write.Node).Distinct().ToList();
            Assert.True(nodes.Count == 1, $"{string.Join(" and ", nodes)} took writes on timeline {reign.Key}\n{_cluster.Report()}");
        }
        foreach (var (old, next) in reigns.Zip(reigns.Skip(1)))
        {
            Assert.True(old.Max(write => write.Began) < next.Min(write => write.Ended),
                $"{old.First().Node} and {next.First().Node} took writes at the same time\n{_cluster.Report()}");
        }
        foreach (var writer in _writers.Values)
        {
            var missing = await writer.MissingOnAsync(now);
            Assert.True(missing.Count == 0, $"{missing.Count} acknowledged writes are missing on {now}\n{_cluster.Report()}");
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
