using Routing.TestKit;

namespace Routing.Faults.Tests;

/// <summary>A writer per node while something is done to the cluster: shows two primaries, and what was lost.</summary>
internal sealed class Judge : IAsyncDisposable
{
    private readonly TestCluster _cluster;
    private readonly Dictionary<TestNode, Writer> _writers;

    private Judge(TestCluster cluster, Dictionary<TestNode, Writer> writers) => (_cluster, _writers) = (cluster, writers);

    public Writer this[TestNode node] => _writers[node];

    public static async Task<Judge> StartAsync(TestCluster cluster, TestNode leader)
    {
        // An acknowledged write is only safe from here on: before, no standby may have been synchronous yet.
        await cluster.UntilAsync(
            async () => (await cluster.Keys.GetAsync("sync"))?.Json is { } sync && sync["leader"]?.ToString() == leader.Name
                && sync["sync_standby"]?.ToString() is { Length: > 0 },
            "a synchronous standby is named");
        var writers = await Writer.StartOnEachAsync(cluster);
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
        // Sorted by their answers, the writes of a node form blocks; a write of the block before may not have begun
        // after the first answer of the block that follows.
        var all = _writers.Values.SelectMany(writer => writer.Writes).OrderBy(write => write.Ended).ToList();
        Assert.NotEmpty(all);
        foreach (var (first, second) in all.Zip(all.Skip(1)).Where(pair => pair.First.Node != pair.Second.Node))
        {
            Assert.True(first.Ended < second.Began,
                $"{first.Node} and {second.Node} took writes at the same time\n{_cluster.Report()}");
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
