using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Integration.Tests.Drills;

/// <summary>What came of the clients of one drill.</summary>
/// <param name="Clients">Their names, and the longest pause of each in each switchover, in milliseconds.</param>
/// <param name="Moved">Sessions that went on at another member, all switchovers together.</param>
/// <param name="NotMoved">Sessions that ended instead, by the proxy's reasons.</param>
internal sealed record DrillOutcome(
    IReadOnlyList<(DrillClient Client, IReadOnlyList<double> Pauses)> Clients, long Moved,
    IReadOnlyList<(string Reason, long Count)> NotMoved);

/// <summary>Planned switchovers in a row, under clients of the proxy that notice nothing but pauses.</summary>
/// <param name="cluster">The cluster, whole.</param>
/// <param name="clients">The clients, all at once.</param>
internal sealed partial class SwitchoverDrill(TestCluster cluster, IReadOnlyList<DrillClient> clients)
{
    // On a loaded machine two seconds are over before every session is held; the leader goes on as soon as all are.
    private const int Grace = 60;
    private static readonly TimeSpan s_toEnd = TimeSpan.FromMinutes(4);

    /// <summary>Lets them happen.</summary>
    /// <param name="leader">The leader.</param>
    /// <param name="rounds">How many switchovers.</param>
    public async Task<DrillOutcome> RunAsync(TestNode leader, int rounds)
    {
        using var directory = new TempDirectory("drill");
        OrdinaryProcess.GiveAway(directory.Path);
        await ScramLogin.PrepareAsync(leader, DrillPlace.User, DrillPlace.Password, DrillPlace.Role);
        foreach (var client in clients)
        {
            await client.PrepareAsync(leader);
        }
        await using var proxy = await ProxyProcess.StartAsync(
            cluster,
            new ProxyOptions
            {
                Write = ", hold_time: 60",
                More = $"{ScramLogin.AuthQuery}\ntimeouts: {{drain: 2, retry: 60, state: 60}}",
            });
        await proxy.UntilAsync(
            async () => (await proxy.MetricsAsync()).Contains("routing_proxy_registered 1", StringComparison.Ordinal),
            "the proxy is registered");
        await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = Grace });
        using var enough = new CancellationTokenSource();
        var place = new DrillPlace(cluster, proxy.WritePort, directory);
        var running = clients.Select(client => client.RunAsync(place, enough.Token)).ToList();
        List<double> begins = [];
        try
        {
            try
            {
                await ProgressAsync(leader, running);
                for (var round = 0; round < rounds; round++)
                {
                    begins.Add(Pauses.Now);
                    leader = await SwitchAsync(leader, proxy);
                    await ProgressAsync(leader, running);
                }
                begins.Add(Pauses.Now);
            }
            finally
            {
                await enough.CancelAsync();
                await cluster.ConfigureAsync(new JsonObject { ["switchover_grace"] = null });
                await Task.WhenAll(running).WaitAsync(s_toEnd, CancellationToken.None)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            Assert.All(running, one => Assert.True(one.IsCompleted, "a client does not end"));
            await Task.WhenAll(running);
        }
        catch (Exception problem) when (running.Find(one => one.IsFaulted) is { } failed)
        {
            throw new InvalidOperationException(
                $"A client failed in switchover {begins.Count}: {failed.Exception!.InnerException}\n{problem.Message}\n"
                + $"{proxy.Log}\n{cluster.Report()}",
                problem);
        }
        foreach (var client in clients)
        {
            await client.VerifyAsync(leader);
        }
        var metrics = await proxy.MetricsAsync();
        return new DrillOutcome(
            [.. clients.Select(client => (client, LongestOf(client, begins)))],
            Moved().Matches(metrics).Sum(Count),
            [.. NotMoved().Matches(metrics).Select(one => (one.Groups["reason"].Value, Count(one)))]);

        static long Count(Match metric) =>
            (long)double.Parse(metric.Groups["count"].Value, CultureInfo.InvariantCulture);
    }

    private async Task<TestNode> SwitchAsync(TestNode leader, ProxyProcess proxy)
    {
        var body = new JsonObject { ["leader"] = leader.Name, ["candidate"] = cluster.ReplicasOf(leader)[0].Name };
        var (code, text) = await leader.SendAsync("POST", "/switchover", body);
        Assert.True(code == 200, $"{text}\n{proxy.Log}\n{cluster.Report()}");
        return await cluster.HealthyAsync();
    }

    // Each client gets answers, from now on. One that has failed ends the wait.
    private async Task ProgressAsync(TestNode leader, List<Task> running)
    {
        foreach (var client in clients)
        {
            var before = await client.DoneAsync(leader);
            await cluster.UntilAsync(
                async () => running.Any(one => one.IsCompleted) || await client.DoneAsync(leader) > before,
                $"{client.Name} gets answers");
            foreach (var over in running.Where(one => one.IsCompleted))
            {
                await over;
                Assert.Fail("A client has ended before it was told to.");
            }
        }
    }

    private static List<double> LongestOf(DrillClient client, List<double> begins) =>
        [.. begins.Zip(begins.Skip(1), client.Pauses.LongestWithin)];

    [GeneratedRegex("""^routing_proxy_sessions_moved_total\{[^}]*\} (?<count>\S+)$""", RegexOptions.Multiline)]
    private static partial Regex Moved();

    [GeneratedRegex(
        """^routing_proxy_sessions_not_moved_total\{.*reason="(?<reason>\w+)"\} (?<count>\S+)$""",
        RegexOptions.Multiline)]
    private static partial Regex NotMoved();
}
